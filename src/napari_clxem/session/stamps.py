"""Time stamps as instruments write them, to ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SERIALEM = re.compile(r"^(\d{1,2})-([A-Za-z]{3})-(\d{2}|\d{4})\s+(\d{1,2}):(\d{2}):(\d{2})$")
_AMERICAN = re.compile(
    r"^(\d{1,2})/(\d{1,2})/(\d{4})\s+(\d{1,2}):(\d{2}):(\d{2})(?:\s*([AP]M))?$", re.IGNORECASE
)


def iso_time(text: str) -> str:
    """Give a time stamp as ISO 8601, or an empty text where it is none that is known.

    Reads ISO 8601 itself, SerialEM's ``30-Nov-15  15:21:38`` and Thermo's
    ``12/14/2022 01:53:39 PM`` (month first).
    """
    text = text.strip()
    try:
        if match := _SERIALEM.match(text):
            day, month, year, hour, minute, second = match.groups()
            number = _MONTHS.index(month.lower()) + 1
            full = int(year) + 2000 if len(year) == 2 else int(year)
            clock = int(hour), int(minute), int(second)
            return datetime(full, number, int(day), *clock).isoformat()
        if match := _AMERICAN.match(text):
            month, day, year, hour, minute, second, half = match.groups()
            hours = int(hour)
            if half:
                hours = hours % 12 + (12 if half.upper() == "PM" else 0)
            return datetime(
                int(year), int(month), int(day), hours, int(minute), int(second)
            ).isoformat()
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""

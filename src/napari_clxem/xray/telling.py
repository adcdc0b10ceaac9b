"""Saying how far a calculation is, and stopping it between its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_clxem.errors import Cancelled

Progress = Callable[[float, str], None]
Asked = Callable[[], bool]


@dataclass(frozen=True)
class Teller:
    """Who wants to know how far a calculation is, and may stop it.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(share, text)``, from 0 to 1.
    cancelled : callable, optional
        Asked before each step.
    what : str
        What is stopped, for people.
    """

    progress: Progress | None
    cancelled: Asked | None
    what: str

    def __call__(self, share: float, text: str) -> None:
        """Begin a step; raises Cancelled where it shall not begin."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"{self.what} was stopped; nothing was changed.")
        if self.progress is not None:
            self.progress(share, text)

    def part(self, low: float, high: float) -> Progress:
        """Give what tells of a part of the calculation, from `low` to `high`."""

        def tell(share: float, text: str) -> None:
            self(low + share * (high - low), text)

        return tell

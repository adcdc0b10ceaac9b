"""JSON that people can read and compare: one small record a line."""

from __future__ import annotations

import json

from napari_clxem.session.codec import Plain


def layout(plain: Plain) -> str:
    """Write plain JSON values with two-space indents.

    A list of scalars stands on one line, and so does an object of scalars and such lists (a
    landmark, a target): moving one landmark then changes one line of the file.
    """
    return _value(plain, "") + "\n"


def _value(plain: Plain, indent: str) -> str:
    if isinstance(plain, dict):
        if all(_is_line(value) for value in plain.values()):
            return _json(plain)
        inner = indent + "  "
        parts = [f"{inner}{_json(name)}: {_value(item, inner)}" for name, item in plain.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(plain, list) and not _is_line(plain):
        inner = indent + "  "
        return "[\n" + ",\n".join(inner + _value(item, inner) for item in plain) + f"\n{indent}]"
    return _json(plain)


def _is_line(plain: Plain) -> bool:
    if isinstance(plain, list):
        return not any(isinstance(item, list | dict) for item in plain)
    return not isinstance(plain, dict)


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

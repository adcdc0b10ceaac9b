"""Errors a user can act on: each message says what was wrong, where, and what to do."""

from __future__ import annotations


class ClxemError(Exception):
    """Base of every error this package raises on purpose."""


class UnitError(ClxemError):
    """A unit is unknown, or two quantities do not share a dimension."""


class ReadError(ClxemError):
    """A file is truncated, damaged, or not of the format its name says."""


class WriteError(ClxemError):
    """A file cannot be written, or its format cannot hold what is to be written."""


class MissingScaleError(ClxemError):
    """A pixel size is needed and the file does not state a usable one."""


class PointsError(ClxemError):
    """Points cannot be used: wrong shape, NaN, too few, or a mixture of dimensions."""


class DegenerateError(PointsError):
    """Points are coincident, collinear or coplanar, so they do not determine the model."""


class NoMatch(ClxemError):  # noqa: N818 - the name is part of the public API
    """Two point sets have no correspondence better than chance."""


class NoPathError(ClxemError):
    """Two frames are not connected by any link."""


class SessionError(ClxemError):
    """A session cannot be read, written, or edited as asked."""


class LamellaError(ClxemError):
    """A lamella, its outline, a milling angle or a target cannot be used as given."""


class ImageError(ClxemError):
    """Images cannot be used: wrong shape, NaN, no signal, or not belonging together."""


class Cancelled(ClxemError):  # noqa: N818 - stopping is what the user asked for
    """The user stopped a long calculation."""


class ClxemWarning(UserWarning):
    """A result stands, but its reader must know something about it."""

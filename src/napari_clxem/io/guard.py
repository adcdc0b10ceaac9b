"""The one place where what libraries raise on bad files becomes one sentence."""

from __future__ import annotations

import logging
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_clxem.errors import ReadError

# What the libraries that read files were seen to raise on damaged ones.
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    UnboundLocalError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def reading(path: str | Path, what: str = "") -> Iterator[None]:
    """Turn whatever a library raises inside into a `ReadError` that names the file.

    Parameters
    ----------
    path : str or Path
        The file being read.
    what : str
        What it is read as, such as ``"an OME-TIFF"``.
    """
    name = Path(path).name
    kind = f" as {what}" if what else ""
    try:
        yield
    except FileNotFoundError as error:
        raise ReadError(f"There is no file {path}; check the name or relink it.") from error
    except PermissionError as error:
        raise ReadError(f"{name} may not be read; ask for permission to read {path}.") from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ReadError(
            f"{name} cannot be read{kind}: {reason}. It seems truncated or damaged; copy it again "
            "from where it was made."
        ) from error


class _Collector(logging.Filter):
    """Keep what one thread logs, and let nothing of it through."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()
        self.messages: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if threading.get_ident() != self.thread:
            return True
        if record.levelno >= logging.WARNING:
            self.messages.append(" ".join(record.getMessage().split())[:200])
        return False


@contextmanager
def hushed(logger: str) -> Iterator[list[str]]:
    """Collect the warnings that a library logs, instead of printing them.

    Parameters
    ----------
    logger : str
        Name of its logger.
    """
    collector = _Collector()
    target = logging.getLogger(logger)
    target.addFilter(collector)
    try:
        yield collector.messages
    finally:
        target.removeFilter(collector)

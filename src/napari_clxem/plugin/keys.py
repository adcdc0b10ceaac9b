"""Every shortcut of the plugin, in one table; each is also a button."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """Something the user can do.

    Parameters
    ----------
    text : str
        On the button.
    tip : str
        What it does.
    key : str
        Shortcut in napari's spelling; empty for none.
    """

    text: str
    tip: str
    key: str = ""

    @property
    def tooltip(self) -> str:
        """What it does, and its shortcut."""
        spelt = self.key.replace("Control", "Ctrl").replace("-", "+")
        return f"{self.tip} ({spelt})" if self.key else self.tip


OPEN = Verb("Open session…", "Open a session file (.clxem.json)")
SAVE = Verb("Save", "Write the session to its file")
UNDO = Verb("Undo", "Take back the last step", "Control-Z")
REDO = Verb("Redo", "Make the step again that was taken back", "Control-Shift-Z")

TABLE = (OPEN, SAVE, UNDO, REDO)

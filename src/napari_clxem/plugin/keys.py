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
PICK = Verb("Pick landmarks", "Click in both canvases in turn; drag a landmark to move it")
JUMP = Verb("Go to", "Bring the landmark to the middle of both canvases (or double-click its row)")
EXCLUDE = Verb("Exclude / use", "Leave the landmark out of the fit, or take it in again")
DELETE = Verb("Delete", "Remove the landmark")
DETECT = Verb("Detect beads", "Find the beads of both images")
MATCH = Verb("Match", "Find which bead is which, and make landmarks of them")
CANCEL = Verb("Cancel", "Give up what is being done; what was found stays")
READ_LANDMARKS = Verb("Read CSV…", "Replace the landmarks by those of a CSV file")
WRITE_LANDMARKS = Verb("Write CSV…", "Write the landmarks to a CSV file")

TABLE = (
    OPEN,
    SAVE,
    UNDO,
    REDO,
    PICK,
    JUMP,
    EXCLUDE,
    DELETE,
    DETECT,
    MATCH,
    CANCEL,
    READ_LANDMARKS,
    WRITE_LANDMARKS,
)

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
PICK = Verb("Pick", "Click in both canvases in turn; drag a landmark to move it")
TURN = Verb("Other side", "Show the other side of the link in the main canvas")
JUMP = Verb("Go to", "Bring the landmark to the middle of both canvases (or double-click its row)")
EXCLUDE = Verb("Exclude", "Leave the landmark out of the fit, or take it in again")
DELETE = Verb("Delete", "Remove the landmark")
DETECT = Verb("Detect", "Find the beads of both images")
MATCH = Verb("Match", "Find which bead is which, and make landmarks of them")
CANCEL = Verb("Cancel", "Give up what is being done; what was found stays")
READ_LANDMARKS = Verb("Read…", "Replace the landmarks by those of a CSV file")
WRITE_LANDMARKS = Verb("Write…", "Write the landmarks to a CSV file")

OPEN_FOLDER = Verb("Open folder…", "Look through a folder and propose its grid")
SAVE_AS = Verb("Save as…", "Write the session to another file and go on there")
LINK_ALL = Verb("Link automatically", "Tie the images together by their beads and content")
RELINK = Verb("Relink files…", "Look below a folder for files that moved, whatever their names")
PACK = Verb("Pack for travel…", "Write a package of a few MB that opens without the images")
MERGE = Verb("Merge a copy…", "Bring in what was done in another copy, or a travel package")
REVERT = Verb("Back to the saved file", "Go back to what the file holds; this can be undone, too")
ADD_SITE = Verb("Add site", "Add a cell or square to the grid")
SHOW = Verb("Show", "Show what is chosen: its images are opened")

TABLE = (
    OPEN,
    SAVE,
    UNDO,
    REDO,
    PICK,
    TURN,
    JUMP,
    EXCLUDE,
    DELETE,
    DETECT,
    MATCH,
    CANCEL,
    READ_LANDMARKS,
    WRITE_LANDMARKS,
    OPEN_FOLDER,
    SAVE_AS,
    LINK_ALL,
    RELINK,
    PACK,
    MERGE,
    REVERT,
    ADD_SITE,
    SHOW,
)

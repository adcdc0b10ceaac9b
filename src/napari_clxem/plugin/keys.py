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
WRITE_IMAGE = Verb(
    "Write image…", "Write the chosen image, as it lies in the frame shown, as OME-Zarr or OME-TIFF"
)

PRINT_REPORT = Verb(
    "Print report…", "Write all that is known of the grid as one page to read, print or send"
)

REPLAY = Verb("Replay", "Let the exposures happen again, in the order they were made")
RECORD = Verb("From images", "Make exposures of what the files of the session's images say")
ADD_PRESET = Verb("Add preset", "Add an exposure as an instrument is usually run, here")
ADD_EXPOSURE = Verb("Add…", "Add an exposure by its numbers; only what cannot be derived is asked")
EDIT_EXPOSURE = Verb("Edit…", "Change the numbers of the chosen exposure")
DROP_EXPOSURE = Verb("Remove", "Remove the chosen exposures")
MARK_DONE = Verb("Planned / done", "Say that planned exposures were made, or the other way round")
KEEP = Verb("Keep", "Put the exposure into the session")
GO_THERE = Verb("Go there", "Bring the exposure to the middle of the canvas (or double-click it)")
PUT_HERE = Verb("Here", "Aim at the middle of the canvas")
ADD_STEP = Verb("Add step", "Add a step to the end of the plan")
EDIT_STEP = Verb("Edit step…", "Change flux, slit, time, tilts or aim of the chosen step")
TAKE_PLANNED = Verb("Take planned", "Begin with the exposures that are planned in the session")
DROP_STEP = Verb("Remove", "Take the chosen step out of the plan")
RAISE_STEP = Verb("▲", "Do the chosen step earlier")
RECORD_PLAN = Verb("Record the plan", "Keep the steps in the session, as planned exposures")
CHECK_NUMBERS = Verb("Check", "Compare the numbers with what follows from each other")
WRITE_DOSES = Verb("Exposures…", "Write the exposures to a CSV file")
WRITE_TARGET_DOSES = Verb("Targets…", "Write the doses of targets and cells to a CSV file")
WRITE_PICTURE = Verb("Picture…", "Write what the canvas shows to a PNG file")

PICK_TARGET = Verb(
    "Pick", "Click on what is to be kept: each click adds a target; drag to move one"
)
GO_TARGET = Verb("Go there", "Bring the target to the middle of the canvas")
DROP_TARGET = Verb("Delete", "Remove the target; lamellae forget it")
PROPOSE = Verb("Propose", "Look for the lamella that holds most of the target")
BOX_HERE = Verb("Box here", "Draw a lamella about the target, to be dragged in the FIB image")
DROP_BOX = Verb("Delete lamella", "Remove the lamella")
WHAT_LIMITS = Verb("What limits it", "Work out what more beads near here would bring")
FILM_TILT = Verb("Film tilt from beads", "Take the film's tilt from the beads of the volume")
NEWER_VIEW = Verb(
    "Newer FIB image…", "Open a later image of this place; the drift is found, targets move along"
)
EXPORT_TARGETS = Verb("Export…", "Write targets and lamellae for the microscope, or to print")
PROPOSE_SITES = Verb(
    "Propose sites", "Place a tomogram field over every target of the grid that has none"
)
FIELD_HERE = Verb("Field here", "Place a tomogram field over the chosen target")
DROP_FIELD = Verb("Delete field", "Remove the chosen field")
WRITE_SITES = Verb("Stage list…", "Write the planned fields to a CSV file")

NORMALISE = Verb("Normalise", "Divide counts by flats; a layer of transmission shows it")
SHARPEN = Verb("Sharpen", "Wiener filter with the transfer of an ideal zone plate")
STRAIGHTEN = Verb("Align tilts", "Bring the tilt axis to y, by a file or by beads")
PAIR_ENERGIES = Verb("Pair", "Bring the upper energy onto the lower one, and subtract")
RECONSTRUCT = Verb("Reconstruct", "Make a tomogram of the aligned series")
READ_ALIGNMENT = Verb("Choose…", "Choose an alignment of IMOD (.xf) or AreTomo (.aln)")
MAP_RESOLUTION = Verb("Map", "Map the resolution of the two halves window by window")
READ_TILTS = Verb("Read…", "Read the tilts from a file (.tlt, .rawtlt)")
CORRELATE_HALVES = Verb("Correlate", "Correlate the halves by spatial frequency (FSC, FRC in 2D)")
COPY_RESOLUTION = Verb("Copy", "Put the resolution and its notes on the clipboard")
WRITE_CURVE = Verb("Curve…", "Write the curve and the resolution to two CSV files")
WEIGH = Verb("Weigh", "Measure density, clusters and masses; layers show them")
COPY_MASSES = Verb("Copy", "Put masses, limits and notes on the clipboard")
WRITE_MASSES = Verb("Clusters…", "Write clusters, totals and limits to two CSV files")

SHOW_MAP = Verb("Show map", "Show the site in the frame of the TEM map")
TRACE = Verb("Trace", "Find the lamella's outline on the TEM map")
DRAW_OUTLINE = Verb("Draw", "Draw the outline by hand, or edit its corners, in a layer of shapes")
TAKE_OUTLINE = Verb("Take over", "Make the polygon that was drawn the lamella's outline")
DROP_OUTLINE = Verb("Delete", "Remove the outline and its lamella")
CUT_SLAB = Verb("Cut slab", "Lay what the lamella holds of tomogram and fluorescence on the map")
CLEAR_SLAB = Verb("Clear slab", "Take these layers away")
PLACE_SERIES = Verb("Place series", "Click positions of tilt series on the map")
ADD_SESSIONS = Verb("Add sessions…", "Count the lamellae of other session files, too")
WRITE_CAMPAIGN = Verb("Write table…", "Write the campaign as a table (CSV) or a plot (SVG)")

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
    WRITE_IMAGE,
    PRINT_REPORT,
    REPLAY,
    RECORD,
    ADD_PRESET,
    ADD_EXPOSURE,
    EDIT_EXPOSURE,
    DROP_EXPOSURE,
    MARK_DONE,
    KEEP,
    GO_THERE,
    PUT_HERE,
    ADD_STEP,
    EDIT_STEP,
    TAKE_PLANNED,
    DROP_STEP,
    RAISE_STEP,
    RECORD_PLAN,
    CHECK_NUMBERS,
    WRITE_DOSES,
    WRITE_TARGET_DOSES,
    WRITE_PICTURE,
    NORMALISE,
    SHARPEN,
    STRAIGHTEN,
    PAIR_ENERGIES,
    RECONSTRUCT,
    READ_ALIGNMENT,
    MAP_RESOLUTION,
    READ_TILTS,
    CORRELATE_HALVES,
    COPY_RESOLUTION,
    WRITE_CURVE,
    WEIGH,
    COPY_MASSES,
    WRITE_MASSES,
    PICK_TARGET,
    GO_TARGET,
    DROP_TARGET,
    PROPOSE,
    BOX_HERE,
    DROP_BOX,
    WHAT_LIMITS,
    FILM_TILT,
    NEWER_VIEW,
    EXPORT_TARGETS,
    PROPOSE_SITES,
    FIELD_HERE,
    DROP_FIELD,
    WRITE_SITES,
    SHOW_MAP,
    TRACE,
    DRAW_OUTLINE,
    TAKE_OUTLINE,
    DROP_OUTLINE,
    CUT_SLAB,
    CLEAR_SLAB,
    PLACE_SERIES,
    ADD_SESSIONS,
    WRITE_CAMPAIGN,
)

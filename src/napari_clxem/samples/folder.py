"""Where the sample grid that ships with the package lies."""

from __future__ import annotations

from pathlib import Path

from napari_clxem.errors import ClxemError


def sample_folder() -> Path:
    """Give the folder of the shipped sample grid.

    Returns
    -------
    Path
        Inside the package where it was installed from a wheel, at the top of the source tree
        where the package is used from there.

    Raises
    ------
    ClxemError
        Where neither holds a ``grid.json``.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "sample_data", package.parents[1] / "sample_data")
    for place in places:
        if (place / "grid.json").is_file():
            return place
    raise ClxemError(
        f"The sample grid is neither in {places[0]} nor in {places[1]}; write it with "
        "`python -m napari_clxem.samples --folder sample_data`."
    )

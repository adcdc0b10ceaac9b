"""The result on paper: all that a session knows of its grid as one HTML file with pictures."""

from napari_clxem.report.writing import write_report

__all__ = ["write_report"]

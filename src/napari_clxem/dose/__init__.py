"""What looking at the sample costs."""

from napari_clxem.dose.exposure import Exposure

__all__ = ["Exposure"]

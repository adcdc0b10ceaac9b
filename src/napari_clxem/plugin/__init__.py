"""The napari plugin: the only code that imports napari and Qt."""

"""Images out: to OME-Zarr and OME-TIFF, block by block."""

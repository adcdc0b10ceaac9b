"""Where things are: frames, transforms, fits and their predicted error."""

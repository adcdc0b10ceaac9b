"""What ties frames together: fiducial detection and matching."""

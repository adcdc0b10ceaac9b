"""Points, targets, positions and transforms in the formats of other programs."""

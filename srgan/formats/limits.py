"""Bounds that every format keeps: beyond them a file is no axial CT slice, or too large to read."""

MAX_SIDE = 4096  # rows, columns or slices
MAX_SPACING_MM = 100.0
MAX_POSITION_MM = 1e5  # from the origin of the patient's coordinates
MAX_ANGLE_DEG = 20.0  # between the slice normal and the patient's long axis

"""The perfect crystal: its cell, symmetry, orientation, slip and material constants."""

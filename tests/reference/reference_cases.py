"""Parameters of reference images: of lines in aluminium, and those of the images that are kept."""

B = 4.0495e-4 / 2
DEFAULT = {
    "cell": [4.0495, 4.0495, 4.0495, 90, 90, 90],
    "hkl": [-1, 1, -1],
    "x_axis": [1, 0, -1],
    "energy": 17.0,
    "poisson": 0.334,
    "zeta_v": 0.53e-3 / 2.354820045,
    "clip": 0.14e-3,
    "zeta_h": 0.0,
    "acceptance": 0.731e-3 / 2.354820045,
    "aperture": 1.0323e-3,
    "bandwidth": 6e-5,
    "beam_fwhm": 0.15,
    "pixel": 0.04,
    "shape": [24, 36],
    "nz": 61,
    "phi": 0.0,
    "chi": 0.0,
    "two_theta": 0.0,
    "lines": [{"b_um": [B, 0, -B], "t": [1, -2, 1], "position_um": [0, 0, 0]}],
}
MIXED = [{"b_um": [B, 0, -B], "t": [2, -1, -1], "position_um": [0.3, -0.2, 0.1]}]
SCREW = [{"b_um": [B, -B, 0], "t": [1, -1, 0], "position_um": [0.05, 0.1, 0]}]
OBLIQUE = DEFAULT | {
    "cell": [4.0493, 4.0493, 4.0493, 90, 90, 90],
    "hkl": [-1, -1, 3],
    "energy": 19.1,
    "zeta_v": 0.027e-3 / 2.354820045,
    "acceptance": 0.556e-3 / 2.354820045,
    "clip": None,
    "aperture": None,
    "shape": [20, 24],
    "nz": 41,
    "phi": 5e-5,
    "oblique": {"mount": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "omega_rad": 0.11225233375590715},
    "lines": [{"b_um": [B, -B, 0], "t": [1, 1, 2], "position_um": [0, 0, 0]}],
}
KEPT = {
    "edge_strong": DEFAULT
    | {
        "aperture": None,
        "pixel": 0.05,
        "shape": [32, 72],
        "lines": [DEFAULT["lines"][0] | {"position_um": [0.11, -0.23, 0.05]}],
    },
    "edge_weak": DEFAULT | {"aperture": None, "phi": 1.3e-4, "shape": [32, 72]},
    "mixed_60_thick_beam": DEFAULT
    | {
        "aperture": None,
        "lines": MIXED,
        "beam_fwhm": 0.6,
        "nz": 121,
        "phi": 1.5e-4,
        "chi": 3e-4,
        "shape": [32, 72],
    },
    "oblique_113": OBLIQUE | {"phi": 4e-5, "shape": [40, 44], "nz": 61},
}
"""Strong and weak beam, a mixed line through a thick beam, an oblique reflection."""

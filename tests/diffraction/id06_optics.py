"""The instrument that the tests of this room share."""

import math

from instruments import symmetric_acceptance

from weakbeam.diffraction.geometry import DiffractionGeometry, symmetric_geometry
from weakbeam.instrument.goniometer import rotation_x

FWHM = 2.354820045
APERTURE = 1.0323e-3


def id06(**changes):
    """Build the default instrument; docs/explanation/physics.md, B3."""
    widths = {
        "theta": math.radians(8.97317),
        "bandwidth": 6.0e-5,
        "divergence_vertical": 0.53e-3 / 2.355,
        "clip": 140e-6,
        "divergence_horizontal": 0.0,
        "lens": 3.1106e-4,
        "aperture": APERTURE,
    }
    angle = changes.pop("phi_blur", None)
    if angle is not None:
        changes["motion"] = phi_motion(changes.get("theta", widths["theta"]), angle)
    return symmetric_acceptance(**(widths | changes))


def phi_motion(theta, angle):
    """What φ does to q in the symmetric geometry when it turns by `angle`."""
    return (angle * math.cos(theta), 0.0, -angle * math.sin(theta))


def oblique(theta, eta):
    """Build a reflection at azimuth eta; only the axes of the imaging frame matter here."""
    symmetric = symmetric_geometry(theta)
    turn = rotation_x(eta)
    return DiffractionGeometry(
        theta=theta,
        eta=eta,
        lab_from_sample=turn @ symmetric.lab_from_sample,
        phi_axis=turn @ symmetric.phi_axis,
        chi_axis=turn @ symmetric.chi_axis,
    )

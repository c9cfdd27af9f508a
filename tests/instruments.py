"""Acceptances of the symmetric geometry, reflection and instrument given in one go."""

from dataclasses import fields, replace

from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.instrument.optics import Optics

BEAM = {
    "bandwidth": 6e-5,
    "divergence_vertical": 2.25e-4,
    "clip": 1.4e-4,
    "divergence_horizontal": 0.0,
}
"""The beam of the reference instrument, rounded."""

OPTICS = {field.name for field in fields(Optics)}


def symmetric_acceptance(theta, motion=(0.0, 0.0, 0.0), **optics):
    """Build the acceptance of a reflection by an instrument."""
    return SymmetricAcceptance(theta, Optics(**optics), motion)


def changed(acceptance, **changes):
    """An acceptance with other values of its own or of its optics."""
    optics = {name: value for name, value in changes.items() if name in OPTICS}
    own = {name: value for name, value in changes.items() if name not in OPTICS}
    return replace(acceptance, optics=replace(acceptance.optics, **optics), **own)

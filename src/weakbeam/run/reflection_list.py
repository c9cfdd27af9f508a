"""The reflections that a crystal has at a beamline, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from weakbeam.diffraction.reachable import ReachableReflection
    from weakbeam.instrument.optics import Optics


class ReflectionList(NamedTuple):
    """The rows and what they belong to."""

    title: str
    rows: list[ReachableReflection]
    defects: list[str]
    energy_kev: float
    geometry: str
    cell_volume: float
    absorption_length: float | None = None
    optics: Optics | None = None


def spaced(indices: Sequence[int]) -> str:
    """Write indices with spaces between them."""
    return " ".join(str(index) for index in indices)


class Strength(NamedTuple):
    """How strongly a reflection takes from the beam; None where that is not known."""

    extinction_length: float | None
    """In µm."""
    peak_loss: float | None
    """Share of the incident beam that is diffracted away at the peak, per µm."""


def strength_of(row: ReachableReflection, table: ReflectionList) -> Strength:
    """Strength for a horizontally polarised beam; both settings on a mount have the same |η|."""
    from weakbeam.diffraction.depletion import bragg_density
    from weakbeam.diffraction.strength import DiffractionStrength, polarization

    if row.structure_factor is None:
        return Strength(None, None)
    eta = next((s.eta for s in row.solutions if s), 0.0)
    strength = DiffractionStrength(
        row.structure_factor,
        row.theta,
        row.d_spacing,
        table.cell_volume,
        polarization(row.theta, eta),
    )
    if table.optics is None:
        return Strength(strength.extinction_length, None)
    loss = strength.reflectivity * float(bragg_density(row.theta, eta, table.optics))
    return Strength(strength.extinction_length, loss)


def record_of(row: ReachableReflection, table: ReflectionList) -> dict[str, object]:
    """A row in the units that its keys end with, without the defects."""
    strength = strength_of(row, table)
    record: dict[str, object] = {
        "d_angstrom": row.d_spacing,
        "theta_deg": math.degrees(row.theta),
        "two_theta_deg": math.degrees(2 * row.theta),
        "structure_factor": row.structure_factor,
        "extinction_length_um": strength.extinction_length,
        "peak_loss_per_um": strength.peak_loss,
        "group": row.group,
        "multiplicity": row.multiplicity,
    }
    if table.geometry == "goniometer":
        record["mu_deg"] = next(math.degrees(s.mu) for s in row.solutions if s)
    if table.geometry != "symmetric":
        for number, solution in enumerate(row.solutions, 1):
            record[f"omega_{number}_deg"] = solution and math.degrees(solution.omega)
            record[f"eta_{number}_deg"] = solution and math.degrees(solution.eta)
    return record

"""The table of the reflections of a run, for its file and for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.crystal.lattice import Miller
from weakbeam.io.bliss import entry_name
from weakbeam.io.entry import Fields


@dataclass(frozen=True)
class ReflectionRow:
    """One reflection of a run.

    Parameters
    ----------
    entry : str
        The first of its entries in the file.
    hkl : tuple of 3 int
        Miller indices.
    geometry : str
        As the experiment has it.
    theta, eta : float
        Bragg angle and azimuth (rad).
    mu, omega, chi, phi : float
        Setting of the goniometer (rad).
    structure_factor : float
        |F| in electrons per unit cell; NaN, like the next two, where the atoms are not known.
    relative_power : float
        Scattering power |F|² P d³ relative to the strongest reflection of the run. Images are
        relative to the perfect crystal of their own reflection; this tells how they compare.
    extinction_length : float
        In µm.
    peak_loss : float
        Share of the incident beam that the perfect crystal diffracts away at its peak, per path
        (1/µm); see `weakbeam.diffraction.depletion`.
    peak_loss_over_field, absorbed_over_field : float
        Shares that are diffracted and absorbed on the way through the field of view.
    kinematical_from : float
        Angle off the peak (rad) from which on images are kinematical to 5 %.
    """

    entry: str
    hkl: Miller
    geometry: str
    theta: float
    eta: float
    mu: float
    omega: float
    chi: float
    phi: float
    structure_factor: float
    relative_power: float
    extinction_length: float
    peak_loss: float
    peak_loss_over_field: float
    absorbed_over_field: float
    kinematical_from: float


def reflection_rows(setups: Sequence[Setup]) -> tuple[ReflectionRow, ...]:
    """The reflections of a run, in the order of its entries.

    Parameters
    ----------
    setups : sequence of Setup
        One per reflection.

    Returns
    -------
    tuple of ReflectionRow
    """
    rows, start = [], 0
    strengths = [setup.strength for setup in setups]
    powers = [strength.scattering_power if strength else math.nan for strength in strengths]
    for setup, strength, power in zip(setups, strengths, powers, strict=True):
        depletion = setup.depletion
        rows.append(
            ReflectionRow(
                entry=entry_name(start),
                hkl=setup.hkl,
                geometry=setup.geometry_name,
                theta=setup.geometry.theta,
                eta=setup.geometry.eta,
                **setup.motors,
                structure_factor=strength.structure_factor if strength else math.nan,
                relative_power=power / max(powers),
                extinction_length=strength.extinction_length if strength else math.nan,
                peak_loss=float(depletion.per_path()) if depletion else math.nan,
                peak_loss_over_field=float(depletion.over_path()) if depletion else math.nan,
                absorbed_over_field=depletion.absorbed if depletion else math.nan,
                kinematical_from=depletion.harmless_from if depletion else math.nan,
            )
        )
        start += len(setup.scans)
    return tuple(rows)


def reflection_fields(rows: Sequence[ReflectionRow]) -> Fields:
    """The table as columns with their units, for the file."""
    columns: dict[str, object] = {
        "@NX_class": "NXcollection",
        "entry": [row.entry for row in rows],
        "hkl": np.array([row.hkl for row in rows]),
        "geometry": [row.geometry for row in rows],
    }
    for name in ("theta", "eta", "mu", "omega", "chi", "phi", "kinematical_from"):
        columns[name] = (np.degrees([getattr(row, name) for row in rows]), "deg")
    units = {
        "structure_factor": "",
        "relative_power": "",
        "extinction_length": "um",
        "peak_loss": "1/um",
        "peak_loss_over_field": "",
        "absorbed_over_field": "",
    }
    for name, unit in units.items():
        columns[name] = (np.array([getattr(row, name) for row in rows]), unit)
    return columns


def reflection_table(rows: Sequence[ReflectionRow]) -> str:
    """The table as text with aligned columns."""
    heads = ["entry", "h", "k", "l", "θ (°)", "η (°)", "μ (°)", "ω (°)", "|F| (e)", "power"]
    heads.append("loss (%/µm)")
    lines = [heads]
    for row in rows:
        angles = (row.theta, row.eta, row.mu, row.omega)
        lines.append(
            [
                row.entry,
                *(str(index) for index in row.hkl),
                *(f"{math.degrees(angle):.3f}" for angle in angles),
                _known(row.structure_factor, ".2f"),
                _known(row.relative_power, ".3f"),
                _known(100.0 * row.peak_loss, ".2g"),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        for cells in lines
    )


def validity_notes(setups: Sequence[Setup], scanned: bool = False) -> list[str]:
    """Whether kinematical theory holds, in one line for the reflection where it is worst.

    Parameters
    ----------
    setups : sequence of Setup
        One per reflection.
    scanned : bool
        Only reflections count whose scan comes so close to the peak that intensities are off by
        `NOT_KINEMATICAL`.

    Returns
    -------
    list of str
        Empty where no reflection counts, or the atoms are not known.
    """
    inexact = []
    for setup in setups:
        depletion = setup.depletion
        if depletion is None:
            continue
        if not scanned or setup.nearest_to_peak < depletion.harmless_from:
            inexact.append((depletion, setup))
    if not inexact:
        return []
    depletion, worst = max(inexact, key=lambda entry: entry[0].size)
    note = depletion.note()
    if len(setups) == 1:
        return [note]
    hkl = " ".join(map(str, worst.hkl))
    others = len(inexact) - 1
    if others == 0:
        return [f"({hkl}): {note}"]
    count = "1 other reflection is" if others == 1 else f"{others} other reflections are"
    return [f"({hkl}): {note}; {count} no worse"]


def _known(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)

"""The table of ``weakbeam reflections`` as text, JSON and comma-separated values."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from weakbeam.diffraction.reachable import ReachableReflection
    from weakbeam.instrument.optics import Optics

DEFECTS_IN_TEXT = 4
"""How many dislocations the text table has columns for; JSON and CSV have them all."""


class Table(NamedTuple):
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


class _Strength(NamedTuple):
    """How strongly a reflection takes from the beam; None where that is not known."""

    extinction_length: float | None
    """In µm."""
    peak_loss: float | None
    """Share of the incident beam that is diffracted away at the peak, per µm."""


def _strength(row: ReachableReflection, table: Table) -> _Strength:
    """Strength for a horizontally polarised beam; both settings on a mount have the same |η|."""
    from weakbeam.diffraction.depletion import bragg_density
    from weakbeam.diffraction.strength import DiffractionStrength, polarization

    if row.structure_factor is None:
        return _Strength(None, None)
    eta = next((s.eta for s in row.solutions if s), 0.0)
    strength = DiffractionStrength(
        row.structure_factor,
        row.theta,
        row.d_spacing,
        table.cell_volume,
        polarization(row.theta, eta),
    )
    if table.optics is None:
        return _Strength(strength.extinction_length, None)
    loss = strength.reflectivity * float(bragg_density(row.theta, eta, table.optics))
    return _Strength(strength.extinction_length, loss)


def _record(row: ReachableReflection, table: Table) -> dict[str, object]:
    """A row in the units that its keys end with, without the defects."""
    strength = _strength(row, table)
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


def as_json_text(table: Table) -> str:
    """Return the table as JSON, units in the names of the keys."""
    document = {
        "title": table.title,
        "energy_keV": table.energy_kev,
        "geometry": table.geometry,
        "absorption_length_um": table.absorption_length,
        "defects": table.defects,
        "reflections": [
            {
                "hkl": list(row.hkl),
                **_record(row, table),
                "defects": [asdict(contrast) for contrast in row.contrasts],
            }
            for row in table.rows
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv_text(table: Table) -> str:
    """Return the table as comma-separated values, every dislocation by its number."""
    text = io.StringIO()
    records = []
    for row in table.rows:
        record: dict[str, object] = dict(zip("hkl", row.hkl, strict=True))
        record |= _record(row, table)
        for number, contrast in enumerate(row.contrasts):
            record |= {f"{name}_{number}": value for name, value in asdict(contrast).items()}
        records.append(record)
    if records:
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return text.getvalue()


def as_text(table: Table) -> str:
    """Return the table with aligned columns, and what they mean above it."""
    heads = ["h", "k", "l", "d (Å)", "θ (°)", "2θ (°)", "|F| (e)", "Λ (µm)"]
    heads += ["loss (%/µm)", "group", "mult."]
    if table.geometry == "goniometer":
        heads.append("μ (°)")
    if table.geometry != "symmetric":
        heads += ["ω1 (°)", "η1 (°)", "ω2 (°)", "η2 (°)"]
    shown = min(len(table.defects), DEFECTS_IN_TEXT)
    for number in range(shown):
        heads += [f"g·b [{number}]", "g·(b×t)", "visibility"]
    lines = [heads]
    for row in table.rows:
        cells = [str(index) for index in row.hkl]
        cells += [f"{row.d_spacing:.4f}"]
        cells += [f"{math.degrees(angle):.3f}" for angle in (row.theta, 2 * row.theta)]
        cells += ["-" if row.structure_factor is None else f"{row.structure_factor:.2f}"]
        length, loss = _strength(row, table)
        cells += ["-" if length is None else f"{length:.1f}"]
        cells += ["-" if loss is None else f"{100.0 * loss:.2g}"]
        cells += [str(row.group), str(row.multiplicity)]
        if table.geometry == "goniometer":
            cells += [next(_degrees(s.mu) for s in row.solutions if s)]
        for solution in row.solutions:
            angles = ("-", "-") if solution is None else (solution.omega, solution.eta)
            cells += [_degrees(angle) for angle in angles]
        for contrast in row.contrasts[:shown]:
            cells += [f"{contrast.g_dot_b:.3g}", f"{contrast.g_dot_b_cross_t:.3g}"]
            cells += [f"{1e6 * contrast.visibility:.2f}"]
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = [
        "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in lines
    ]
    count = "1 reflection" if len(table.rows) == 1 else f"{len(table.rows)} reflections"
    above = [f"{table.title}: {count}"]
    if table.absorption_length is not None:
        above.append(f"absorption length {table.absorption_length:.4g} µm")
    if any(row.structure_factor is not None for row in table.rows):
        above.append("Λ: extinction length")
        if table.optics is not None:
            above.append("loss: of the incident beam to the diffracted one, at the peak")
    above += [f"[{n}]: {table.defects[n]}" for n in range(shown)]
    if shown:
        above.append("visibility: rms |δq| at 1 µm from the line, in 1e-6")
    if len(table.defects) > shown:
        above.append(f"and {len(table.defects) - shown} more defects: see --json or --csv")
    return "\n".join([*above, "", *body])


def _degrees(angle: float | str) -> str:
    return angle if isinstance(angle, str) else f"{math.degrees(angle):.3f}"

"""The table of ``weakbeam reflections`` as text, JSON and comma-separated values."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict

from weakbeam.run.reflection_list import ReflectionList, record_of, strength_of

DEFECTS_IN_TEXT = 4
"""How many dislocations the text table has columns for; JSON and CSV have them all."""


def as_json_text(table: ReflectionList) -> str:
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
                **record_of(row, table),
                "defects": [asdict(contrast) for contrast in row.contrasts],
            }
            for row in table.rows
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_csv_text(table: ReflectionList) -> str:
    """Return the table as comma-separated values, every dislocation by its number."""
    text = io.StringIO()
    records = []
    for row in table.rows:
        record: dict[str, object] = dict(zip("hkl", row.hkl, strict=True))
        record |= record_of(row, table)
        for number, contrast in enumerate(row.contrasts):
            record |= {f"{name}_{number}": value for name, value in asdict(contrast).items()}
        records.append(record)
    if records:
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return text.getvalue()


def as_text(table: ReflectionList) -> str:
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
        length, loss = strength_of(row, table)
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

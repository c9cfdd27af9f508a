"""The dislocations of a fit as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.fit.stack_model import FittedLine

COLUMNS = (
    "number", "plane", "burgers", "character_deg", "character_error_deg", "probability",
    "log_evidence", "x_um", "y_um", "z_um", "row", "column", "first_name", "first", "first_error",
    "second_name", "second", "second_error",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    """One dislocation of the table.

    Parameters
    ----------
    line : FittedLine
        Where it is, and of which type.
    values, errors : (2 or 3,) ndarray
        What was fitted of it, in the order of `line.names`, with standard errors.
    position_um : (3,) ndarray
        A point on it (sample frame): where it crosses the middle of the beam, or beside the origin.
    pixel : (2,) ndarray
        Row and column of the stored image, from 0, at which it crosses the middle of the beam; of a
        line in the sheet the pixel of its point that is nearest to the middle of the image.
    probability : float
        Of its slip system, among all those that were tried in its place.
    log_evidence : float
        By how much it raises the log-evidence, in units of the misfit; NaN if that was not tried.
    """

    line: FittedLine
    values: Floats
    errors: Floats
    position_um: Floats
    pixel: Floats
    probability: float
    log_evidence: float


def table_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The dislocations of a fit as rows of plain values."""
    told = []
    for number, row in enumerate(rows):
        line = row.line
        first, second = line.place.names
        told.append(
            {
                "number": number,
                "plane": " ".join(map(str, line.type.plane)),
                "burgers": " ".join(map(str, line.type.burgers)),
                "character_deg": float(line.type.character_deg),
                "character_error_deg": float(row.errors[2]) if line.turning else math.nan,
                "probability": row.probability,
                "log_evidence": row.log_evidence,
                "x_um": float(row.position_um[0]),
                "y_um": float(row.position_um[1]),
                "z_um": float(row.position_um[2]),
                "row": float(row.pixel[0]),
                "column": float(row.pixel[1]),
                "first_name": first,
                "first": float(row.values[0]),
                "first_error": float(row.errors[0]),
                "second_name": second,
                "second": float(row.values[1]),
                "second_error": float(row.errors[1]),
            }
        )
    return told


def number(value: Any) -> Any:
    """Of JSON, which has no NaN."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def told_of(record: Mapping[str, Any]) -> list[str]:
    """What a fit has found, from its numbers as JSON has them, in lines that fit a terminal."""
    from weakbeam.fit.calibration_figure import with_error

    def valued(value: float | None, error: float | None) -> str:
        if value is None:
            return "unknown"
        return f"{value:.6g}" if error is None else with_error(value, error)

    told = [str(record["verdict"])]
    for row in record["dislocations"]:
        character = valued(row["character_deg"], row["character_error_deg"])
        places = ", ".join(
            f"{row[f'{place}_name']} {valued(row[place], row[f'{place}_error'])}"
            for place in ("first", "second")
        )
        told.append(
            f"{row['number']:3} ({row['plane']}) [{row['burgers']}] {character} deg, {places}; "
            f"probability {row['probability']:.3g}"
        )
    for motor, offset in record["offsets_urad"].items():
        label = f"{motor} offset"
        told.append(f"    {label:20} {valued(offset['value'], offset['error'])} µrad")
    label = "blur"
    told.append(f"    {label:20} {record['blur_px']:.3g} pixels")
    return told

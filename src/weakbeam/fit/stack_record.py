"""The dislocations of a fit as rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.loop_types import LoopType
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_loop import FittedLoop
from weakbeam.fit.fitted_wall import FittedWall

COLUMNS = (
    "number", "plane", "burgers", "character_deg", "character_error_deg", "probability",
    "log_evidence", "x_um", "y_um", "z_um", "row", "column", "first_name", "first", "first_error",
    "second_name", "second", "second_error", "kind", "habit", "depth_um", "depth_error_um",
    "radius_um", "radius_error_um", "spacing_um", "spacing_error_um", "misorientation_urad",
    "misorientation_error_urad",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    """One dislocation of the table.

    Parameters
    ----------
    line : FittedDefect
        Where it is, and of which type.
    values, errors : (n,) ndarray
        What was fitted of it, in the order of `line.names`, with standard errors.
    position_um : (3,) ndarray
        A point on it (sample frame): where a line crosses the middle of the beam, or beside the
        origin; the centre of a loop; of a wall a point on the line next to the middle of the image.
    pixel : (2,) ndarray
        Row and column of the stored image, from 0, at which it crosses the middle of the beam; of a
        line in the sheet, or a wall, the pixel of its point that is nearest to the middle of the
        image; of a loop that at which its centre is seen.
    probability : float
        Of its slip system, among all those that were tried in its place.
    log_evidence : float
        By how much it raises the log-evidence, in units of the misfit; NaN if that was not tried.
    """

    line: FittedDefect
    values: Floats
    errors: Floats
    position_um: Floats
    pixel: Floats
    probability: float
    log_evidence: float

    def of(self, name: str) -> tuple[float, float]:
        """Value and error of a parameter; NaN of one that is not fitted."""
        if name not in self.line.names:
            return math.nan, math.nan
        number = self.line.names.index(name)
        return float(self.values[number]), float(self.errors[number])


def table_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The dislocations of a fit as rows of plain values."""
    told = []
    for number, row in enumerate(rows):
        line = row.line
        first, second = line.names[:2]
        plane = line.type.plane
        round_ = isinstance(line, FittedLoop)
        entry: dict[str, Any] = {
            "number": number,
            "kind": line.kind,
            # A prismatic loop lies across its Burgers vector.
            "plane": "" if plane is None else " ".join(map(str, plane)),
            "burgers": " ".join(map(str, line.type.burgers)),
            "character_deg": _character(line),
            "character_error_deg": row.of("character_deg")[1],
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
            "habit": line.type.habit if isinstance(line.type, LoopType) else "",
        }
        for name in ("depth_um", "radius_um", "spacing_um"):
            value, error = row.of(name) if name != "depth_um" or round_ else (math.nan, math.nan)
            entry |= {name: value, name.replace("_um", "_error_um"): error}
        turn = turn_error = math.nan
        if isinstance(line, FittedWall):
            turn = 1e6 * line.misorientation
            turn_error = turn * entry["spacing_error_um"] / entry["spacing_um"]
        told.append(entry | {"misorientation_urad": turn, "misorientation_error_urad": turn_error})
    return told


def _character(line: FittedDefect) -> float:
    return math.nan if isinstance(line.type, LoopType) else float(line.type.character_deg)


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
        kind = row.get("kind", "line")
        places = [
            f"{row[f'{place}_name']} {valued(row[place], row[f'{place}_error'])}"
            for place in ("first", "second")
        ]
        plane, what = f"({row['plane']}) " if row["plane"] else "", ""
        if kind == "loop":
            what = f"{row['habit']} loop "
            places += [
                f"{name} {valued(row[f'{name}_um'], row[f'{name}_error_um'])} um"
                for name in ("depth", "radius")
            ]
        elif kind == "wall":
            what = "wall "
            places.append(f"spacing {valued(row['spacing_um'], row['spacing_error_um'])} um")
            turn = valued(row["misorientation_urad"], row["misorientation_error_urad"])
            places.append(f"{turn} urad")
        character = ""
        if kind != "loop":
            character = f" {valued(row['character_deg'], row['character_error_deg'])} deg"
        told.append(
            f"{row['number']:3} {what}{plane}[{row['burgers']}]{character}, {', '.join(places)}; "
            f"probability {row['probability']:.3g}"
        )
    for motor, offset in record["offsets_urad"].items():
        label = f"{motor} offset"
        told.append(f"    {label:20} {valued(offset['value'], offset['error'])} µrad")
    label = "blur"
    told.append(f"    {label:20} {record['blur_px']:.3g} pixels")
    return told

"""What a fit of a stack says: a table of dislocations, a verdict, and the experiment they make."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.html import lines_html
from weakbeam.defects.types import DislocationType
from weakbeam.experiment import Experiment
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_experiment import (
    TILT_FILE,
    fitted_experiment,
    scan_tables_of,
    tilt_grid,
)
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.fitted_loop import CORNERS, FittedLoop
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.observation import Bools
from weakbeam.fit.stack_climb import honest_covariance
from weakbeam.fit.stack_fit import StackFit
from weakbeam.fit.stack_model import State
from weakbeam.fit.stack_record import COLUMNS, Row, number, table_of
from weakbeam.fit.stack_regions import regions_of
from weakbeam.imaging.motors import ANGLES
from weakbeam.run.records import Records

_CORE_UM = 0.3
_LOST = 0.5
_VAGUE = 0.3


@dataclass(frozen=True, eq=False)
class StackResult:
    """Dislocations of a stack.

    Parameters
    ----------
    fit : StackFit
        What was found.
    experiment : Experiment
        What was known of crystal and instrument.
    source : str
        File and entry.
    notes : tuple of str
        What is odd about the scan.
    """

    fit: StackFit
    experiment: Experiment
    source: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = ", ".join(row.line.label for row in self.rows) or "none"
        return f"StackResult({len(self.rows)} dislocations: {lines}; {self.verdict})"

    def _repr_html_(self) -> str:
        return f"<div>{self._records._repr_html_()}{lines_html(self.remarks)}</div>"

    def to_pandas(self) -> Any:
        """The dislocations as a `pandas.DataFrame`, a row each."""
        return self._records.to_pandas()

    @property
    def _records(self) -> Records:
        return Records(self.verdict, self.table())

    # ------------------------------------------------------------------ numbers

    @property
    def state(self) -> State:
        """The best values of all parameters."""
        return self.fit.state

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.fit.model.names(self.state)

    @property
    def values(self) -> Floats:
        """Values of the parameters."""
        state, model = self.state, self.fit.model
        parts = [state.offsets, *(state.tilt[c] for c in model.components)]
        if model.blurs:
            parts.append(np.array([state.blur]))
        parts += [state.light, state.background]
        parts += [line.values for line in state.lines]
        return np.concatenate(parts)

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the parameters, the brightness of frames taken out.

        See :func:`.honest_covariance`.
        """
        return honest_covariance(self.fit.normal, self.fit.model.shape, self.fit.moved)

    @property
    def errors(self) -> Floats:
        """Standard errors of the parameters."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The table."""
        place = len(self.names) - sum(len(line.names) for line in self.state.lines)
        rows = []
        for k, line in enumerate(self.state.lines):
            count = len(line.names)
            others = [one.log_evidence for one in self.fit.alternatives[k]]
            rows.append(
                Row(
                    line,
                    line.values,
                    self.errors[place : place + count],
                    line.position_um,
                    self._pixel(line),
                    1.0 / (1.0 + sum(math.exp(min(other, 0.0)) for other in others)),
                    self.fit.gains[k],
                )
            )
            place += count
        return tuple(rows)

    def _pixel(self, line: FittedDefect) -> Floats:
        """Row and column of the stored image."""
        model = self.fit.model
        steps = np.stack(model.renderer.pixel_steps())
        point = line.position_um - model.image_middle
        if isinstance(line, FittedLoop):
            grid, height = model.setup.grids[0], float(line.position_um @ model.renderer.up)
            point = point - grid.along_ray * height
        elif isinstance(line, FittedWall):
            point = line.at[0] * line.axes[0]
        elif isinstance(line, FittedLine) and line.in_sheet:
            along = model.setup.sample_from_crystal @ line.type.line
            point = point - along * float(along @ point)
        away = np.linalg.lstsq(steps.T, point, rcond=None)[0]
        return np.asarray(away + 0.5 * (np.array(model.shape) - 1.0))

    # ------------------------------------------------------------------ goodness

    @cached_property
    def near_cores(self) -> Bools:
        """Pixels within 0.3 µm of a line or a wall."""
        model = self.fit.model
        row, column = model.renderer.pixel_steps()
        rows, columns = model.shape
        i, j = np.meshgrid(
            np.arange(rows) - 0.5 * (rows - 1),
            np.arange(columns) - 0.5 * (columns - 1),
            indexing="ij",
        )
        points = i[..., None] * row + j[..., None] * column + model.image_middle
        near = np.zeros(model.shape, bool)
        for line in self.state.lines:
            near |= _distance(points, line, model.setup.sample_from_crystal) < _CORE_UM
        return near

    def misfit_of(self, pixels: Bools) -> float:
        """Mean squared residual over its variance of some pixels."""
        values = self.fit.misfit[pixels & np.isfinite(self.fit.misfit)]
        return float(values.mean()) if values.size else math.nan

    @property
    def outside_cores(self) -> float:
        """Mean squared residual over its variance farther than 0.3 µm from all lines."""
        return self.misfit_of(~self.near_cores)

    @property
    def noise_outside_cores(self) -> float:
        """The same with the variance of the noise alone: 1 where the model makes no error."""
        values = self.fit.noise_misfit[~self.near_cores & np.isfinite(self.fit.noise_misfit)]
        return float(values.mean()) if values.size else math.nan

    @cached_property
    def regions(self) -> tuple[dict[str, Any], ...]:
        """Goodness of fit of the parts of the image: rows, columns, misfit, whether explained."""
        return regions_of(self.fit.misfit, len(self.fit.data))

    @property
    def unexplained(self) -> tuple[dict[str, Any], ...]:
        """The regions that the model does not explain, the worst first."""
        bad = [region for region in self.regions if region["explained"] is False]
        return tuple(sorted(bad, key=lambda region: -region["chi2"]))

    @property
    def explained(self) -> bool:
        """Whether the model explains the stack everywhere."""
        return self.fit.converged and not self.unexplained and not self.fit.given_up

    @property
    def in_sheet(self) -> tuple[int, ...]:
        """Numbers of the dislocations that lie in the sheet of the beam, or nearly so."""
        return tuple(k for k, row in enumerate(self.rows) if row.line.in_sheet)

    @property
    def verdict(self) -> str:
        """What to believe, in a line."""
        what = _counted([row.line for row in self.rows])
        chi2 = f"chi2 {self.fit.normal.reduced:.3g}"
        bad, all_ = len(self.unexplained), len(self.regions)
        flat = ""
        if self.in_sheet:
            one, numbers = len(self.in_sheet) == 1, " and ".join(map(str, self.in_sheet))
            flat = f"; {numbers} lie{'s' if one else ''} in the sheet: errors may be too small"
        if not bad:
            return f"{what}, and the stack is explained everywhere ({chi2}){flat}"
        worst = self.unexplained[0]
        where = "rows {}-{}, columns {}-{}".format(*worst["rows"], *worst["columns"])
        if bad > all_ // 2:
            return f"{what}, but the model does not explain the stack ({chi2}){flat}"
        return (
            f"{what}, but {bad} of {all_} regions are not explained ({chi2}), the worst at {where}"
            f"{flat}"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know before these numbers are trusted, a line each."""
        told = list(self.notes)
        if self.unexplained:
            worst = self.unexplained[0]
            told.append(
                "the model does not explain the stack at rows {}-{}, columns {}-{} (chi2 "
                "{:.3g}){}: do not trust what is there".format(
                    *worst["rows"],
                    *worst["columns"],
                    worst["chi2"],
                    f" and in {len(self.unexplained) - 1} other regions"
                    if len(self.unexplained) > 1
                    else "",
                )
            )
        if self.fit.given_up:
            told.append(
                "what would explain the stack was not found in the time that the search may take: "
                "what is listed is the best so far, and may be wrong altogether"
            )
        if not self.fit.converged:
            told.append("the fit has not converged")
        for k, row in enumerate(self.rows):
            if row.probability < 0.95:
                other = self.fit.alternatives[k][0].line.label
                told.append(
                    f"dislocation {k} may be {other} as well: {row.line.label} has a "
                    f"probability of {row.probability:.2g}"
                )
            told += _remarks_of(k, row)
            if row.line.in_sheet:
                told.append(
                    f"dislocation {k} lies in the sheet: a slight error of the model is alike "
                    "along all of it, and its place may be off by several times the stated errors"
                )
            rows, columns = self.fit.model.shape
            inside = -0.5 <= row.pixel[0] < rows - 0.5 and -0.5 <= row.pixel[1] < columns - 0.5
            if not inside and row.line.kind != "wall" and not row.line.in_sheet:
                told.append(
                    f"dislocation {k} lies outside the field, and is told by its far field "
                    "alone: other types and places may do as well"
                )
            lost = row.errors[:2].max() > 0.25 * max(self.fit.model.shape)
            if lost and row.line.kind != "wall" and not row.line.in_sheet:
                told.append(f"where dislocation {k} is the stack does not tell")
        odd = int((~self.fit.data.good).sum())
        if odd:
            told.append(f"{odd} pixels are hot, dead or masked, and left out")
        if not self.fit.residual_maps.motors:
            told.append("no motor moves: an image alone may be explained in several ways")
        if self.scan_tables is None:
            told.append("the scan is on no grid of an experiment: `scan` stays as it was given")
        return tuple(told)

    # ------------------------------------------------------------------ what is written

    @cached_property
    def scan_tables(self) -> dict[str, Any] | None:
        """Table ``scan`` of its experiment; None where the positions are on no grid."""
        return scan_tables_of(self.fit.data.taken, self.state)

    def fitted(self, tilt_file: str | None = TILT_FILE) -> Experiment:
        """The experiment that simulates the stack, up to its light and background.

        Parameters
        ----------
        tilt_file : str, optional
            Where :meth:`tilt_grid` will be, if the lattice is bent.
        """
        mount = self.fit.model.setup.sample_from_crystal
        return fitted_experiment(self.experiment, self.state, self.scan_tables, mount, tilt_file)

    def tilt_grid(self) -> Mapping[str, Floats]:
        """Displacement gradient of the lattice's tilt on a grid of the sample, for an ``.npz``."""
        return tilt_grid(self.fit.model, self.state)

    def table(self) -> list[dict[str, Any]]:
        """The dislocations as rows of plain values."""
        return table_of(self.rows)

    def to_csv(self) -> str:
        """The dislocations, one a line."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.table())
        return text.getvalue()

    def numbers(self) -> dict[str, Any]:
        """All of it for JSON."""
        fit, state = self.fit, self.state
        errors = dict(zip(self.names, self.errors, strict=True))
        return {
            "kind": "fit",
            "source": self.source,
            "verdict": self.verdict,
            "explained": self.explained,
            "converged": fit.converged,
            "chi2": fit.normal.reduced,
            "chi2_outside_cores": number(self.outside_cores),
            "chi2_of_noise_outside_cores": number(self.noise_outside_cores),
            "residuals": fit.normal.pixels,
            "frames": len(fit.data.taken),
            "dislocations": [
                {key: number(value) for key, value in row.items()}
                | {
                    "alternatives": [
                        {
                            "type": other.line.label,
                            "log_evidence": other.log_evidence,
                        }
                        for other in fit.alternatives[row["number"]]
                    ]
                }
                for row in self.table()
            ],
            "offsets_urad": {
                motor: {
                    "value": 1e6 * float(state.offsets[k]),
                    "error": 1e6 * float(errors[f"offset_{motor}"]),
                }
                for k, motor in enumerate(ANGLES)
            },
            "blur_px": math.sqrt(state.blur),
            "counts_at_peak": float(state.light[0]),
            "parameters": list(self.names),
            "values": [number(value) for value in self.values],
            "errors": [number(value) for value in self.errors],
            "covariance": [[number(value) for value in row] for row in self.covariance],
            "brightness_of_frames": (1.0 + state.brightness).tolist(),
            "regions": [region | {"chi2": number(region["chi2"])} for region in self.regions],
            "left_out_pixels": int((~fit.data.good).sum()),
            "remarks": list(self.remarks),
            "trail": list(fit.trail),
        }

    def to_json(self) -> str:
        """All of it as JSON."""
        return json.dumps(self.numbers(), indent=2, ensure_ascii=False) + "\n"


def _counted(lines: Sequence[FittedDefect]) -> str:
    """How many of each kind there are."""
    nouns = {"line": "dislocation", "loop": "loop", "wall": "wall"}
    told = []
    for kind, noun in nouns.items():
        count = sum(line.kind == kind for line in lines)
        told += [f"{count} {noun}{'' if count == 1 else 's'}"] if count else []
    return " and ".join(told) or "no dislocation"


def _distance(points: Floats, line: FittedDefect, mount: Floats) -> Floats:
    """Distance (µm) of points (..., 3) from a defect."""
    if isinstance(line, FittedLoop):
        corners = line.corners(mount, 8 * CORNERS)
        far = [np.linalg.norm(points - corner, axis=-1) for corner in corners]
        return np.asarray(np.min(far, axis=0))
    away = points - line.position_um
    assert isinstance(line.type, DislocationType)
    along = mount @ line.type.line
    if isinstance(line, FittedWall):
        return np.asarray(np.abs(away @ np.cross(along, line.axes[1])))
    away = away - (away @ along)[..., None] * along
    return np.asarray(np.linalg.norm(away, axis=-1))


def _remarks_of(number: int, row: Row) -> list[str]:
    """What to know of a loop or a wall."""
    if isinstance(row.line, FittedLoop):
        told = [
            f"loop {number} may be off by several of its errors along the rows of the camera: "
            "images change there by small jumps"
        ]
        radius, error = row.of("radius_um")
        if error > _VAGUE * radius:
            size = f"{radius:.2g} ± {error:.1g} µm"
            told.append(f"how large loop {number} is the stack hardly tells: {size}")
        return told
    if isinstance(row.line, FittedWall) and row.of("along_um")[1] > _VAGUE * row.line.spacing_um:
        return [
            f"the lines of wall {number} are not told apart: its spacing is that of its "
            "misorientation, for this Burgers vector"
        ]
    return []

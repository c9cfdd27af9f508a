"""The figure of a fitted stack."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from textwrap import wrap
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.fitted_loop import FittedLoop
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.stack_curves import shift_maps
from weakbeam.fit.stack_model import StackModel
from weakbeam.fit.stack_record import Row
from weakbeam.fit.stack_result import StackResult
from weakbeam.plot.drawing import Drawing
from weakbeam.plot.stack_fit import Trace
from weakbeam.plot.view import View

_FIGURE = "weakbeam.plot.stack_fit.stack_fit_figure"
_MOST_LINES = 12
_CIRCLE = 72
_LONGEST = 110
"""Letters of a line of text."""
_SYMBOLS = ("φ", "χ", "2θ")


def stack_drawing(result: StackResult, view: View | None = None) -> Drawing:
    """Describe the figure of a fitted stack.

    Parameters
    ----------
    result : StackResult
        The fit.
    view : View, optional
        What rows and columns of its frames are; by default what the camera read.
    """
    fit = result.fit
    numbers = np.unique(np.linspace(0, len(fit.data) - 1, 24).astype(np.intp))
    counts, _, _ = fit.data.read(numbers, 0.0)
    shown = int(np.argmax(counts.std(axis=(1, 2)) / np.sqrt(np.maximum(counts.mean((1, 2)), 1.0))))
    image = np.where(fit.data.good, counts[shown], np.nan)
    maps = shift_maps(fit.model, fit.data)
    options: dict[str, Any] = {}
    if maps.motors:
        known = np.where(np.isfinite(maps.errors[0]), maps.shifts[0], np.nan)
        options["shifts"] = 1e6 * known
        options["shift_label"] = f"{_SYMBOLS[maps.motors[0]]} of the lattice (µrad)"
    where = f"{result.source.rpartition('/')[2]}: " if result.source else ""
    found, _, rest = result.verdict.partition("; ")
    title, *more = wrap(where + found if len(where + found) <= _LONGEST else found, _LONGEST)
    told = [_told(number, row) for number, row in enumerate(result.rows[:_MOST_LINES])]
    if len(result.rows) > _MOST_LINES:
        told.append(f"and {len(result.rows) - _MOST_LINES} more")
    told += [*more, *wrap(rest, _LONGEST)]
    return Drawing(
        _FIGURE,
        (
            image,
            fit.misfit,
            np.where(fit.data.good, fit.residual, np.nan),
            view or View.of_pixels(fit.model.shape),
            [tuple(map(float, row.pixel)) for row in result.rows],
            [trace_of(result, row) for row in result.rows],
        ),
        options
        | {
            "lines": told,
            "title": title,
            "image_label": f"counts, frame {int(numbers[shown])}",
        },
    )


def told_of_drawing(drawing: Drawing) -> dict[str, Any]:
    """What a figure has besides its maps, of plain values."""
    _, _, _, view, marks, traces = drawing.arguments
    plain = {
        field.name: value.tolist() if isinstance(value, np.ndarray) else value
        for field in fields(view)
        for value in [getattr(view, field.name)]
    }
    rest = {key: value for key, value in drawing.options.items() if key != "shifts"}
    return {"view": plain, "marks": marks, "traces": traces, "options": rest}


def stored_drawing(maps: Mapping[str, Floats], told: Mapping[str, Any]) -> Drawing:
    """Describe the figure of a fit that was written.

    Parameters
    ----------
    maps : mapping of str to (rows, columns) ndarray
        Its maps: ``image``, ``misfit``, ``residual``, and ``shifts`` where there is one.
    told : mapping
        As :func:`told_of_drawing` has it.

    Raises
    ------
    InputError
        If something of it is missing.
    """
    try:
        axes = {key: np.asarray(told["view"][key], dtype=float) for key in ("x", "y")}
        view = View(**{**told["view"], **axes})
        options = dict(told["options"])
        marks = [(float(row), float(column)) for row, column in told["marks"]]
        traces = [tuple((float(a), float(b)) for a, b in ends) for ends in told["traces"]]
    except (KeyError, TypeError, ValueError):
        raise InputError("figure", None, "of the fit is damaged") from None
    if "shifts" in maps:
        options["shifts"] = maps["shifts"]
    images = (maps[name] for name in ("image", "misfit", "residual"))
    return Drawing(_FIGURE, (*images, view, marks, traces), options)


def _told(number: int, row: Row) -> str:
    line, kind = row.line, row.line.type
    plane = "" if kind.plane is None else "({} {} {}) ".format(*kind.plane)
    what = f"{plane}[{' '.join(map(str, kind.burgers))}]"
    turn_error = row.of("character_deg")[1]
    if isinstance(line, FittedLoop):
        what = f"{line.type.habit} loop {what}"
    else:
        assert isinstance(line.type, DislocationType)
        error = "" if math.isnan(turn_error) else f" ± {turn_error:.2g}"
        what = f"{'wall ' if line.kind == 'wall' else ''}{what}"
        what = f"{what} {line.type.character_deg:.4g}{error} deg"
    places = ", ".join(
        f"{name.replace('_', ' ')} {value:.4g} ± {error:.2g}"
        for name, value, error in zip(row.line.names, row.values, row.errors, strict=True)
        if name != "character_deg"
    )
    return f"{number}: {what}, {places}"


def trace_of(result: StackResult, row: Row) -> Trace:
    """Rows and columns of a line where it is lit, as the camera sees it: of its ends.

    Of a loop those of its circle, all of it; of a wall of the ends of its line in the sheet.
    """
    model = result.fit.model
    grid = model.setup.grids[0]
    if isinstance(row.line, FittedLoop):
        corners = row.line.corners(model.setup.sample_from_crystal, _CIRCLE)
        pixels = [_seen(model, point) for point in (*corners, corners[0])]
        return tuple((float(row), float(column)) for row, column in pixels)
    if isinstance(row.line, FittedWall):
        stacking = row.line.axes[1]
        normal = np.cross(model.setup.sample_from_crystal @ row.line.type.line, stacking)
        trace = np.cross(normal, model.renderer.up)
        steps = np.stack(model.renderer.pixel_steps())
        away = np.linalg.lstsq(steps.T, trace, rcond=None)[0]
        away *= max(model.shape) / max(float(np.linalg.norm(away)), 1e-9)
        first, second = (row.pixel + way * away for way in (-1.0, 1.0))
        return (float(first[0]), float(first[1])), (float(second[0]), float(second[1]))
    assert isinstance(row.line, FittedLine)
    direction = model.setup.sample_from_crystal @ row.line.type.line
    up = model.renderer.up
    slope = float(direction @ up)
    steps = np.stack(model.renderer.pixel_steps())
    far = float(np.linalg.norm(np.array(model.shape) @ np.abs(steps)))
    half = 0.5 * model.renderer.lit_depth / max(abs(slope), 1e-9)
    length = min(half, far)

    def seen(point: Floats) -> tuple[float, float]:
        # Along the diffracted beam to the height of the middle of the beam.
        level = point - grid.along_ray * float(point @ up)
        away = np.linalg.lstsq(steps.T, level, rcond=None)[0]
        return float(away[0]), float(away[1])

    point = row.line.position_um
    middle = np.array(seen(point)) if not row.line.in_sheet else None
    ends = [np.array(seen(point + way * length * direction)) for way in (-1.0, 1.0)]
    if middle is None:
        middle = 0.5 * (ends[0] + ends[1])
        shift = row.pixel - np.array(seen(_of_pixel(result, row)))
    else:
        shift = row.pixel - middle
    first, second = (tuple(map(float, end + shift)) for end in ends)
    return (first[0], first[1]), (second[0], second[1])


def _seen(model: StackModel, point: Floats) -> Floats:
    """Row and column at which the camera sees a point (µm, sample frame)."""
    level = point - model.setup.grids[0].along_ray * float(point @ model.renderer.up)
    steps = np.stack(model.renderer.pixel_steps())
    away = np.linalg.lstsq(steps.T, level - model.image_middle, rcond=None)[0]
    return np.asarray(away + 0.5 * (np.array(model.shape) - 1.0))


def _of_pixel(result: StackResult, row: Row) -> Floats:
    """The point of a line in the sheet that its mark is at."""
    assert isinstance(row.line, FittedLine)
    direction = result.fit.model.setup.sample_from_crystal @ row.line.type.line
    point = row.line.position_um
    return np.asarray(point - direction * float(direction @ point))

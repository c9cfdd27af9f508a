"""What a page is told of a session: its experiment, its defects in the picture, its choices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weakbeam import __version__
from weakbeam.assemble.placed import ShownLines
from weakbeam.core.arrays import Floats
from weakbeam.crystal.materials import MATERIALS
from weakbeam.experiment.panel import panel, values_of
from weakbeam.experiment.presets import preset_names
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.run.reflection_rows import validity_notes
from weakbeam.run.view import View as SampleView
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.pictures import shown_places
from weakbeam.viewer.state import RULES, Side

_MOST_LINES = 300
"""Lines of a defect that are drawn over the picture."""

_MORE_THAN_FIELD = 2.0
"""How many heights of the beam z moves by on its slider, at least."""


def greeting(folder: str) -> dict[str, Any]:
    """What does not change while a session lasts."""
    return {
        "version": __version__,
        "folder": folder,
        "panel": panel(),
        "templates": [
            {"name": t.name, "doc": t.description}
            for t in TEMPLATES.values()
            if t.experiment.identify is None
        ],
        "presets": list(preset_names()),
        "rules": dict(RULES),
        "materials": list(MATERIALS),
        "motors": [
            {
                "name": name,
                "symbol": MOTORS[name].offset_symbol,
                "unit": MOTORS[name].shown_unit,
            }
            for name in SCANNED
        ],
    }


def described(bench: Bench, side: Side, whole: bool = True, brief: bool = False) -> dict[str, Any]:
    """A side as a page is told of it.

    Parameters
    ----------
    bench : Bench
        Its experiment, set up.
    side : Side
        The side.
    whole : bool
        Whether its experiment and defects are told, or only where its motors stand.
    brief : bool
        Whether only what may move with a hand is: defects and stop, but not the experiment.
    """
    about: dict[str, Any] = {
        "motors": dict(side.motors),
        "reflection": side.reflection,
        "perfect": bench.perfect(side.reflection, side.motors),
    }
    if not whole:
        return about
    about |= {"defects": _defects(bench, side), "stop": _stop(side)}
    if brief:
        return about
    setup = bench.setups[side.reflection]
    widths = bench.widths[side.reflection]
    height = 0.5 * float(np.ptp(setup.beam.ends))
    about |= {
        "values": values_of(side.experiment),
        "given": _tree(side.experiment.model_dump(exclude_unset=True)),
        "frames": side.experiment.scan.frames,
        "reach": {
            **{motor: _rounded_up(5.0 * width) for motor, width in widths.items()},
            "z": _rounded_up(max(_MORE_THAN_FIELD * height, 1.0)),
        },
        "widths": widths,
        "reflections": [_reflection(one) for one in bench.setups],
        "notes": [*bench.setups[0].crystal.notes, *setup.notes, *validity_notes(bench.setups)],
    }
    return about


def _tree(given: Any) -> Any:
    """Which keys were given: tables of tables, and true where a value stands."""
    if isinstance(given, dict):
        return {key: _tree(value) for key, value in given.items()}
    if isinstance(given, tuple | list) and any(isinstance(item, dict) for item in given):
        return [_tree(item) for item in given]
    return True


def _reflection(setup: Any) -> dict[str, Any]:
    geometry = setup.geometry
    return {
        "hkl": list(setup.hkl),
        "theta_deg": math.degrees(geometry.theta),
        "eta_deg": math.degrees(geometry.eta),
        "geometry": setup.geometry_name,
    }


def _stop(side: Side) -> dict[str, Any] | None:
    stop: Any = side.experiment.objective.stop
    if stop is None:
        return None
    axis = getattr(stop, "axis", None)
    return {"kind": stop.kind_name(), "axis": axis, "position_um": getattr(stop, "position_um", 0)}


def _defects(bench: Bench, side: Side) -> list[dict[str, Any]]:
    """Kind, label, handle and lines of each defect, in rows and columns of the picture."""
    first, view = bench.setups[0], bench.view(side.reflection)
    sample = bench.sample_view(side.reflection, side.motors)
    rows, columns = view.shape
    corners = sample.point(np.array([[0, 0], [rows - 1, columns - 1]], dtype=float))
    centre, reach = corners.mean(axis=0), float(np.linalg.norm(corners[1] - corners[0]))
    found = []
    for number, table in enumerate(side.experiment.defects):
        position: Any = getattr(table, "position_um", None)
        about: dict[str, Any] = {"kind": table.kind, "label": _label(table), "handle": None}
        if side.stands(number):
            place = shown_places(view, sample.pixel(np.asarray(position, dtype=float)))
            about["handle"] = np.round(place, 3).tolist()
        lines: list[list[float]] = []
        for one, of in zip(first.defects.placed, first.defects.tables, strict=True):
            if of == number and len(lines) < _MOST_LINES:
                ends = _ends(sample, one.shown(centre, reach))
                lines += np.round(shown_places(view, ends).reshape(-1, 4), 2).tolist()
        about["lines"] = lines
        found.append(about)
    return found


def _ends(sample: SampleView, shown: ShownLines) -> Floats:
    """Rows and columns (n, 2, 2) of the ends of what is lit of some lines."""
    lines = shown.lines
    found = []
    for number in range(min(len(lines), _MOST_LINES)):
        point, direction = lines.positions[number], lines.axes[number, 2]
        if shown.lengths is None or not np.isfinite(shown.lengths[number]):
            ends = sample.trace(point, direction)
        else:
            ends = _piece(sample, point, point + shown.lengths[number] * direction)
        if np.isfinite(ends).all():
            found.append(ends)
    return np.array(found).reshape(-1, 2, 2)


def _piece(sample: SampleView, start: Floats, end: Floats) -> Floats:
    """The part of a piece of a line that is lit; NaN if none is."""
    low, high = sample.lit
    heights = sample.height(np.stack([start, end]))
    rise = heights[1] - heights[0]
    if abs(rise) < 1e-12:
        ends = (0.0, 1.0) if low <= heights[0] <= high else (1.0, 0.0)
    else:
        a, b = sorted(((low - heights[0]) / rise, (high - heights[0]) / rise))
        ends = max(0.0, a), min(1.0, b)
    if ends[0] >= ends[1]:
        return np.full((2, 2), np.nan)
    share = np.array(ends)[:, None]
    return sample.pixel(start + share * (end - start))


def _label(table: Any) -> str:
    """A defect in a few words: its kind and, where it has them, plane and Burgers vector."""
    words = [str(table.kind)]
    for key, left, right in (("plane", "(", ")"), ("burgers", "[", "]")):
        indices = getattr(table, key, None)
        if isinstance(indices, tuple):
            words.append(f"{left}{' '.join(f'{n:g}'.replace('-', '−') for n in indices)}{right}")
    for key in ("count", "recipe", "file"):
        value = getattr(table, key, None)
        if value is not None:
            words.append(str(value))
    return " ".join(words)


def _rounded_up(value: float) -> float:
    """1, 2 or 5 times a power of ten, not below a value, at most 1000."""
    power = 10.0 ** math.floor(math.log10(value))
    return min(1000.0, next(n * power for n in (1.0, 2.0, 5.0, 10.0) if n * power >= value * 0.999))

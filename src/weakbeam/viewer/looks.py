"""What a page asks to see of a side beside its image: curves, maps, acceptance, stop."""

from __future__ import annotations

import numpy as np

from weakbeam.errors import InputError
from weakbeam.experiment.instrument import Axis
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.viewer import messages
from weakbeam.viewer.answers import Answer
from weakbeam.viewer.back_focal import back_focal_plane as plane_of
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.messages import Message
from weakbeam.viewer.pictures import Picture, picture_of, stored_region
from weakbeam.viewer.standing import CurveRange
from weakbeam.viewer.state import Side
from weakbeam.viewer.stills import Check

_MOST_STEPS = 1001

_COMPONENTS = {
    "q_rock": "q of the rocking direction (10⁻³)",
    "q_roll": "q of the rolling direction (10⁻³)",
    "q_two_theta": "q along 2θ (10⁻³)",
}


def curve_range(message: Message) -> CurveRange:
    """The scan that a message asks for: ``motor``, ``half_range`` and ``steps``."""
    motor = messages.word(message, "motor", SCANNED, "phi")
    return CurveRange(
        motor,
        messages.number(message, "half_range", 1e-6, 1000.0, 0.6),
        messages.whole(message, "steps", 2, _MOST_STEPS, 61),
    )


def curve(bench: Bench, side: Side, message: Message, check: Check) -> Answer:
    """The mean of a region over a motor, beside the perfect crystal's."""
    region = tuple(round(x) for x in messages.numbers(message, "region", 4, 0, 1e6))
    rows, columns = stored_region(bench.view(side.reflection), region)  # type: ignore[arg-type]
    scan = curve_range(message)
    found = bench.curve(side.reflection, side.motors, scan, (rows, columns), check)
    return Answer(
        {
            "do": "curve",
            "side": message.get("side", "A"),
            "region": list(region),
            "at": side.motors[found["motor"]],
            "stored": [rows.start, rows.stop, columns.start, columns.stop],
            **found,
        }
    )


def a_map(bench: Bench, side: Side, message: Message, check: Check) -> Answer:
    """A component of q, or the centre of mass over a motor."""
    what = messages.word(message, "what", ("center", *_COMPONENTS))
    if what == "center":
        scan = curve_range(message)
        motor = MOTORS[scan.motor]
        values = bench.center_of_mass(side.reflection, side.motors, scan, check)
        label = f"centre of mass of {motor.symbol} ({motor.shown_unit})"
    else:
        number = list(_COMPONENTS).index(what)
        values = 1e3 * bench.mean_q(side.reflection, side.motors, check)[number]
        label = _COMPONENTS[what]
    shown = picture_of(values, bench.view(side.reflection), label, diverging=True)
    return Answer({"do": "map", "what": what, "side": message.get("side", "A")}, {"map": shown})


def acceptance(bench: Bench, side: Side, message: Message) -> Answer:
    """Intensity of the perfect crystal over φ and χ, or φ and 2θ, where the motors stand."""
    across = messages.word(message, "across", ("chi", "two_theta"), "chi")
    values, reach = bench.acceptance_plane(side.reflection, side.motors, across)
    about = {
        "extent": [-reach[0], reach[0], -reach[1], reach[1]],
        "labels": {
            "across": MOTORS[across].label,
            "along": MOTORS["phi"].label,
            "values": "perfect crystal, intensity",
        },
        "diverging": False,
    }
    shown = Picture(np.asarray(values, dtype=np.float32), about)
    marked = {"do": "acceptance", "side": message.get("side", "A"), "across": across}
    return Answer({**marked, "at": [side.motors[across], side.motors["phi"]]}, {"plane": shown})


def back_focal_plane(bench: Bench) -> Answer:
    """What passes the back focal plane of the lens, with its stop."""
    values, reach, scale = plane_of(bench)
    stop = bench.experiment.objective.stop
    axis: Axis | None = getattr(stop, "axis", None)
    about = {
        "extent": [-reach, reach, -reach, reach],
        "labels": {"across": "roll (µm)", "along": "2θ (µm)", "values": "transmission"},
        "diverging": False,
    }
    return Answer(
        {
            "do": "plane",
            "axis": axis,
            "position": getattr(stop, "position_um", None),
            "scale": scale,
            "passes": bench.setups[0].optics.throughput,
        },
        {"plane": Picture(np.asarray(values, dtype=np.float32), about)},
    )


def limits(message: Message) -> tuple[float, float] | None:
    """Intensities of the darkest and the brightest colour, where the page tells them."""
    if message.get("limits") is None:
        return None
    low, high = messages.numbers(message, "limits", 2, -1e12, 1e12)
    if not low < high:
        raise InputError("limits", [low, high], "must increase")
    return low, high

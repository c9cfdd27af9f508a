"""Motors of a scan as BLISS writes it: their names, positions and units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.guard import attribute
from weakbeam.io.members import dataset_at, group_at

_MOTORS_OF_COMMAND = {
    "fscan": (0,),
    "fscan2d": (0, 4),
    "fscan3d": (0, 4, 8),
    "ascan": (0,),
    "dscan": (0,),
    "a2scan": (0, 3),
    "d2scan": (0, 3),
    "a3scan": (0, 3, 6),
    "d3scan": (0, 3, 6),
    "a4scan": (0, 3, 6, 9),
    "d4scan": (0, 3, 6, 9),
    "amesh": (0, 4),
    "dmesh": (0, 4),
    "anscan": (),
    "lookupscan": (),
}
"""Which words of a scan command name motors, after the command itself."""

_UNITS = {
    "deg": ("deg", "degs", "degree", "degrees", "°", "º", "ang_deg"),
    "rad": ("rad", "rads", "radian", "radians"),
    "mrad": ("mrad", "mrads", "milliradian", "milliradians"),
    "urad": ("urad", "µrad", "μrad", "microrad", "microradian", "microradians"),
    "mdeg": ("mdeg", "millideg", "millidegree", "millidegrees", "m°"),
    "udeg": ("udeg", "µdeg", "μdeg", "microdegree", "microdegrees"),
    "arcsec": ("arcsec", "arcsecond", "arcseconds", "asec", "″"),
    "arcmin": ("arcmin", "arcminute", "arcminutes", "′"),
    "mm": ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    "um": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre"),
    "nm": ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    "m": ("m", "meter", "meters", "metre", "metres"),
}
"""Ways to write a unit."""

_IN_DEGREES = {
    "deg": 1.0,
    "rad": 180.0 / math.pi,
    "mrad": 0.18 / math.pi,
    "urad": 1.8e-4 / math.pi,
    "mdeg": 1e-3,
    "udeg": 1e-6,
    "arcsec": 1.0 / 3600.0,
    "arcmin": 1.0 / 60.0,
}

FLY_SUFFIXES = ("_center", "_centre", "_cen", "_trig")
"""What fly scans append to the name of a motor for its position in the middle of an exposure."""

_MILLIMETRES = re.compile(r"(sam|ob|sm|cd|dc|nf|ff|s\d+|so)[a-z0-9]*|u[xyz]|mainx|difft[xyz]")
_DEGREES = re.compile(r"(phi|chi|mu|omega|ccmth|obpitch|obyaw|diffr[xyz]|eta|delta|nu|th|tth)")


def motor_positions(group: h5py.Group, frames: int) -> dict[str, tuple[Floats, str]]:
    """Every row of numbers that may be positions, with its unit."""
    found: dict[str, tuple[Floats, str]] = {}

    def keep(name: str, values: h5py.Dataset | None) -> None:
        if values is None or values.ndim != 1 or values.dtype.kind not in "fiu":
            return
        new = values.shape[0]
        if new == 0 or (name in found and len(found[name][0]) == frames):
            return
        if name not in found or new == frames:
            x = np.asarray(values[()], dtype=np.float64)
            factor, unit = motor_unit(name, attribute(values, "units", ""))
            found[name] = factor * x if factor != 1.0 else x, unit

    instrument = group_at(group, "instrument") or {}
    for name in instrument:
        motor = group_at(instrument, name)
        for part in ("value", "data", "position") if motor is not None else ():
            keep(name, dataset_at(motor, part))
    for place in ("measurement", "instrument/positioners"):
        collection = group_at(group, place) or {}
        for name in collection:
            keep(name, dataset_at(collection, name))
    return found


def motor_unit(name: str, written: object) -> tuple[float, str]:
    """Factor and unit of a motor's positions from what stands in the file.

    Parameters
    ----------
    name : str
        The motor, whose name tells the unit where the file does not.
    written : object
        The unit as it was read: text, bytes or anything else, which counts as none.

    Returns
    -------
    factor : float
        By which positions are to be multiplied.
    unit : str
        ``"deg"`` for all angles; other units as they are commonly written, unknown ones unchanged.
    """
    text = written.decode(errors="replace") if isinstance(written, bytes) else written
    text = text.strip() if isinstance(text, str) else ""
    if not text:
        return 1.0, motor_unit_guess(name)
    unit = next((unit for unit, ways in _UNITS.items() if text.lower() in ways), text)
    return (_IN_DEGREES[unit], "deg") if unit in _IN_DEGREES else (1.0, unit)


def base_name(motor: str) -> str:
    """Name of the motor itself, without what a fly scan appends: ``"mu"`` of ``"mu_center"``."""
    return next((motor.removesuffix(end) for end in FLY_SUFFIXES if motor.endswith(end)), motor)


def motor_unit_guess(name: str) -> str:
    """Unit of a motor of ID03 or ID06 by its name; ``""`` for one that is not known.

    There ``diffrx``, ``diffry`` and ``diffrz`` are rotations.
    """
    motor = base_name(name)
    if _DEGREES.fullmatch(motor):
        return "deg"
    return "mm" if _MILLIMETRES.fullmatch(motor) else ""


def named_motors(title: str, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Motors that the title names; of an unknown command those words that are known."""
    command, *words = title.split() or [""]
    places = _MOTORS_OF_COMMAND.get(command)
    if places:
        return tuple(words[place] for place in places if place < len(words))
    return tuple(dict.fromkeys(word for word in words if word in known))


def positioner_names(group: h5py.Group, known: Mapping[str, Any]) -> list[str]:
    """Those of the known rows of numbers that are motors and no counters."""
    instrument = group_at(group, "instrument") or {}
    positioners = group_at(group, "instrument/positioners") or {}

    def is_motor(name: str) -> bool:
        part = group_at(instrument, name)
        kind = "" if part is None else attribute(part, "NX_class", "")
        return name in positioners or kind == "NXpositioner"

    return [name for name in known if is_motor(name)] or list(known)


def moving_positioners(
    group: h5py.Group, known: Mapping[str, tuple[Floats, str]]
) -> dict[str, tuple[Floats, str]]:
    """Positioners with a row of positions that change; for titles that name no motor."""
    names = set(group_at(group, "instrument/positioners") or {})
    return {name: known[name] for name in known if name in names and np.ptp(known[name][0]) > 0.0}


def promised_frames(title: str) -> int | None:
    """Number of frames that a scan command asks for; None for one that is not known."""
    command, *words = title.split() or [""]
    counts = {
        "fscan": ((3, 0),),
        "fscan2d": ((3, 0), (7, 0)),
        "ascan": ((3, 1),),
        "dscan": ((3, 1),),
        "a2scan": ((6, 1),),
        "amesh": ((3, 1), (7, 1)),
        "dmesh": ((3, 1), (7, 1)),
    }.get(command, ())
    try:
        numbers = [int(words[place]) + extra for place, extra in counts]
    except (IndexError, ValueError):
        return None
    return int(np.prod(numbers)) if numbers else None

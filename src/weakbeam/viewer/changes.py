"""Changes of a side that a page asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.panel import without_key
from weakbeam.experiment.toml_text import parse_toml
from weakbeam.imaging.motors import SCANNED
from weakbeam.viewer import messages
from weakbeam.viewer.messages import Message
from weakbeam.viewer.state import Side

_LARGEST_OFFSET = {"phi": 1000.0, "chi": 1000.0, "two_theta": 1000.0, "z": 1e6}
"""How far motors go, mrad and µm: what the experiment file allows."""


def moved(side: Side, message: Message) -> Side:
    """Motors that are named stand elsewhere, ``{"phi": 0.15}``."""
    motors = dict(side.motors)
    for motor, most in _LARGEST_OFFSET.items():
        if motor in message:
            motors[motor] = messages.number(message, motor, -most, most)
    return replace(side, motors=motors)


def settings(side: Side, message: Message) -> Side:
    """Keys have other values, ``{"settings": ["beam.energy_keV=19"]}``, as on the command line."""
    lines = messages.texts(message, "settings")
    return _with(side, side.experiment.with_settings(lines))


def defaults(side: Side, message: Message) -> Side:
    """A key has its default again, ``{"key": ["beam", "energy_keV"]}``."""
    return _with(side, without_key(side.experiment, messages.path(message, "key")))


def _with(side: Side, experiment: Experiment) -> Side:
    """The side with an experiment; motors go where its scan has them stand now."""
    fresh = Side.of(experiment)
    motors = dict(side.motors)
    for motor in SCANNED:
        name = motor if motor != "two_theta" else "arm"
        before, after = getattr(side.experiment.scan, name), getattr(experiment.scan, name)
        if before != after and not after.moving:
            motors[motor] = fresh.motors[motor]
    return replace(side, experiment=experiment, motors=motors)


def added(side: Side, message: Message) -> Side:
    """One more defect, ``{"table": {"kind": "loop", ...}}``; ``toml`` may hold more of its keys."""
    table = message.get("table")
    if not isinstance(table, Mapping):
        raise InputError("table", None, "must be a table of a defect")
    written = parse_toml(messages.text(message, "toml", ""), "defect")
    defects = (*side.experiment.defects, {**table, **written})
    return _with_defects(side, defects)


def removed(side: Side, message: Message) -> Side:
    """One defect less, ``{"number": 0}``."""
    number = number_of(side, message)
    defects = side.experiment.defects
    return _with_defects(side, (*defects[:number], *defects[number + 1 :]))


def placed(side: Side, message: Message, displacement: Floats) -> Side:
    """A defect stands elsewhere, by `displacement` (µm, sample frame of the first reflection)."""
    number = number_of(side, message)
    position = position_of(side, message) + displacement
    # To a picometre: nobody drags more finely, and files stay readable.
    there = tuple(round(float(x), 6) + 0.0 for x in position)
    defects = side.experiment.defects
    moved_table = defects[number].model_copy(update={"position_um": there})
    return _with_defects(side, (*defects[:number], moved_table, *defects[number + 1 :]))


def position_of(side: Side, message: Message) -> Floats:
    """Where the defect of a message stands (µm).

    Raises
    ------
    InputError
        If there is no such defect, or it stands nowhere.
    """
    number = number_of(side, message)
    table: Any = side.experiment.defects[number]
    if not side.stands(number):
        raise InputError(f"defects[{number}]", None, "has no position_um to be dragged")
    return np.asarray(table.position_um, dtype=float)


def number_of(side: Side, message: Message) -> int:
    """The defect that a message is about, by its number."""
    count = len(side.experiment.defects)
    if count == 0:
        raise InputError("number", message.get("number"), "there are no defects")
    return messages.whole(message, "number", 0, count - 1)


def _with_defects(side: Side, defects: tuple[Any, ...]) -> Side:
    return replace(side, experiment=side.experiment.model_copy(update={"defects": defects}))

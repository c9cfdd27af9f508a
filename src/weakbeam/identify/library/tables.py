"""Types, members and conditions of a library as tables of its file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.identify.library.library import Members
from weakbeam.identify.library.training import Drawn, TrainingPlan
from weakbeam.io.entry import Fields
from weakbeam.run.render import Condition

Table = Mapping[str, NDArray[Any]]


def types_table(types: Sequence[DislocationType], distortion: Floats) -> Fields:
    """The types; ``same_line`` is the least number of a type with the same b and t."""
    return {
        "plane": np.array([kind.plane for kind in types]),
        "burgers": np.array([kind.burgers for kind in types]),
        "character": (np.array([kind.character_deg for kind in types]), "deg"),
        "burgers_vector": (np.array([kind.burgers_vector for kind in types]), "um"),
        "edge_line": (np.array([kind.edge for kind in types]), ""),
        "same_line": np.array([min((kind.number, *kind.same_as)) for kind in types]),
        "distortion_1um": (distortion, ""),
    }


def types_from(table: Table) -> tuple[DislocationType, ...]:
    """Types of a table."""
    groups: dict[int, list[int]] = {}
    for number, group in enumerate(table["same_line"].tolist()):
        groups.setdefault(group, []).append(number)
    rows = zip(
        table["plane"].tolist(),
        table["burgers"].tolist(),
        table["character"].tolist(),
        table["burgers_vector"].tolist(),
        table["edge_line"].tolist(),
        table["same_line"].tolist(),
        strict=True,
    )
    return tuple(
        DislocationType(
            number,
            tuple(plane),
            tuple(burgers),
            angle,
            tuple(vector),
            tuple(edge),
            tuple(other for other in groups[group] if other != number),
        )
        for number, (plane, burgers, angle, vector, edge, group) in enumerate(rows)
    )


def members_table(members: Members) -> Fields:
    """The members of a library."""
    return {
        "type": members.types,
        "position": (members.positions_um, "um"),
        "depth": (members.depths_um, "um"),
        "visibility": (members.visibility, ""),
        "signal_to_noise": (members.signal_to_noise, ""),
        "visible": members.visible.astype(np.uint8),
    }


def members_from(table: Table) -> Members:
    """Members of a table."""
    return Members(
        table["type"],
        table["position"],
        table["depth"],
        table["visibility"],
        table["signal_to_noise"],
        table["visible"].astype(bool),
    )


def conditions_table(conditions: Sequence[Condition], perfect: Floats) -> Fields:
    """The conditions, with the intensity of the perfect crystal."""
    return {
        "reflection": np.array([condition.reflection for condition in conditions]),
        "phi": (np.array([condition.phi for condition in conditions]), "rad"),
        "chi": (np.array([condition.chi for condition in conditions]), "rad"),
        "two_theta": (np.array([condition.two_theta for condition in conditions]), "rad"),
        "z": (np.array([condition.z for condition in conditions]), "um"),
        "perfect_intensity": (perfect, ""),
    }


def conditions_from(table: Table) -> tuple[Condition, ...]:
    """Conditions of a table."""
    names = ("reflection", "phi", "chi", "two_theta", "z")
    return tuple(Condition(*row) for row in zip(*(table[n].tolist() for n in names), strict=True))


def lines_table(drawn: Sequence[Drawn], ratios: Sequence[Floats]) -> Fields:
    """The dislocations of a training set, those of one image after those of the one before."""
    counts = [len(lines.types) for lines in drawn]
    return {
        "image": np.repeat(np.arange(len(drawn)), counts),
        "place": np.concatenate([np.arange(count) for count in counts]),
        "type": np.concatenate([lines.types for lines in drawn]),
        "position": (np.concatenate([lines.positions_um for lines in drawn]), "um"),
        "signal_to_noise": (np.concatenate(ratios), ""),
    }


def trace_tables(plan: TrainingPlan, drawn: Sequence[Drawn]) -> list[Fields]:
    """Where the dislocations appear in pixels, for each condition; rows as in `lines_table`."""
    every = [plan.traces(lines) for lines in drawn]
    piercing = np.concatenate([places for places, _ in every], axis=1)
    ends = np.concatenate([both for _, both in every], axis=1)
    return [
        {
            "piercing": (place, "pixel"),
            "ends": (end, "pixel"),
        }
        for place, end in zip(piercing, ends, strict=True)
    ]

"""Types, members and conditions of a library as tables of its file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.types import DislocationType
from weakbeam.experiment.identify import SPLIT_NAMES
from weakbeam.identify.library.library import Members
from weakbeam.identify.library.training import Labels
from weakbeam.identify.library.variation import unit_of
from weakbeam.io.entry import Fields
from weakbeam.run.render import Condition

Table = Mapping[str, NDArray[Any]]


def types_table(
    types: Sequence[DislocationType], distortion: Floats, classes: Ints | None = None
) -> Fields:
    """The types; ``same_line`` is the least number of a type with the same b and t.

    ``class`` tells those of a training set whose images are the same.
    """
    told = {} if classes is None else {"class": classes}
    return {
        **told,
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


def lines_table(samples: Sequence[Labels], classes: Ints) -> Fields:
    """The dislocations of a training set, those of one image after those of the one before."""
    counts = [len(labels.drawn.types) for labels in samples]
    types = np.concatenate([labels.drawn.types for labels in samples])
    return {
        "image": np.repeat(np.arange(len(samples)), counts),
        "place": np.concatenate([np.arange(count) for count in counts]),
        "type": types,
        "class": classes[types],
        "position": (np.concatenate([labels.drawn.positions_um for labels in samples]), "um"),
        "signal_to_noise": (np.concatenate([labels.signal_to_noise for labels in samples]), ""),
    }


def images_table(samples: Sequence[Labels], parts: Ints | None) -> Fields:
    """What each image of a training set was made with; ``part`` of those that are split."""
    table: dict[str, Any] = {"number": np.array([labels.number for labels in samples])}
    if parts is not None:
        table["part"] = parts
        table["@part_names"] = list(SPLIT_NAMES)
    for key in samples[0].values:
        table[key] = (np.array([labels.values[key] for labels in samples]), unit_of(key))
    return table


def trace_tables(samples: Sequence[Labels]) -> list[Fields]:
    """Where the dislocations appear in pixels, for each condition; rows as in `lines_table`."""
    piercing = np.concatenate([labels.piercing for labels in samples], axis=1)
    ends = np.concatenate([labels.ends for labels in samples], axis=1)
    return [
        {
            "piercing": (place, "pixel"),
            "ends": (end, "pixel"),
        }
        for place, end in zip(piercing, ends, strict=True)
    ]

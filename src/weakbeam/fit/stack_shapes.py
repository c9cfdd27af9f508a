"""Loops and walls that may be where straight lines leave residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.loop_types import LoopType, loop_types
from weakbeam.defects.types import DislocationType
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.stack_maps import MapModel, Pattern, Prototype
from weakbeam.fit.stack_model import StackModel

_SMALLEST_UM, _LARGER = 0.4, 1.7
"""Radius of the smallest loop that is sought, and ratio from one to the next."""

_SPACINGS_UM = 0.2, 0.3, 0.45, 0.7, 1.0, 1.5
_EDGES_DEG = 0.0, 180.0


def shape_patterns(
    map_model: MapModel, types: Sequence[DislocationType], workers: int | None = None
) -> list[Pattern]:
    """What a search of a map needs to know of loops and walls.

    Parameters
    ----------
    map_model : MapModel
        The map.
    types : sequence of DislocationType
        Lines, by whose planes and Burgers vectors there are loops and walls.
    workers : int, optional
        Threads.
    """
    model = map_model.model
    prototypes = [*loops_of(model, types), *walls_of(model, types)]
    return map_model.filters(prototypes, workers)


def loops_of(model: StackModel, types: Sequence[DislocationType]) -> list[Prototype]:
    """Loops of all planes and Burgers vectors, of several sizes, about the middle of the sheet."""
    found = []
    radii = [_SMALLEST_UM]
    while radii[-1] * _LARGER < 0.25 * model.room.size_um:
        radii.append(radii[-1] * _LARGER)
    for kind in loop_types(types):
        for radius in radii:

            def placed(
                point: Floats, kind: LoopType = kind, radius: float = radius
            ) -> FittedDefect:
                return model.loop(kind, point, radius)

            found.append(Prototype(model.loop(kind, np.zeros(3), radius), placed))
    return found


def walls_of(model: StackModel, types: Sequence[DislocationType]) -> list[Prototype]:
    """Tilt walls, of edges one above the other, of both signs and several spacings."""
    found = []
    edges = {(kind.plane, kind.burgers): kind for kind in types}
    for kind in edges.values():
        for character in _EDGES_DEG:
            edge = kind.turned(character)
            for spacing in _SPACINGS_UM:

                def placed(
                    point: Floats, edge: DislocationType = edge, spacing: float = spacing
                ) -> FittedDefect:
                    return model.wall(edge, point, spacing)

                # Patterns are about the origin.
                wall = model.wall(edge, model.image_middle, spacing)
                about = type(wall)(edge, wall.axes, np.zeros(3), wall.at, spacing)
                found.append(Prototype(about, placed))
    return found

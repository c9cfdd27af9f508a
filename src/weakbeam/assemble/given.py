"""A deformation that a program gives: an object with `add_to`, or a function of places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from weakbeam.assemble.placed import Column, ShownLines, Sources, is_unity
from weakbeam.assemble.setup import Setup
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.errors import InputError

FieldAxes = Literal["sample", "crystal"]

GivenField = DisplacementGradientField | Callable[[Floats], Any]
"""An object with ``add_to(gradient, points)``, or a function from points (n, 3) in µm to β
(n, 3, 3)."""

_TRIED = 64
"""Points at which a field is asked for before a run."""


class _AddsTo(Protocol):
    def add_to(self, gradient: Floats, points: Floats) -> None: ...


@dataclass(frozen=True, eq=False)
class FunctionField:
    """The field of a function of places.

    Parameters
    ----------
    function : callable
        Gives β (n, 3, 3) at points (n, 3), in µm; NaN where nothing diffracts.
    """

    function: Callable[[Floats], Any]

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        count = points.shape[1]
        given = self.function(np.ascontiguousarray(points.T))
        try:
            beta = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("field", None, "must give an array of numbers") from None
        if beta.shape != (count, 3, 3):
            raise InputError(
                "field",
                None,
                f"must give β of shape ({count}, 3, 3) at points of shape ({count}, 3), not "
                f"{beta.shape}",
            )
        gradient += beta.reshape(count, 9).T


@dataclass(frozen=True, eq=False)
class TurnedField:
    """A field in a frame that is turned.

    Parameters
    ----------
    field : object with add_to
        The field in a frame of its own.
    frame_from_field : (3, 3) ndarray
        Rotation.
    """

    field: _AddsTo
    frame_from_field: Floats

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        turn = self.frame_from_field
        own = np.zeros_like(gradient)
        self.field.add_to(own, np.ascontiguousarray(turn.T @ points))
        turned = np.einsum("ia,abn,jb->ijn", turn, own.reshape(3, 3, -1), turn)
        gradient += turned.reshape(9, -1)


@dataclass(frozen=True, eq=False)
class PlacedField:
    """A deformation that a program gives, in the sample.

    Parameters
    ----------
    field : object with add_to
        It, in the frame in which it is given.
    sample_from_field : (3, 3) ndarray
        Rotation from there to the sample.
    name : str
        What the program calls it.
    kind : str
        What it is called in the output file.
    """

    field: DisplacementGradientField
    sample_from_field: Floats
    name: str
    kind: str = "field"

    @property
    def sources(self) -> Sources:
        """The field."""
        if is_unity(self.sample_from_field):
            return Sources(fields=(self.field,))
        return Sources(fields=(TurnedField(self.field, self.sample_from_field),))

    def turned(self, rotation: Floats) -> PlacedField:
        """The same field in a sample that is turned."""
        return replace(self, sample_from_field=rotation @ self.sample_from_field)

    def rows(self) -> dict[str, Column]:
        """One row: its name, and how it lies in the sample."""
        return {
            "field": (np.array([self.name], dtype=np.str_), ""),
            "sample_from_field": (self.sample_from_field[None], ""),
        }

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """Nothing: it has no lines."""
        return ShownLines()

    def summary(self) -> str:
        """What it is called."""
        return self.name


def with_field(
    setups: Sequence[Setup], field: GivenField | None, axes: FieldAxes = "sample"
) -> tuple[Setup, ...]:
    """Setups of an experiment with another deformation added to that of its defects.

    Parameters
    ----------
    setups : sequence of Setup
        One for each reflection.
    field : object with add_to, or callable, or None
        ``add_to(gradient, points)`` adds β to (9, n) gradients at (3, n) points, as
        :class:`.DisplacementGradientField` does; a function gives β (n, 3, 3) at points (n, 3) in
        µm. NaN where nothing diffracts.
    axes : {"sample", "crystal"}
        Axes of the points and of β: of the sample at the first reflection, or of the crystal,
        Cartesian: x along a, z along c*.

    Raises
    ------
    InputError
        If it is neither, or gives another shape, or nothing that diffracts.
    """
    if axes not in ("sample", "crystal"):
        raise InputError("field_axes", axes, 'must be "sample" or "crystal"')
    if field is None:
        return tuple(setups)
    first = setups[0].sample_from_crystal
    own: DisplacementGradientField
    if hasattr(field, "add_to"):
        own = field
    elif callable(field):
        own = FunctionField(field)
    else:
        raise InputError(
            "field", None, "must have add_to(gradient, points), or be a function of points (n, 3)"
        )
    name = getattr(field, "__qualname__", type(field).__qualname__)
    placed = PlacedField(own, first if axes == "crystal" else np.eye(3), name)
    made = []
    for setup in setups:
        rotation = setup.sample_from_crystal @ first.T
        turned = placed if is_unity(rotation) else placed.turned(rotation)
        defects = replace(
            setup.defects,
            placed=(*setup.defects.placed, turned),
            tables=(*setup.defects.tables, 1 + max(setup.defects.tables, default=-1)),
        )
        made.append(replace(setup, defects=defects))
    _try(made[0], name)
    return tuple(made)


def _try(setup: Setup, name: str) -> None:
    """Ask for the field at some of the points that are seen."""
    rays = setup.grid
    points = rays.points(np.linspace(0, rays.pixels - 1, _TRIED).astype(np.int64)).reshape(-1, 3)
    chosen = points[:: max(1, len(points) // _TRIED)]
    gradient = np.zeros((9, len(chosen)))
    (field,) = setup.defects.placed[-1].sources.fields
    field.add_to(gradient, np.ascontiguousarray(chosen.T))
    if not np.isfinite(gradient).all(axis=0).any():
        raise InputError(
            "field", None, f"{name} gives no finite β at {len(chosen)} points of the field of view"
        )

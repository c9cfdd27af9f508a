"""Which field lines, walls and segments make: the one place that chooses."""

from __future__ import annotations

from collections.abc import Sequence

from weakbeam.crystal.elasticity import IsotropicMedium, Medium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.anisotropic_wall import AnisotropicWalls
from weakbeam.defects.field import DisplacementGradientField, Superposition
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds, ManyDislocations
from weakbeam.defects.many_segments import ManySegments
from weakbeam.defects.segments import IsotropicSegments, Segments
from weakbeam.defects.straight import StraightDislocations
from weakbeam.defects.wall import DislocationWall, WallField

FAR_FIELD_TOLERANCE = 1e-3
"""Bound of the error of a far line's part of β relative to b / 2πd; see `ManyDislocations`."""

ANISOTROPIC_TOLERANCE = 3e-2
"""The same of far segments in an anisotropic medium. There it is no bound for all media, hundreds
of times above what occurs, but what is left of segments in the worst direction of that one."""

ONE_BY_ONE = 60
"""Most lines that are summed one by one without a look at where they are."""


def field_of(
    lines: StraightLines,
    medium: Medium,
    walls: Sequence[DislocationWall] = (),
    bounds: Bounds | None = None,
    points: int = 1,
    workers: int | None = None,
    segments: Segments | None = None,
    asked: Sequence[Bounds] | None = None,
    far_tolerance: float | None = None,
) -> DisplacementGradientField:
    """The field of straight lines, walls and segments in a medium.

    Parameters
    ----------
    lines : StraightLines
        Single lines.
    medium : Medium
        What they all lie in, in their frame.
    walls : sequence of DislocationWall
        In the frame of the lines.
    bounds : Bounds, optional
        Where the field will be asked for; many lines are summed one by one without it.
    points : int
        About how often.
    workers : int, optional
        Threads that prepare it; as many as there are cores unless given.
    segments : Segments, optional
        Pieces of lines, in the same frame; lines that they make must not end anywhere.
    asked : sequence of Bounds, optional
        Parts of `bounds` where the field of segments will be asked for; all of it unless given.
    far_tolerance : float, optional
        Of far segments, where another than usual will do.
    """
    fields: list[DisplacementGradientField] = []
    if len(lines) > ONE_BY_ONE and bounds is not None:
        exact = _one_by_one(lines, medium)
        fields.append(ManyDislocations(exact, bounds, FAR_FIELD_TOLERANCE, points, workers))
    elif len(lines):
        fields.append(_one_by_one(lines, medium))
    if walls:
        fields.append(_rows(walls, medium))
    if segments is not None and len(segments):
        pieces = _pieces(segments, medium)
        if len(segments) > ONE_BY_ONE and bounds is not None:
            usual = (
                FAR_FIELD_TOLERANCE
                if isinstance(medium, IsotropicMedium)
                else ANISOTROPIC_TOLERANCE
            )
            tolerance = far_tolerance or usual
            fields.append(ManySegments(pieces, bounds, tolerance, points, workers, asked))
        else:
            fields.append(pieces)
    return superposed(fields)


def _one_by_one(
    lines: StraightLines, medium: Medium
) -> StraightDislocations | AnisotropicDislocations:
    if isinstance(medium, IsotropicMedium):
        return StraightDislocations(lines, medium)
    return AnisotropicDislocations(lines, medium)


def _rows(walls: Sequence[DislocationWall], medium: Medium) -> WallField | AnisotropicWalls:
    if isinstance(medium, IsotropicMedium):
        return WallField(walls, medium)
    return AnisotropicWalls(walls, medium)


def _pieces(segments: Segments, medium: Medium) -> IsotropicSegments | AnisotropicSegments:
    if isinstance(medium, IsotropicMedium):
        return IsotropicSegments(segments, medium)
    return AnisotropicSegments(segments, medium)


def superposed(fields: Sequence[DisplacementGradientField]) -> DisplacementGradientField:
    """The sum of fields; of a single one itself, which may have a faster way along rays."""
    return fields[0] if len(fields) == 1 else Superposition(fields)

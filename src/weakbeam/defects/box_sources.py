"""What boxes know of the sources in and around them: lines, or segments, in any medium.

The loops over boxes ask two things of a source: whether it is too close to a box to be interpolated
in it, and its field. Each kind of source is a tuple of arrays, whose type tells what answers: in
compiled code the compiler chooses by it, in Python the call does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from weakbeam.core.arrays import Complexes, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.defects import anisotropic, anisotropic_segments, segments, straight


class Lines(NamedTuple):
    """What the loops need to know of the lines: see `constants` in `straight` and `anisotropic`."""

    across: Floats
    core_squared: Floats
    matrices: Floats
    cubic: Floats
    """(n, 6); of no width in an isotropic medium."""
    poles: Complexes
    """(n, 3) roots p, (n, 0) in an isotropic medium: the field is singular where x + p y = 0."""


class Pieces(NamedTuple):
    """What the loops need to know of segments: see `weakbeam.defects.segments.constants`."""

    places: Floats
    burgers: Floats
    nu: float


class AnisotropicPieces(NamedTuple):
    """The same in an anisotropic medium: see `weakbeam.defects.anisotropic_segments.constants`."""

    places: Floats
    across: Floats
    contracted: Floats
    tensors: Floats
    turned: Floats
    tables: anisotropic_segments.MediumTables


Sources = Lines | Pieces | AnisotropicPieces


def add_sources(gradient: Floats, points: Floats, sources: Sources, chosen: Ints) -> None:
    """Add the field of the `chosen` sources at `points` (3, n) to `gradient` (9, n)."""
    _ADDING[type(sources)](gradient, points, sources, chosen)


def is_near(
    sources: Sources, i: int, x: float, y: float, z: float, half: Floats, gaps: Floats
) -> bool:
    """Whether source i is too near to a box at (x, y, z) to be interpolated in it.

    Parameters
    ----------
    sources : Lines or Pieces
        All of them.
    i : int
        Which.
    x, y, z : float
        Centre of the box (µm).
    half : (3,) ndarray
        Its half-widths (µm).
    gaps : (3,) ndarray
        How many of them away, along each axis, a far source has to stay.
    """
    return bool(_ASKING[type(sources)](sources, i, x, y, z, half, gaps))


@compiled
def _add_lines(gradient: Floats, points: Floats, lines: Lines, chosen: Ints) -> None:
    across, core_squared, matrices = lines.across, lines.core_squared, lines.matrices
    if lines.poles.shape[1] == 0:
        straight.add_lines(gradient, points, across, core_squared, matrices, chosen)
    else:
        anisotropic.add_lines(gradient, points, across, core_squared, matrices, lines.cubic, chosen)


@compiled
def _add_pieces(gradient: Floats, points: Floats, pieces: Pieces, chosen: Ints) -> None:
    segments.add_segments(gradient, points, pieces.places, pieces.burgers, pieces.nu, chosen)


@compiled
def _add_anisotropic(
    gradient: Floats, points: Floats, pieces: AnisotropicPieces, chosen: Ints
) -> None:
    anisotropic_segments.add_segments(
        gradient,
        points,
        pieces.places,
        pieces.across,
        pieces.contracted,
        pieces.tensors,
        pieces.turned,
        pieces.tables,
        chosen,
    )


@compiled
def _line_is_near(
    lines: Lines, i: int, x: float, y: float, z: float, half: Floats, gaps: Floats
) -> bool:
    a, b = lines.across[i, 0], lines.across[i, 1]
    distance = np.hypot(
        a[0] * x + a[1] * y + a[2] * z + a[3], b[0] * x + b[1] * y + b[2] * z + b[3]
    )
    room = distance - np.sqrt(lines.core_squared[i])
    needed = 0.0
    for axis in range(3):
        width = half[axis] * np.hypot(a[axis], b[axis])
        room -= width
        needed = max(needed, gaps[axis] * width)
    close = room <= needed
    # An anisotropic field varies with x + p y, not with the distance.
    for pole in lines.poles[i]:
        room = abs(
            a[0] * x + a[1] * y + a[2] * z + a[3] + pole * (b[0] * x + b[1] * y + b[2] * z + b[3])
        )
        needed = 0.0
        for axis in range(3):
            width = half[axis] * abs(a[axis] + pole * b[axis])
            room -= width
            needed = max(needed, gaps[axis] * width)
        close = close or room <= needed
    return bool(close)


@compiled
def _piece_is_near(
    pieces: Pieces, i: int, x: float, y: float, z: float, half: Floats, gaps: Floats
) -> bool:
    return _is_close(pieces.places[i], x, y, z, half, gaps)


@compiled
def _anisotropic_is_near(
    pieces: AnisotropicPieces, i: int, x: float, y: float, z: float, half: Floats, gaps: Floats
) -> bool:
    # The gaps are those of the medium.
    return _is_close(pieces.places[i], x, y, z, half, gaps)


@compiled
def _is_close(place: Floats, x: float, y: float, z: float, half: Floats, gaps: Floats) -> bool:
    """Whether the distance is less than interpolation asks for."""
    x, y, z = x - place[0], y - place[1], z - place[2]
    along = min(max(x * place[3] + y * place[4] + z * place[5], 0.0), place[6])
    x, y, z = x - along * place[3], y - along * place[4], z - along * place[5]
    distance = np.sqrt(x * x + y * y + z * z)
    if distance == 0.0:
        return True
    # All of the segment lies beyond the plane across the shortest way to it.
    shares = abs(x) / distance, abs(y) / distance, abs(z) / distance
    room = distance - np.sqrt(place[7])
    for axis in range(3):
        room -= half[axis] * shares[axis]
    close = False
    for axis in range(3):
        # Interpolation along an axis starts from points in the middle of it.
        own = room + half[axis] * shares[axis]
        close = close or own <= (1.0 + gaps[axis]) * half[axis]
    return close


_ADDING: dict[type, Any] = {
    Lines: _add_lines,
    Pieces: _add_pieces,
    AnisotropicPieces: _add_anisotropic,
}
_ASKING: dict[type, Any] = {
    Lines: _line_is_near,
    Pieces: _piece_is_near,
    AnisotropicPieces: _anisotropic_is_near,
}


@overload(add_sources, strict=False)
def _adding(gradient: Any, points: Any, sources: Any, chosen: Any) -> Any:
    add = _ADDING[sources.instance_class]
    return lambda gradient, points, sources, chosen: add(gradient, points, sources, chosen)


@overload(is_near, strict=False)
def _asking(sources: Any, i: Any, x: Any, y: Any, z: Any, half: Any, gaps: Any) -> Any:
    ask = _ASKING[sources.instance_class]
    return lambda sources, i, x, y, z, half, gaps: ask(sources, i, x, y, z, half, gaps)

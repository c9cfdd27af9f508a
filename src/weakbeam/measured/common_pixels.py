"""Which pixels of two sides see the same, and what part of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weakbeam.analysis.pixel_grids import pixel_shares
from weakbeam.core.arrays import Floats
from weakbeam.measured.sides import Side
from weakbeam.plot.view import View

_SAME = 1e-3
"""Part of a pixel by which the places of two grids may differ and still be the same."""


def placed(sides: list[Side], notes: list[str]) -> list[Side]:
    """Sides of which some tell no axes and have the shape of one that does."""
    known = next((side for side in sides if not side.view.pixels), None)
    if known is None:
        return sides
    placed = []
    for side in sides:
        if side.view.pixels and side.image.shape == known.image.shape:
            text = f"{side.letter} tells no axes: its pixels are taken for those of {known.letter}"
            notes.append(f"{text}, row by row")
            side = replace(side, view=known.view)
        placed.append(side)
    return placed


def shares_of(
    first: Side, side: Side, notes: list[str]
) -> tuple[bool, tuple[Floats, Floats, bool, bool] | None]:
    """Whether pixels can be compared, and the shares of the side's in those of the first."""
    a, b = first.view, side.view
    if a.pixels and b.pixels and first.image.shape == side.image.shape:
        return True, None
    if a.pixels or b.pixels:
        which = first if a.pixels else side
        rows, columns = side.image.shape
        notes.append(
            f"{which.letter} tells no axes, and {side.letter} has {rows} × {columns} pixels beside "
            f"{first.image.shape[0]} × {first.image.shape[1]} of {first.letter}: pixels are not "
            "compared"
        )
        return False, None
    if a.on_camera != b.on_camera:
        notes.append(
            f"{side.letter} and {first.letter} are seen in different geometries, with axes on the "
            "camera and in the sample: pixels are not compared"
        )
        return False, None
    if a.swapped == b.swapped and _same(a.x, b.x, a) and _same(a.y, b.y, a):
        return True, None
    pitch_a, pitch_b = pitches(a), pitches(b)
    shares = (
        pixel_shares(b.x, a.x, pitch_b[0], pitch_a[0]),
        pixel_shares(b.y, a.y, pitch_b[1], pitch_a[1]),
        b.swapped,
        a.swapped,
    )
    covered = float(np.mean(shares[0].sum(axis=1))) * float(np.mean(shares[1].sum(axis=1)))
    if covered <= 0.0:
        notes.append(f"{side.letter} shows another part of the sample: pixels are not compared")
        return False, None
    if all(_same(np.sort(u), np.sort(v), a) for u, v in ((a.x, b.x), (a.y, b.y))):
        return True, shares
    sizes = [f"{abs(x):.4g} × {abs(y):.4g} µm" for x, y in (pitch_b, pitch_a)]
    notes.append(
        f"{side.letter}: pixels of {sizes[0]} averaged over those of {first.letter}, {sizes[1]}, "
        f"{covered:.0%} of which it covers"
    )
    return True, shares


def pitches(view: View) -> tuple[float, float]:
    """Size of a pixel along x and along y."""
    left, right, bottom, top = view.extent
    return abs(top - bottom) / view.x.size, abs(right - left) / view.y.size


def _same(a: Floats, b: Floats, view: View) -> bool:
    slack = _SAME * min(pitches(view))
    return a.shape == b.shape and bool(np.abs(a - b).max() <= slack)

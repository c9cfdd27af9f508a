r"""Whether the steps of a scan are fine enough for centres of mass.

The centre of mass of frames a step h apart follows a small rotation with a slope that depends on
where the frames fall on the rocking curve. For a Gaussian curve of standard deviation σ that slope
varies by ± 8π²(σ/h)² exp(-2π²(σ/h)²) about its mean, for a wide box with Gaussian flanks by
± 2 exp(-2π²(σ/h)²), with the σ of the flanks (docs/explanation/physics.md, E6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from weakbeam.core.arrays import Floats

LARGEST_VARIATION = 0.05
"""Part of its mean by which the slope of a centre of mass may vary."""

_OFFSETS = 32
"""Places on a step at which the slope is looked at."""

_FINEST = 64
"""Parts of a step, at most, of which a finer scan is proposed."""


def slope_variation(curve: Callable[[Floats], Floats], positions: Floats) -> float:
    r"""How much the slope of a centre of mass varies with the place of the curve among the steps.

    Parameters
    ----------
    curve : callable
        Intensity of the perfect crystal at positions of the motor, shape (n,) to (n,).
    positions : (frames,) array_like
        Equally spaced positions of the scan, at least two.

    Returns
    -------
    float
        Half of largest less smallest slope :math:`\partial\mathrm{COM}/\partial c` over offsets c
        of the curve within one step, over their mean; infinite where there are offsets without
        light.
    """
    taken = np.asarray(positions, dtype=np.float64)
    step = (taken[-1] - taken[0]) / (len(taken) - 1)
    offsets = np.linspace(0.0, step, _OFFSETS + 1)
    light = np.stack([curve(taken - offset) for offset in offsets])
    total = light.sum(axis=1)
    if not (total > 0.0).all():
        return float("inf")
    # From the middle of the scan, so that no digits are lost.
    centers = light @ (taken - taken.mean()) / total
    slopes = np.diff(centers) / np.diff(offsets)
    mean = float(slopes.mean())
    return float(np.ptp(slopes)) / (2.0 * abs(mean)) if mean else float("inf")


def fine_step(curve: Callable[[Floats], Floats], positions: Floats) -> float | None:
    """The step, a whole part of that of the scan, at which slopes vary little enough.

    Parameters
    ----------
    curve : callable
        As for :func:`slope_variation`.
    positions : (frames,) array_like
        As there.

    Returns
    -------
    float, optional
        The step of the scan itself if it is fine enough; None if no reasonable part of it is.
    """
    first, last = float(positions[0]), float(positions[-1])
    for parts in _parts():
        finer = np.linspace(first, last, parts * (len(positions) - 1) + 1)
        if slope_variation(curve, finer) <= LARGEST_VARIATION:
            return (last - first) / (len(finer) - 1)
    return None


def _parts() -> Iterable[int]:
    """1, 2, 3, ..., and then fewer and fewer of the whole numbers."""
    parts = 1
    while parts <= _FINEST:
        yield parts
        parts += max(1, parts // 4)

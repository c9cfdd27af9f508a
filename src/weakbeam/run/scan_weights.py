"""How much each frame of a simulated scan counts in sums over it: the steps of its motors."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from weakbeam.analysis.step_weights import repeat_shares, step_weights
from weakbeam.core.arrays import Floats
from weakbeam.imaging.scan import SCAN_ORDER, DetectorScan


def axis_weights(scan: DetectorScan, along: str | None = None) -> dict[str, Floats]:
    """Weights of the positions of each motor, whose mean is 1.

    Parameters
    ----------
    scan : DetectorScan
        The scan.
    along : str, optional
        A motor along which there is a curve and no sum: its positions count alike, but for those
        that are taken again.

    Returns
    -------
    dict of str to (n,) ndarray
        For all four motors, as the positions of the scan.
    """
    weights = {}
    for motor in SCAN_ORDER:
        positions = scan.positions[motor]
        steps = repeat_shares(positions) if motor == along else step_weights(positions)
        even = motor == along or np.ptp(steps) <= 1e-12 * steps[0]
        weights[motor] = steps / (1.0 if motor == along else steps[0] if even else steps.mean())
    return weights


def scan_weights(scan: DetectorScan, along: str | None = None) -> Floats:
    """Weight of each frame, shape (frames,); `along` as for :func:`axis_weights`."""
    of_axes = replace(scan, positions=axis_weights(scan, along), phi_per_two_theta=0.0)
    each = [of_axes.motor_positions(motor) for motor in scan.moving]
    return np.asarray(reduce(np.multiply, each, np.ones(scan.frames)))


def layer_weights(scan: DetectorScan, number: int, along: str | None = None) -> list[Floats]:
    """Weights of the settings of φ and 2θ, and of χ, at one of the heights of the sample.

    Parameters
    ----------
    scan : DetectorScan
        The scan.
    number : int
        Which height.
    along : str, optional
        As for :func:`axis_weights`.

    Returns
    -------
    list of (n,) and (m,) ndarray
        In the order of :class:`weakbeam.imaging.scan.Layer`; those of φ and 2θ with the weight of
        the height.
    """
    of = axis_weights(scan, along)
    rock = of["z"][number] * np.multiply.outer(of["two_theta"], of["phi"]).ravel()
    return [rock, of["chi"]]

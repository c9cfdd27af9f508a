"""The back focal plane of the lens, as a page shows it."""

from __future__ import annotations

import numpy as np

from weakbeam.assemble.instrument import back_focal_scale
from weakbeam.core.arrays import Floats
from weakbeam.instrument.passage import Passage, Window
from weakbeam.viewer.bench import Bench


def back_focal_plane(bench: Bench, points: int = 161) -> tuple[Floats, float, float]:
    """What passes the back focal plane of the lens: its Gaussian, its aperture and the stop.

    Returns
    -------
    values : (n, n) ndarray
        Transmission; rows along δ in 2θ from the largest value down, columns along ξ, in roll.
    reach : float
        Half width of the plane (µm).
    scale : float
        µm for an angle of 1 rad.

    Raises
    ------
    InputError
        If the focal length is not known.
    """
    optics, scale = bench.setups[0].optics, back_focal_scale(bench.experiment)
    reach = min(1.15 * optics.aperture, 3.5 * optics.lens)
    angles = np.linspace(-reach, reach, points)
    delta, xi = np.meshgrid(angles[::-1], angles, indexing="ij")
    passed = np.zeros_like(delta)
    for passage in optics.passages:
        passed += _transmission(passage, delta, xi)
    gauss = np.exp(-0.5 * (delta**2 + xi**2) / optics.lens**2)
    return np.asarray(passed * gauss), reach * scale, scale


def _transmission(passage: Passage, delta: Floats, xi: Floats) -> Floats:
    """What one product of the transmission lets pass at lens angles."""
    inside = np.hypot(delta, xi) <= passage.radius
    product = _windows(passage.two_theta, delta) * _windows(passage.roll, xi)
    return np.asarray(passage.weight * inside * product)


def _windows(windows: tuple[Window, ...], angles: Floats) -> Floats:
    passed = np.zeros_like(angles)
    for window in windows:
        there = (angles >= window.low) & (angles < window.high)
        passed[there] += window.transmission
    return passed

"""Frames of a scan as the camera records them, and what the perfect crystal shows in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import com_response
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Ints
from weakbeam.imaging.engine import Engine, Progress
from weakbeam.imaging.scan import DetectorScan
from weakbeam.run.scan_weights import scan_weights

EngineAt = Callable[[float], Engine]
"""Gives the engine for a height of the sample (µm)."""

SYMBOLS = {"phi": "φ", "chi": "χ", "two_theta": "Δ2θ"}
ANGLES = ("phi", "chi", "two_theta")


def camera_frames(
    setup: Setup,
    scan: DetectorScan,
    engine_at: EngineAt,
    index: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Frames of one detector scan, batch by batch, as the camera records them.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.
    engine_at : callable
        Gives the engine for a height of the sample (µm).
    index : int
        The scan's number in the file, which tells its camera noise from that of other scans.
    workers, progress
        As for :func:`weakbeam.simulate`.
    missing : (frames,) ndarray of bool, optional
        Only batches that hold such frames are computed, and only these frames come.

    Yields
    ------
    numbers : (n,) ndarray of int
        Numbers of the frames in the scan.
    frames : (n, rows, columns) ndarray
        The frames; the memory is used again for the next batch.
    """
    wanted = np.ones(scan.frames, np.bool_) if missing is None else missing
    for layer in scan.layers(setup.geometry):
        if not wanted[layer.frames].any():
            continue
        engine = engine_at(layer.z)

        def is_wanted(i: slice, j: slice, frames: Ints = layer.frames) -> bool:
            return bool(wanted[frames[j, i]].any())

        batches = engine.batches(layer.rock_shifts, layer.roll_shifts, is_wanted, progress)
        for i, j, batch in batches:
            numbers = layer.frames[j, i].ravel()
            frames = batch.reshape(-1, *engine.shape)
            chosen = wanted[numbers]
            if not chosen.all():
                numbers, frames = numbers[chosen], frames[chosen]
            yield numbers, setup.detector.frames(frames, index, numbers, workers)


def angle_offsets(scan: DetectorScan) -> Floats:
    """φ, χ and 2θ offset (rad) at every frame, shape (frames, 3)."""
    return np.stack([scan.motor_positions(motor) for motor in ANGLES], axis=1)


def moving_angles(scan: DetectorScan) -> list[str]:
    """The angles that move in a scan, the slower one first."""
    return [motor for motor in scan.moving if motor in ANGLES]


def perfect_intensity(setup: Setup, offsets: Floats) -> Floats:
    """Intensity of the perfect crystal relative to its peak in the open instrument.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    offsets : (n, 3) ndarray
        Of φ, χ and 2θ from the Bragg setting (rad).

    Returns
    -------
    (n,) ndarray
    """
    q = np.asarray(offsets) @ setup.geometry.motor_vectors
    return setup.acceptance.relative(q)


def predicted_centers(setup: Setup, scan: DetectorScan, mean_q: Floats) -> dict[str, Floats]:
    """Centre of mass that the projected deformation predicts, -R q (rad).

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        The scan.
    mean_q : (3, rows, columns) ndarray
        q averaged over the rays of each pixel.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        For each moving angle; R is that of :func:`weakbeam.analysis.moments.com_response`.
    """
    motors = moving_angles(scan)
    every = angle_offsets(scan)
    positions = np.stack([every[:, ANGLES.index(motor)] for motor in motors])
    shifts = every @ setup.geometry.motor_vectors
    weights = scan_weights(scan)
    density = weights * setup.acceptance.density(shifts)
    # Far from the peak there is no light, and no centre of mass to predict.
    with np.errstate(invalid="ignore", divide="ignore"):
        response = com_response(setup.acceptance, shifts, positions, weights)
        rest = positions @ density / density.sum()
    return {
        motor: rest[k] - np.tensordot(response[k], mean_q, axes=1) for k, motor in enumerate(motors)
    }

"""Frames of a scan as the camera records them, and what the perfect crystal shows in each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import com_response
from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Ints
from weakbeam.diffraction.turned import perfect_q
from weakbeam.imaging.contract import Progress
from weakbeam.imaging.motors import ANGLES
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.engines import EngineAt
from weakbeam.run.scan_weights import scan_weights


def camera_frames(
    acquisition: Acquisition,
    engine_at: EngineAt,
    index: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Frames of one detector scan, batch by batch, as the camera records them.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    engine_at : callable
        Gives the engine for a height of the sample (µm) and a setting of the motors.
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
    setup, scan = acquisition.setup, acquisition.scan
    wanted = np.ones(scan.frames, np.bool_) if missing is None else missing
    for layer in scan.layers(setup.geometry):
        if not wanted[layer.frames].any():
            continue
        engine = engine_at(layer.z, layer.reference)

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


def perfect_intensity(setup: Setup, offsets: Floats) -> Floats:
    """Intensity of the perfect crystal relative to its peak in the open instrument.

    Parameters
    ----------
    setup : Setup
        The microscope set up for the reflection.
    offsets : (n, 3) ndarray
        Of φ, χ and 2θ from the Bragg setting (rad).

    Returns
    -------
    (n,) ndarray
    """
    return setup.acceptance.relative(perfect_q(setup.geometry, offsets))


def predicted_centers(acquisition: Acquisition, mean_q: Floats) -> dict[str, Floats]:
    """Centre of mass that the projected deformation predicts, -R q (rad).

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    mean_q : (3, rows, columns) ndarray
        q averaged over the rays of each pixel.

    Returns
    -------
    dict of str to (rows, columns) ndarray
        For each moving angle; R is that of :func:`weakbeam.analysis.moments.com_response`.
    """
    acceptance, motors = acquisition.setup.acceptance, acquisition.moving_angles
    offsets, shifts = acquisition.angle_offsets, acquisition.q_shifts
    positions = np.stack([offsets[:, ANGLES.index(motor)] for motor in motors])
    weights = scan_weights(acquisition.scan)
    density = weights * acceptance.density(shifts)
    # Far from the peak there is no light, and no centre of mass to predict.
    with np.errstate(invalid="ignore", divide="ignore"):
        response = com_response(acceptance, shifts, positions, weights)
        rest = positions @ density / density.sum()
    return {
        motor: rest[k] - np.tensordot(response[k], mean_q, axes=1) for k, motor in enumerate(motors)
    }

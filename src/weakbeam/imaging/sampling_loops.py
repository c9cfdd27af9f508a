"""Compiled loops over the rays of a block: its samples, q at them, and how fast q varies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled
from weakbeam.defects.straight import add_lines
from weakbeam.imaging.gradient_loops import q_from_gradient


@compiled
def block_points(
    centres: Floats, pixels: Ints, offsets: Floats, first: Ints, points: Floats
) -> None:
    """Sampling points of a block.

    Parameters
    ----------
    centres : (3, pixels of the image) ndarray
        Where each pixel looks at height 0 (µm, sample frame).
    pixels : (width,) ndarray of int64
        The pixel of each ray.
    offsets : (n, 3) ndarray
        Displacements of a pixel's samples.
    first : (width,) ndarray of int64
        The displacement of each ray's first sample.
    points : (3, samples, width) ndarray
        Filled in.
    """
    for c in range(3):
        for k in range(points.shape[1]):
            row = points[c, k]
            for p in range(row.size):
                row[p] = centres[c, pixels[p]] + offsets[first[p] + k, c]


@compiled
def weights_of_slices(weights: Floats, first: Ints, chosen: Floats) -> None:
    """Weights of the samples of a block.

    Parameters
    ----------
    weights : (n,) ndarray
        Weight of each sample of a pixel.
    first : (width,) ndarray of int64
        The first sample of each member of the block.
    chosen : (samples, width) ndarray
        Filled in.
    """
    for k in range(chosen.shape[0]):
        row = chosen[k]
        for p in range(row.size):
            row[p] = weights[first[p] + k]


@compiled
def weights_of_uncut(
    weights: Floats, levels: NDArray[np.int8], pixels: Ints, chosen: Floats
) -> None:
    """Weights of the slices of whole rays; none for those that are cut.

    Parameters
    ----------
    weights : (slices,) ndarray
        Weight of each slice.
    levels : (slices, pixels of the image) ndarray of int8
        0 where a slice is not cut.
    pixels : (width,) ndarray of int64
        The pixel of each ray.
    chosen : (slices, width) ndarray
        Filled in.
    """
    for k in range(weights.size):
        row, level = chosen[k], levels[k]
        for p in range(pixels.size):
            row[p] = weights[k] if level[pixels[p]] == 0 else 0.0


@compiled
def q_of_lines(
    centres: Floats,
    pixels: Ints,
    offsets: Floats,
    first: Ints,
    across: Floats,
    core_squared: Floats,
    matrices: Floats,
    q0: Floats,
    rotation: Floats,
    q: Floats,
) -> None:
    """Change of the diffraction vector near straight dislocations, at the samples of a block.

    Parameters
    ----------
    centres, pixels, offsets, first
        As for :func:`block_points`.
    across, core_squared, matrices
        The lines; see :func:`~weakbeam.defects.straight.constants`.
    q0, rotation
        As for :func:`~weakbeam.imaging.gradient_loops.q_from_gradient`.
    q : (3, samples, width) ndarray
        Filled in.
    """
    # One sample of all rays at a time stays in the fastest memory.
    width = pixels.size
    here = np.empty((3, width))
    for c in range(3):
        for p in range(width):
            here[c, p] = centres[c, pixels[p]]
    points, gradient, part = np.empty((3, width)), np.empty((9, width)), np.empty((3, width))
    every = np.arange(core_squared.size)
    for k in range(q.shape[1]):
        for c in range(3):
            for p in range(width):
                points[c, p] = here[c, p] + offsets[first[p] + k, c]
        gradient[:] = 0.0
        add_lines(gradient, points, across, core_squared, matrices, every)
        q_from_gradient(gradient, q0, rotation, part)
        for c in range(3):
            row = q[c, k]
            for p in range(width):
                row[p] = part[c, p]


@compiled
def steepest_steps(
    q: Floats, runs: int, scales: Floats, pixels: Ints, steps: Floats32, peaks: Floats32
) -> None:
    """Largest change of q from each sample of each pixel to its neighbours, and theirs to others.

    Parameters
    ----------
    q : (3, samples, width) ndarray
        Imaging frame.
    runs : int
        Samples come in this many runs along the ray, one for each sub-pixel.
    scales : (3,) ndarray
        Change of each component that counts as 1.
    pixels : (n,) ndarray of int64
        Where the first n ≤ width members of the block lie in the image.
    steps : (samples, pixels of the image) ndarray of float32
        Filled in at `pixels`.
    peaks : (pixels of the image,) ndarray of float32
        Filled in with the largest of each pixel.
    """
    samples = q.shape[1] // runs
    rock, roll, two_theta = 1.0 / scales[0], 1.0 / scales[1], 1.0 / scales[2]
    step = np.empty(q.shape[2], np.float32)
    about = np.zeros(q.shape[1:], np.float32)
    highest = np.zeros(q.shape[2], np.float32)
    for start in range(0, q.shape[1], samples):
        for k in range(start, start + samples - 1):
            q1, q2, q3 = q[0, k], q[1, k], q[2, k]
            n1, n2, n3 = q[0, k + 1], q[1, k + 1], q[2, k + 1]
            for p in range(step.size):
                change = abs(n1[p] - q1[p]) * rock + abs(n2[p] - q2[p]) * roll
                step[p] = change + abs(n3[p] - q3[p]) * two_theta
            for n in range(max(k - 1, start), min(k + 2, start + samples - 1) + 1):
                row = about[n]
                for p in range(step.size):
                    row[p] = max(row[p], step[p])
            for p in range(step.size):
                highest[p] = max(highest[p], step[p])
    for k in range(q.shape[1]):
        row, all_of_image = about[k], steps[k]
        for p in range(pixels.size):
            all_of_image[pixels[p]] = row[p]
    for p in range(pixels.size):
        peaks[pixels[p]] = highest[p]

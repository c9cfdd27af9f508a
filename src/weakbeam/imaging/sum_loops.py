"""Compiled loops that sum over the rays of a pixel: factors or a table to frames and moments.

Arrays are laid out (..., sample, setting, pixel) with the pixel last, so that every inner loop runs
over neighbouring pixels and compiles to vector instructions.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled


@compiled
def sum_products(rock: Floats32, roll: Floats32, pixels: Ints, add: bool, frames: Floats32) -> None:
    """Frames of a block of pixels: the sum over samples of the products of the two factors.

    Parameters
    ----------
    rock : (samples, settings, block) ndarray of float32
        Factor of (q_rock', q_2θ), weights included; samples of all products one after the other.
    roll : (samples, settings', block) ndarray of float32
        Factor of q_roll.
    pixels : (n,) ndarray of int64
        Where the first n ≤ block pixels of the block lie in the image.
    add : bool
        Add to what is there, instead of replacing it.
    frames : (settings', settings, pixels of the image) ndarray of float32
        Filled in at `pixels`.
    """
    samples = rock.shape[0]
    rest = samples % 4
    total = np.empty(rock.shape[2], np.float32)
    for j in range(roll.shape[1]):
        for i in range(rock.shape[1]):
            if rest == 3:
                a0, a1, a2 = rock[0, i], rock[1, i], rock[2, i]
                b0, b1, b2 = roll[0, j], roll[1, j], roll[2, j]
                for p in range(total.size):
                    total[p] = a0[p] * b0[p] + a1[p] * b1[p] + a2[p] * b2[p]
            else:
                total[:] = 0.0
                for k in range(rest):
                    a0, b0 = rock[k, i], roll[k, j]
                    for p in range(total.size):
                        total[p] += a0[p] * b0[p]
            for k in range(rest, samples, 4):
                a0, a1, a2, a3 = rock[k, i], rock[k + 1, i], rock[k + 2, i], rock[k + 3, i]
                b0, b1, b2, b3 = roll[k, j], roll[k + 1, j], roll[k + 2, j], roll[k + 3, j]
                for p in range(total.size):
                    total[p] += (a0[p] * b0[p] + a1[p] * b1[p]) + (a2[p] * b2[p] + a3[p] * b3[p])
            frame = frames[j, i]
            # Rounding may leave a trace below zero where a blocked part has been taken away.
            if add:
                for n in range(pixels.size):
                    frame[pixels[n]] += max(total[n], np.float32(0.0))
            else:
                for n in range(pixels.size):
                    frame[pixels[n]] = max(total[n], np.float32(0.0))


@compiled
def sum_moments(
    rock: Floats32,
    roll: Floats32,
    rock_powers: Floats,
    roll_powers: Floats,
    pixels: Ints,
    add: bool,
    moments: Floats,
) -> None:
    """Moments of a block of pixels over the whole scan, without forming its frames.

    The sum over frames of a product of powers is a product of sums, sample by sample.

    Parameters
    ----------
    rock, roll : (samples, settings, block) ndarray of float32
        The two factors.
    rock_powers, roll_powers : (moments, settings) ndarray
        What each setting of either factor is multiplied with. Rows that repeat the one before, and
        zeros, cost next to nothing: rows with a single 1 give the curve along a motor.
    pixels : (n,) ndarray of int64
        Where the first n ≤ block pixels of the block lie in the image.
    add : bool
        Add to what is there, instead of replacing it.
    moments : (moments, pixels of the image) ndarray
        Filled in at `pixels`.
    """
    number, block = rock_powers.shape[0], rock.shape[2]
    total, left, right = np.zeros((number, block)), np.empty(block), np.empty(block)
    new_left, new_right = np.empty(number, np.bool_), np.empty(number, np.bool_)
    for m in range(number):
        new_left[m] = m == 0 or (rock_powers[m] != rock_powers[m - 1]).any()
        new_right[m] = m == 0 or (roll_powers[m] != roll_powers[m - 1]).any()
    for k in range(rock.shape[0]):
        for m in range(number):
            if new_left[m]:
                weigh(rock[k], rock_powers[m], left)
            if new_right[m]:
                weigh(roll[k], roll_powers[m], right)
            row = total[m]
            for p in range(block):
                row[p] += left[p] * right[p]
    for m in range(number):
        if add:
            for n in range(pixels.size):
                moments[m, pixels[n]] += total[m, n]
        else:
            for n in range(pixels.size):
                moments[m, pixels[n]] = total[m, n]


@compiled
def weigh(factor: Floats32, powers: Floats, total: Floats) -> None:
    """Sum of a factor, (settings, block), over its settings, each times its power."""
    total[:] = 0.0
    for i in range(factor.shape[0]):
        if powers[i] != 0.0:
            row, power = factor[i], powers[i]
            for p in range(total.size):
                total[p] += power * row[p]


@compiled
def put(block: Floats32 | Floats, pixels: Ints, add: bool, frames: Floats32 | Floats) -> None:
    """Put a block (m, n, width) of pixels into images (m, n, pixels of the image), or add it."""
    for j in range(block.shape[0]):
        for i in range(block.shape[1]):
            for n in range(pixels.size):
                if add:
                    frames[j, i, pixels[n]] += block[j, i, n]
                else:
                    frames[j, i, pixels[n]] = block[j, i, n]


@compiled
def sum_table(
    q: Floats,
    weights: Floats,
    rock: Floats,
    roll: Floats,
    table: Floats32,
    first: Floats,
    density: Floats,
    block: Floats32,
) -> None:
    """Frames of a block of pixels from a tabulated acceptance, linearly interpolated.

    Parameters
    ----------
    q : (3, samples, pixels) ndarray
        Imaging frame.
    weights : (samples, pixels) ndarray
        Weight of each sample of a pixel, scale included.
    rock, roll : (n, 3) and (m, 3) ndarray
        Shifts of q; a frame takes one of each.
    table : (n1, n2, n3) ndarray of float32
        Values at the centres of the voxels.
    first, density : (3,) ndarray
        Centre of the first voxel, and voxels per unit, along each axis.
    block : (m, n, pixels) ndarray of float32
        Filled in. Beyond the outermost centres, by half a voxel, their values hold; then nothing.
    """
    n1, n2, n3 = table.shape
    for j in range(roll.shape[0]):
        for i in range(rock.shape[0]):
            s1, s2, s3 = rock[i, 0] + roll[j, 0], rock[i, 1] + roll[j, 1], rock[i, 2] + roll[j, 2]
            for p in range(q.shape[2]):
                total = 0.0
                for k in range(q.shape[1]):
                    x = (q[0, k, p] + s1 - first[0]) * density[0]
                    y = (q[1, k, p] + s2 - first[1]) * density[1]
                    z = (q[2, k, p] + s3 - first[2]) * density[2]
                    inside = -0.5 <= x <= n1 - 0.5 and -0.5 <= y <= n2 - 0.5
                    if not (inside and -0.5 <= z <= n3 - 0.5):
                        continue
                    x, y = min(max(x, 0.0), n1 - 1.0), min(max(y, 0.0), n2 - 1.0)
                    z = min(max(z, 0.0), n3 - 1.0)
                    a, b, c = int(x), int(y), int(z)
                    d, e, f = min(a + 1, n1 - 1), min(b + 1, n2 - 1), min(c + 1, n3 - 1)
                    x, y, z = x - a, y - b, z - c
                    near = (1.0 - y) * ((1.0 - z) * table[a, b, c] + z * table[a, b, f]) + y * (
                        (1.0 - z) * table[a, e, c] + z * table[a, e, f]
                    )
                    far = (1.0 - y) * ((1.0 - z) * table[d, b, c] + z * table[d, b, f]) + y * (
                        (1.0 - z) * table[d, e, c] + z * table[d, e, f]
                    )
                    total += weights[k, p] * ((1.0 - x) * near + x * far)
                block[j, i, p] = total

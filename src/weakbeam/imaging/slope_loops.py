"""Compiled loop for derivatives of frames by parameters that change q of the rays."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats32, Ints
from weakbeam.core.compiled import compiled


@compiled
def sum_slopes(
    rock: Floats32,
    rock_by_first: Floats32,
    rock_by_third: Floats32,
    roll: Floats32,
    roll_by_second: Floats32,
    changes: Floats32,
    pixels: Ints,
    add: bool,
    slopes: Floats32,
) -> None:
    """Derivatives of a block of pixels: the sum over samples of ∇p · ∂q.

    Parameters
    ----------
    rock, rock_by_first, rock_by_third : (samples, settings, block) ndarray of float32
        Factor of (q_rock', q_2θ) and its derivatives by them, weights included; samples of all
        products one after the other.
    roll, roll_by_second : (samples, settings', block) ndarray of float32
        Factor of q_roll and its derivative.
    changes : (parameters, 3, samples of one product, block) ndarray of float32
        Change of q with each parameter.
    pixels : (n,) ndarray of int64
        Where the first n ≤ block pixels of the block lie in the image.
    add : bool
        Add to what is there, instead of replacing it.
    slopes : (parameters, settings', settings, pixels of the image) ndarray of float32
        Filled in at `pixels`.
    """
    samples, settings, block = rock.shape
    one = changes.shape[2]
    by_first = np.empty(block, np.float32)
    by_second = np.empty(block, np.float32)
    by_third = np.empty(block, np.float32)
    total = np.empty((changes.shape[0], block), np.float32)
    for i in range(settings):
        for j in range(roll.shape[1]):
            total[:] = 0.0
            for k in range(samples):
                a, a1, a3 = rock[k, i], rock_by_first[k, i], rock_by_third[k, i]
                b, b2 = roll[k, j], roll_by_second[k, j]
                for p in range(block):
                    by_first[p] = a1[p] * b[p]
                    by_second[p] = a[p] * b2[p]
                    by_third[p] = a3[p] * b[p]
                for c in range(changes.shape[0]):
                    first, second, third = (
                        changes[c, 0, k % one],
                        changes[c, 1, k % one],
                        changes[c, 2, k % one],
                    )
                    row = total[c]
                    for p in range(block):
                        row[p] += (
                            by_first[p] * first[p]
                            + by_second[p] * second[p]
                            + by_third[p] * third[p]
                        )
            for c in range(changes.shape[0]):
                out, row = slopes[c, j, i], total[c]
                if add:
                    for n in range(pixels.size):
                        out[pixels[n]] += row[n]
                else:
                    for n in range(pixels.size):
                        out[pixels[n]] = row[n]

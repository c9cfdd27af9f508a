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
    by_rock = np.empty((samples, block), np.float32)
    by_roll = np.empty((samples, block), np.float32)
    total = np.empty(block, np.float32)
    for c in range(changes.shape[0]):
        for i in range(settings):
            for k in range(samples):
                first, second, third = (
                    changes[c, 0, k % one],
                    changes[c, 1, k % one],
                    changes[c, 2, k % one],
                )
                a, a1, a3 = rock[k, i], rock_by_first[k, i], rock_by_third[k, i]
                u, v = by_rock[k], by_roll[k]
                for p in range(block):
                    u[p] = a1[p] * first[p] + a3[p] * third[p]
                    v[p] = a[p] * second[p]
            for j in range(roll.shape[1]):
                for p in range(block):
                    total[p] = 0.0
                for k in range(samples):
                    u, v, b, b2 = by_rock[k], by_roll[k], roll[k, j], roll_by_second[k, j]
                    for p in range(block):
                        total[p] += u[p] * b[p] + v[p] * b2[p]
                out = slopes[c, j, i]
                if add:
                    for n in range(pixels.size):
                        out[pixels[n]] += total[n]
                else:
                    for n in range(pixels.size):
                        out[pixels[n]] = total[n]

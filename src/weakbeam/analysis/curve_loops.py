"""Compiled fits of the acceptance to the curve of one pixel over a whole scan.

The curve is I = b + s·p(q + shift)/p₀ at the shift of every frame, with the place q of the lattice,
a scale s and a dark level b. Frames far from the acceptance only tell b, so that most of a long
scan costs one comparison.
"""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.core.compiled import compiled, inlined
from weakbeam.diffraction.closed_form import ClosedForm
from weakbeam.imaging.normal import exponential, normal_between

WIDTH = 35
"""Numbers that describe a term of the acceptance; see :func:`term_table`."""

REACH = 30.0
"""Squared distance from the middle of the acceptance, in its widths, beyond which it is dark."""

RESULTS = 36
"""Numbers per pixel; their places are below."""

LIT, Q, SCALE, DARK, CHI2, FREEDOM, DARK_VARIANCE = 0, 1, 4, 5, 6, 7, 9
INFORMATION = 10  # 9 numbers: of q with scale and dark level eliminated
COM = 19  # 3 numbers: motors
COM_COVARIANCE = 22  # 9 numbers
ROUNDS = 31

_MOST_ROUNDS = 12
_SETTLED = 1e-8
"""Squared length of a step, in standard deviations, that ends a fit."""
_FAR = 1e30
_INV_ROOT = 1.0 / math.sqrt(2.0 * math.pi)


def term_table(terms: tuple[ClosedForm, ...], peak: float) -> Floats:
    """The closed forms of an acceptance as one array, with the density at q = 0 as unit."""
    table = np.empty((len(terms), WIDTH))
    for row, term in zip(table, terms, strict=True):
        row[:] = np.concatenate(
            [
                term.offset,
                term.whitening.ravel(),
                term.middle,
                term.delta,
                term.xi,
                term.chord,
                term.distance,
                [term.height / peak, term.clip, *term.delta_ends, *term.xi_ends],
                [min(term.radius, _FAR), 0.0],
            ]
        )
    return table


@inlined
def _normal_density(x: float) -> float:
    return _INV_ROOT * exponential(-0.5 * x * x)


@compiled
def density(table: Floats, q1: float, q2: float, q3: float, gradient: Floats) -> float:
    """Density at q over that at 0, and its gradient, which is filled in."""
    total = 0.0
    gradient[0] = gradient[1] = gradient[2] = 0.0
    for k in range(table.shape[0]):
        t = table[k]
        a, b, c = q1 - t[0], q2 - t[1], q3 - t[2]
        y1 = t[3] * a + t[4] * b + t[5] * c
        y2 = t[6] * a + t[7] * b + t[8] * c
        y3 = t[9] * a + t[10] * b + t[11] * c
        exponent = y1 * y1 + y2 * y2 + y3 * y3
        if exponent > 80.0:
            continue
        middle = t[12] * a + t[13] * b + t[14] * c
        delta = t[15] * a + t[16] * b + t[17] * c
        xi = t[18] * a + t[19] * b + t[20] * c
        low, high = -t[28], t[28]
        # Which limit is the narrowest tells what the bracket depends on.
        low_from, high_from = -1, -1
        if delta - t[29] > low:
            low, low_from = delta - t[29], 15
        if xi + t[31] > low:
            low, low_from = xi + t[31], 18
        if delta - t[30] < high:
            high, high_from = delta - t[30], 15
        if xi + t[32] < high:
            high, high_from = xi + t[32], 18
        half, across = 0.0, 0.0
        if t[33] < 1e29:
            chord = t[21] * a + t[22] * b + t[23] * c
            across = t[24] * a + t[25] * b + t[26] * c
            half = math.sqrt(max(t[33] * t[33] - across * across, 0.0))
            if chord - half > low:
                low, low_from = chord - half, 21
            if chord + half < high:
                high, high_from = chord + half, 21
        if high <= low:
            continue
        gauss = t[27] * exponential(-0.5 * exponent)
        inside = max(normal_between(low - middle, high - middle), 0.0)
        total += gauss * inside
        at_low, at_high = _normal_density(low - middle), _normal_density(high - middle)
        for i in range(3):
            pull = y1 * t[3 + i] + y2 * t[6 + i] + y3 * t[9 + i]
            edge = (at_low - at_high) * t[12 + i]
            if low_from >= 0:
                edge -= at_low * t[low_from + i]
                if low_from == 21 and half > 0.0:
                    edge -= at_low * across / half * t[24 + i]
            if high_from >= 0:
                edge += at_high * t[high_from + i]
                if high_from == 21 and half > 0.0:
                    edge -= at_high * across / half * t[24 + i]
            gradient[i] += gauss * (edge - inside * pull)
    return total


@compiled
def densities(table: Floats, q: Floats, values: Floats, gradients: Floats) -> None:
    """Densities (n,) and gradients (n, 3) at q (n, 3), filled in."""
    for n in range(q.shape[0]):
        values[n] = density(table, q[n, 0], q[n, 1], q[n, 2], gradients[n])


@compiled
def solve_symmetric(matrix: Floats, right: Floats, size: int) -> bool:
    """Solve in place for a positive definite matrix (Cholesky); False if it is not."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(size):
        total = right[i]
        for k in range(i):
            total -= matrix[i, k] * right[k]
        right[i] = total / matrix[i, i]
    for i in range(size - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, size):
            total -= matrix[k, i] * right[k]
        right[i] = total / matrix[i, i]
    return True


@compiled
def fit_pixels(
    curves: Floats32,
    shifts: Floats,
    offsets: Floats,
    steps: Floats,
    table: Floats,
    precision: Floats,
    noise: Floats,
    least: float,
    results: Floats,
) -> None:
    """Centre of mass and maximum-likelihood place of the lattice of every pixel.

    Parameters
    ----------
    curves : (pixels, frames) ndarray of float32
        Counts.
    shifts : (frames, 3) ndarray
        Where the perfect crystal stands in the acceptance at each frame.
    offsets : (frames, 3) ndarray
        φ, χ and 2θ (rad) of each frame.
    steps : (frames,) ndarray
        How much each frame counts in the centre of mass.
    table, precision
        The acceptance: its terms, and the inverse (3, 3) of its covariance.
    noise : (4,) ndarray
        Gain (counts² of variance per count of signal), variance of the dark level, dark level or
        NaN where it is to be found, 1 if the curve is free of noise.
    least : float
        Height above the dark level, in counts, from which on a pixel is lit.
    results : (pixels, RESULTS) ndarray
        Filled in; zero where the pixel is dark.
    """
    frames = curves.shape[1]
    listed = np.empty(frames, np.int64)
    sample = np.empty(min(frames, 255))
    matrix, right, step = np.empty((5, 5)), np.empty(5), np.empty(5)
    gradient, jacobian = np.empty(3), np.empty(5)
    gain, floor_variance, known_dark, exact = noise[0], noise[1], noise[2], noise[3] > 0.0
    for pixel in range(curves.shape[0]):
        curve, out = curves[pixel], results[pixel]
        out[:] = 0.0
        # The dark level to begin with: most of a scan is dark, and a third of any.
        for k in range(sample.size):
            sample[k] = curve[(k * 7919 + 13) % frames] if frames > 255 else curve[k]
        ordered = np.sort(sample)
        if math.isnan(known_dark):
            middle = ordered[sample.size // 2] if frames > 255 else ordered[sample.size // 10]
            dark = middle
            spread = max(middle - ordered[int(0.16 * sample.size)], 1e-12)
        else:
            dark, spread = known_dark, math.sqrt(floor_variance)
        top = 0.0
        for f in range(frames):
            top = max(top, curve[f] - dark)
        if not top > least:
            continue
        above = max(4.0 * spread, 0.002 * top)
        if exact:
            above = 0.0
        # Centre of mass over the motors, each frame weighed by its step.
        total, m1, m2, m3, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for f in range(frames):
            value = curve[f] - dark
            if value > above:
                w = steps[f] * value
                total += w
                m1 += w * offsets[f, 0]
                m2 += w * offsets[f, 1]
                m3 += w * offsets[f, 2]
                s1 += w * shifts[f, 0]
                s2 += w * shifts[f, 1]
                s3 += w * shifts[f, 2]
        if not total > 0.0:
            continue
        m1, m2, m3 = m1 / total, m2 / total, m3 / total
        out[COM], out[COM + 1], out[COM + 2] = m1, m2, m3
        for f in range(frames):
            value = curve[f] - dark
            if value > above:
                share = steps[f] / total
                variance = share * share * (gain * value + floor_variance)
                a, b, c = offsets[f, 0] - m1, offsets[f, 1] - m2, offsets[f, 2] - m3
                out[COM_COVARIANCE] += variance * a * a
                out[COM_COVARIANCE + 1] += variance * a * b
                out[COM_COVARIANCE + 2] += variance * a * c
                out[COM_COVARIANCE + 4] += variance * b * b
                out[COM_COVARIANCE + 5] += variance * b * c
                out[COM_COVARIANCE + 8] += variance * c * c
        for i in range(3):
            for j in range(i):
                out[COM_COVARIANCE + 3 * i + j] = out[COM_COVARIANCE + 3 * j + i]
        q1, q2, q3 = -s1 / total, -s2 / total, -s3 / total
        # Frames that the acceptance reaches; of all others only their number and mean matter.
        count, dark_count, dark_sum, dark_square = 0, 0, 0.0, 0.0
        for f in range(frames):
            a, b, c = q1 + shifts[f, 0], q2 + shifts[f, 1], q3 + shifts[f, 2]
            distance = (
                precision[0, 0] * a * a
                + precision[1, 1] * b * b
                + precision[2, 2] * c * c
                + 2.0
                * (precision[0, 1] * a * b + precision[0, 2] * a * c + precision[1, 2] * b * c)
            )
            if distance < REACH:
                listed[count] = f
                count += 1
            else:
                value = curve[f] - dark
                dark_count += 1
                dark_sum += value
                dark_square += value * value
        if count < 5:
            continue
        if dark_count > 1:
            mean = dark_sum / dark_count
            out[DARK_VARIANCE] = (dark_square - dark_count * mean * mean) / (dark_count - 1)
            if math.isnan(known_dark):
                dark += mean
        free_dark = math.isnan(known_dark)
        size = 5 if free_dark else 4
        level, scale = 0.0, top
        # A scale to begin with, by least squares at this place.
        up, down = 0.0, 1e-300
        for n in range(count):
            f = listed[n]
            p = density(table, q1 + shifts[f, 0], q2 + shifts[f, 1], q3 + shifts[f, 2], gradient)
            up += p * (curve[f] - dark)
            down += p * p
        scale = max(up / down, 1e-3 * top)
        base = floor_variance if floor_variance > 0.0 else 1e-8 * top * top
        rounds, good, chi2 = 0, True, 0.0
        while rounds < _MOST_ROUNDS:
            rounds += 1
            matrix[:] = 0.0
            right[:] = 0.0
            chi2 = 0.0
            for n in range(count):
                f = listed[n]
                p = density(
                    table, q1 + shifts[f, 0], q2 + shifts[f, 1], q3 + shifts[f, 2], gradient
                )
                model = scale * p
                away = curve[f] - dark - level - model
                variance = base if exact else gain * max(model, 0.0) + base
                deviation = abs(away) / math.sqrt(variance)
                weight = 1.0 / variance
                chi2 += deviation * deviation if deviation < 6.0 else 12.0 * deviation - 36.0
                if deviation > 6.0 and not exact:
                    weight *= 6.0 / deviation
                jacobian[0], jacobian[1] = scale * gradient[0], scale * gradient[1]
                jacobian[2], jacobian[3], jacobian[4] = scale * gradient[2], p, 1.0
                for i in range(size):
                    right[i] += weight * jacobian[i] * away
                    for j in range(i + 1):
                        matrix[i, j] += weight * jacobian[i] * jacobian[j]
            if free_dark and dark_count > 1:
                # Deviations of the dark frames count from their mean, which is `dark`.
                matrix[4, 4] += dark_count / base
                right[4] -= dark_count * level / base
            elif free_dark:
                matrix[4, 4] += 1e-12 * count / base
            for i in range(size):
                for j in range(i):
                    matrix[j, i] = matrix[i, j]
            for i in range(3):
                for j in range(3):
                    out[INFORMATION + 3 * i + j] = matrix[i, j]
            # Eliminate scale and level from the information on q.
            d = matrix[3, 3]
            if free_dark:
                e, g = matrix[3, 4], matrix[4, 4]
                det = d * g - e * e
                for i in range(3):
                    for j in range(3):
                        u, v, x, y = matrix[i, 3], matrix[i, 4], matrix[3, j], matrix[4, j]
                        taken = (u * (g * x - e * y) + v * (d * y - e * x)) / det
                        out[INFORMATION + 3 * i + j] -= taken
            else:
                for i in range(3):
                    for j in range(3):
                        out[INFORMATION + 3 * i + j] -= matrix[i, 3] * matrix[3, j] / d
            # What no motor of the scan tells stays where it is.
            size_of = matrix[0, 0] / precision[0, 0]
            for i in range(3):
                for j in range(3):
                    matrix[i, j] += 1e-7 * size_of * precision[i, j]
            step[:] = right
            if not solve_symmetric(matrix, step, size):
                good = False
                break
            length = (
                precision[0, 0] * step[0] * step[0]
                + precision[1, 1] * step[1] * step[1]
                + precision[2, 2] * step[2] * step[2]
                + 2.0
                * (
                    precision[0, 1] * step[0] * step[1]
                    + precision[0, 2] * step[0] * step[2]
                    + precision[1, 2] * step[1] * step[2]
                )
            )
            share = min(1.0, 1.0 / math.sqrt(max(length, 1e-30)))
            q1, q2, q3 = q1 + share * step[0], q2 + share * step[1], q3 + share * step[2]
            scale += share * step[3]
            if scale <= 0.0:
                scale = 1e-3 * top
            if free_dark:
                level += share * step[4]
            gained = 0.0
            for i in range(size):
                gained += step[i] * right[i]
            if gained < (1e-20 * chi2 + 1e-24 if exact else _SETTLED):
                break
        if not good:
            continue
        out[LIT] = 1.0
        out[Q], out[Q + 1], out[Q + 2] = q1, q2, q3
        out[SCALE], out[DARK], out[CHI2] = scale, dark + level, chi2
        out[FREEDOM] = count - size
        out[ROUNDS] = rounds

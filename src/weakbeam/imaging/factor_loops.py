"""Compiled loops of the two factors of the acceptance, at every setting of their motors.

Arrays are laid out (..., sample, setting, pixel) with the pixel last, so that every inner loop runs
over neighbouring pixels and compiles to vector instructions.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.core.compiled import compiled, inlined
from weakbeam.imaging.normal import NOTHING, exponential, normal_between


@compiled
def rock_factor(
    q: Floats,
    shifts: Floats,
    weights: Floats,
    optics: tuple[float, ...],
    parts: Floats,
    factor: Floats32,
) -> None:
    """Weighted density of (q_rock', q_2θ) in closed form, at every shift of q.

    Parameters
    ----------
    q : (3, samples, pixels) ndarray
        Imaging frame.
    shifts : (settings, 3) ndarray
        Added to q by the motors.
    weights : (samples, pixels) ndarray
        Weight of each sample of a pixel.
    optics : tuple of float
        sinθ, cosθ, precision of the beam, precision of the lens, half width of the condenser.
    parts : (n, 6) ndarray
        A Gaussian of the spectrum seen through a window of δ in each row: precision of the energy,
        its centre in q_rock' and q_2θ, scale, ends of the window.
    factor : (samples, settings, pixels) ndarray of float32
        Filled in with the sum over the parts.
    """
    sine, cosine, beam, lens, clip = optics
    for k in range(q.shape[1]):
        q1, q3, share_of_pixel = q[0, k], q[2, k], weights[k]
        for i in range(shifts.shape[0]):
            row = factor[k, i]
            for p in range(q1.size):
                row[p] = 0.0
            for n in range(parts.shape[0]):
                energy, window_low, window_high = parts[n, 0], parts[n, 4], parts[n, 5]
                height = parts[n, 3]
                total = beam + energy + lens
                inverse_width = np.sqrt(total)
                shift_1, shift_3 = shifts[i, 0] - parts[n, 1], shifts[i, 2] - parts[n, 2]
                for p in range(q1.size):
                    rock = q1[p] + shift_1
                    u = -rock / cosine
                    w = 2.0 * (sine * (q3[p] + shift_3) - cosine * rock)
                    d = u - w
                    exponent = beam * (energy * u * u + lens * w * w) + energy * lens * d * d
                    middle = (energy * u + lens * w) / total
                    low = max(-clip, w - window_high)
                    high = max(low, min(clip, w - window_low))
                    share = normal_between(
                        (low - middle) * inverse_width, (high - middle) * inverse_width
                    )
                    value = (
                        height * share_of_pixel[p] * exponential(-0.5 * exponent / total) * share
                    )
                    row[p] += value if value > NOTHING else 0.0


@compiled
def rock_slopes(
    q: Floats,
    shifts: Floats,
    weights: Floats,
    optics: tuple[float, ...],
    parts: Floats,
    factor: Floats32,
    by_first: Floats32,
    by_third: Floats32,
) -> None:
    """What :func:`rock_factor` has, and its derivatives by q_rock' and q_2θ.

    Parameters
    ----------
    q, shifts, weights, optics, parts, factor
        As for :func:`rock_factor`.
    by_first, by_third : (samples, settings, pixels) ndarray of float32
        Filled in.
    """
    sine, cosine, beam, lens, clip = optics
    first_u, first_w, third_w = -1.0 / cosine, -2.0 * cosine, 2.0 * sine
    for k in range(q.shape[1]):
        q1, q3, share_of_pixel = q[0, k], q[2, k], weights[k]
        for i in range(shifts.shape[0]):
            row, row_first, row_third = factor[k, i], by_first[k, i], by_third[k, i]
            for p in range(q1.size):
                row[p] = 0.0
                row_first[p] = 0.0
                row_third[p] = 0.0
            for n in range(parts.shape[0]):
                energy, window_low, window_high = parts[n, 0], parts[n, 4], parts[n, 5]
                height = parts[n, 3]
                total = beam + energy + lens
                inverse_width = np.sqrt(total)
                height_of_normal = inverse_width / np.sqrt(2.0 * np.pi)
                by_u, by_w = energy / total, lens / total
                shift_1, shift_3 = shifts[i, 0] - parts[n, 1], shifts[i, 2] - parts[n, 2]
                for p in range(q1.size):
                    rock = q1[p] + shift_1
                    u = -rock / cosine
                    w = 2.0 * (sine * (q3[p] + shift_3) - cosine * rock)
                    d = u - w
                    exponent = beam * (energy * u * u + lens * w * w) + energy * lens * d * d
                    middle = by_u * u + by_w * w
                    low = max(-clip, w - window_high)
                    high = max(low, min(clip, w - window_low))
                    # What a step of w moves the ends by.
                    low_moves = 1.0 if w - window_high > -clip else 0.0
                    high_moves = 1.0 if w - window_low < clip else 0.0
                    x_low, x_high = (low - middle) * inverse_width, (high - middle) * inverse_width
                    share = normal_between(x_low, x_high)
                    gauss = height * share_of_pixel[p] * exponential(-0.5 * exponent / total)
                    value = gauss * share
                    at_low = height_of_normal * exponential(-0.5 * x_low * x_low)
                    at_high = height_of_normal * exponential(-0.5 * x_high * x_high)
                    share_u = by_u * (at_low - at_high)
                    share_w = at_high * (high_moves - by_w) - at_low * (low_moves - by_w)
                    gauss_u = -(beam * energy * u + energy * lens * d) / total
                    gauss_w = -(beam * lens * w - energy * lens * d) / total
                    slope_u = gauss * (gauss_u * share + share_u)
                    slope_w = gauss * (gauss_w * share + share_w)
                    there = value > NOTHING and high > low
                    row[p] += value if there else 0.0
                    row_first[p] += first_u * slope_u + first_w * slope_w if there else 0.0
                    row_third[p] += third_w * slope_w if there else 0.0


@compiled
def rock_spline(
    q: Floats,
    shifts: Floats,
    weights: Floats,
    optics: tuple[float, ...],
    coefficients: Floats,
    factor: Floats32,
) -> None:
    """Weighted density of (q_rock', q_2θ) from a cubic B-spline, at every shift of q.

    Parameters
    ----------
    q, shifts, weights, factor
        As for :func:`rock_factor`.
    optics : tuple of float
        sinθ, cosθ, first node in u and in w, nodes per unit.
    coefficients : (n, m) ndarray
        Spline coefficients over u = -q_rock'/cosθ and w = 2(q_2θ sinθ - q_rock' cosθ).
    """
    sine, cosine, first_u, first_w, density = optics
    for k in range(q.shape[1]):
        for i in range(shifts.shape[0]):
            for p in range(q.shape[2]):
                rock, two_theta = q[0, k, p] + shifts[i, 0], q[2, k, p] + shifts[i, 2]
                x = (-rock / cosine - first_u) * density
                y = (2.0 * (sine * two_theta - cosine * rock) - first_w) * density
                value = 0.0
                if 1.0 <= x < coefficients.shape[0] - 2 and 1.0 <= y < coefficients.shape[1] - 2:
                    m, n = int(x), int(y)
                    a, b = x - m, y - n
                    a0, a1, a2, a3 = _spline_weights(a)
                    b0, b1, b2, b3 = _spline_weights(b)
                    for r, weight in ((-1, a0), (0, a1), (1, a2), (2, a3)):
                        line = coefficients[m + r]
                        value += weight * (
                            b0 * line[n - 1] + b1 * line[n] + b2 * line[n + 1] + b3 * line[n + 2]
                        )
                value *= weights[k, p]
                factor[k, i, p] = value if value > NOTHING else 0.0


@inlined
def _spline_weights(t: float) -> tuple[float, float, float, float]:
    """Weights of the four nodes about a point of a cubic B-spline, 0 ≤ t < 1 past the second."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        2.0 / 3.0 - t * t * (1.0 - 0.5 * t),
        2.0 / 3.0 - s * s * (1.0 - 0.5 * s),
        t * t * t / 6.0,
    )


@compiled
def roll_factor(
    q: Floats, shifts: Floats, optics: tuple[float, ...], windows: Floats, factor: Floats32
) -> None:
    """Density of q_roll in closed form, at every shift of q.

    Parameters
    ----------
    q, shifts
        As for :func:`rock_factor`.
    optics : tuple of float
        2 sinθ, half the precision of the Gaussian, for a beam with horizontal divergence the centre
        and the inverse width of its cut by a window (else zeros), scale.
    windows : (n, 3) ndarray
        Ends and transmission of the windows of ξ.
    factor : (samples, settings, pixels) ndarray of float32
        Filled in.
    """
    double_sine, half_precision, ratio, inverse_width, scale = optics
    size = abs(scale)
    sign = 1.0 if scale > 0.0 else -1.0
    for k in range(q.shape[1]):
        q2 = q[1, k]
        for i in range(shifts.shape[0]):
            row = factor[k, i]
            shift = shifts[i, 1]
            for p in range(q2.size):
                row[p] = 0.0
            for n in range(windows.shape[0]):
                low, high, height = windows[n, 0], windows[n, 1], size * windows[n, 2]
                if inverse_width == 0.0:
                    for p in range(q2.size):
                        x = double_sine * (q2[p] + shift)
                        value = height * exponential(-half_precision * x * x)
                        passes = low <= x and x < high and value > NOTHING
                        row[p] += sign * value if passes else 0.0
                else:
                    for p in range(q2.size):
                        x = double_sine * (q2[p] + shift)
                        middle = ratio * x
                        share = normal_between(
                            (low - middle) * inverse_width, (high - middle) * inverse_width
                        )
                        value = height * exponential(-half_precision * x * x) * share
                        row[p] += sign * value if value > NOTHING else 0.0


@compiled
def roll_table(
    q: Floats, shifts: Floats, optics: tuple[float, ...], values: Floats, factor: Floats32
) -> None:
    """Density of q_roll from a fine table, linearly interpolated, at every shift of q.

    Parameters
    ----------
    q, shifts, factor
        As for :func:`roll_factor`.
    optics : tuple of float
        2 sinθ, first node in x = 2 sinθ q_roll, nodes per unit.
    values : (n,) ndarray
        Density at the nodes, scale included.
    """
    double_sine, first, density = optics
    for k in range(q.shape[1]):
        for i in range(shifts.shape[0]):
            for p in range(q.shape[2]):
                x = (double_sine * (q[1, k, p] + shifts[i, 1]) - first) * density
                value = 0.0
                if 0.0 <= x < values.size - 1:
                    n = int(x)
                    value = values[n] + (x - n) * (values[n + 1] - values[n])
                factor[k, i, p] = value if abs(value) > NOTHING else 0.0

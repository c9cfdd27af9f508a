"""Compiled inner loops of the engine: deformation to q, q to the two factors, factors to frames.

Arrays are laid out (..., sample, setting, pixel) with the pixel last, so that every inner loop runs
over neighbouring pixels and compiles to vector instructions.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled, inlined
from weakbeam.imaging.normal import NOTHING, exponential, normal_between

_TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""

NOWHERE = 1e3
"""Value of q given to points that do not diffract: far outside any acceptance."""


@compiled
def q_from_gradient(gradient: Floats, q0: Floats, rotation: Floats, q: Floats) -> int:
    r"""Change of the diffraction vector, :math:`-R F^{-T} \beta^T \hat q_0`, at many points.

    Parameters
    ----------
    gradient : (9, n) ndarray
        β, rows xx, xy, xz, yx, ...
    q0 : (3,) ndarray
        Unit diffraction vector in the frame of β.
    rotation : (3, 3) ndarray
        R, from the frame of β to that of the result.
    q : (3, n) ndarray
        Filled in; NOWHERE where β is not finite or det F ≤ 0.

    Returns
    -------
    int
        Number of points that do not diffract.
    """
    q0x, q0y, q0z = q0[0], q0[1], q0[2]
    r00, r01, r02 = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    r10, r11, r12 = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    r20, r21, r22 = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    # Loops over a tile of known width become vector instructions, as it is clear to the compiler
    # that nothing written overlaps with what is read.
    b, out = np.empty((9, _TILE)), np.empty((3, _TILE))
    masked = 0
    for start in range(0, gradient.shape[1], _TILE):
        stop = min(start + _TILE, gradient.shape[1])
        for k in range(9):
            row = gradient[k, start:stop]
            for p in range(row.size):
                b[k, p] = row[p]
        for p in range(stop - start):
            fxx, fxy, fxz = 1.0 + b[0, p], b[1, p], b[2, p]
            fyx, fyy, fyz = b[3, p], 1.0 + b[4, p], b[5, p]
            fzx, fzy, fzz = b[6, p], b[7, p], 1.0 + b[8, p]
            # Rows of the cofactor matrix, which is F^-T det F.
            cxx, cxy, cxz = fyy * fzz - fyz * fzy, fyz * fzx - fyx * fzz, fyx * fzy - fyy * fzx
            cyx, cyy, cyz = fxz * fzy - fxy * fzz, fxx * fzz - fxz * fzx, fxy * fzx - fxx * fzy
            czx, czy, czz = fxy * fyz - fxz * fyy, fxz * fyx - fxx * fyz, fxx * fyy - fxy * fyx
            det = fxx * cxx + fxy * cxy + fxz * cxz
            px = q0x * b[0, p] + q0y * b[3, p] + q0z * b[6, p]
            py = q0x * b[1, p] + q0y * b[4, p] + q0z * b[7, p]
            pz = q0x * b[2, p] + q0y * b[5, p] + q0z * b[8, p]
            scale = -1.0 / det
            x = scale * (cxx * px + cxy * py + cxz * pz)
            y = scale * (cyx * px + cyy * py + cyz * pz)
            z = scale * (czx * px + czy * py + czz * pz)
            # Infinite or undefined components fail this comparison too.
            good = det > 0.0 and abs(x) + abs(y) + abs(z) < NOWHERE
            out[0, p] = r00 * x + r01 * y + r02 * z if good else NOWHERE
            out[1, p] = r10 * x + r11 * y + r12 * z if good else NOWHERE
            out[2, p] = r20 * x + r21 * y + r22 * z if good else NOWHERE
        for k in range(3):
            row = q[k, start:stop]
            for p in range(row.size):
                row[p] = out[k, p]
        for p in range(stop - start):
            masked += 1 if out[0, p] == NOWHERE else 0
    return masked


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
    q : (3, samples, pixels) ndarray
        Imaging frame.
    shifts : (settings, 3) ndarray
        Added to q by the motors.
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
    whole = samples - samples % 4
    total = np.empty(rock.shape[2], np.float32)
    for j in range(roll.shape[1]):
        for i in range(rock.shape[1]):
            for p in range(total.size):
                total[p] = 0.0
            for k in range(0, whole, 4):
                a0, a1, a2, a3 = rock[k, i], rock[k + 1, i], rock[k + 2, i], rock[k + 3, i]
                b0, b1, b2, b3 = roll[k, j], roll[k + 1, j], roll[k + 2, j], roll[k + 3, j]
                for p in range(total.size):
                    total[p] += (a0[p] * b0[p] + a1[p] * b1[p]) + (a2[p] * b2[p] + a3[p] * b3[p])
            for k in range(whole, samples):
                a0, b0 = rock[k, i], roll[k, j]
                for p in range(total.size):
                    total[p] += a0[p] * b0[p]
            frame = frames[j, i]
            # Rounding may leave a trace below zero where a blocked part has been taken away.
            if add:
                for n in range(pixels.size):
                    frame[pixels[n]] += max(total[n], np.float32(0.0))
            else:
                for n in range(pixels.size):
                    frame[pixels[n]] = max(total[n], np.float32(0.0))


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
            one = total[m]
            for p in range(block):
                one[p] += left[p] * right[p]
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
            one, power = factor[i], powers[i]
            for p in range(total.size):
                total[p] += power * one[p]

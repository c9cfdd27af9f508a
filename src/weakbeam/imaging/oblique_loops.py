"""Compiled loops for an acceptance that does not factorise: every ray at every setting.

A setting of the motors moves six numbers of a ray: the three whitened components of q, the mean of
ζ_v at that q, and the distances from it of the limits that the lens sets. Rays of neighbouring
pixels are alike, so that the range of these numbers over a block tells which settings leave the
whole block dark, and where the limits are too far away to matter.
"""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.compiled import compiled, inlined
from weakbeam.imaging.normal import NOTHING, exponential, normal_below, normal_between

_DARK = 86.0
"""Square of a whitened q at which exp(-q²/2) counts as zero; see `normal.NOTHING`."""

_FAR = 9.3
"""Distance of a limit, in standard deviations, beyond which the normal tail counts as zero."""

_FULL = 6.2
"""Distance of a limit at which the normal tail is less than 3e-10 of the whole."""

_FORMS_IN_CIRCLE = 8
"""Linear forms of a ray where a circle cuts the angles of the lens; six elsewhere."""


@compiled
def prepare(q: Floats, forms: Floats, offset: Floats, base: Floats, bounds: Floats) -> None:
    """Linear forms of q of every ray, and their range over each block of pixels.

    Parameters
    ----------
    q : (3, samples, pixels) ndarray
        Imaging frame.
    forms : (n, 3) ndarray
        Rows of the linear forms: six, and two more where a circle cuts the lens' angles.
    offset : (3,) ndarray
        Subtracted from q first.
    base : (samples, n, pixels) ndarray
        Filled in with the forms.
    bounds : (samples, n, 2) ndarray
        Filled in with smallest and largest value over the pixels.
    """
    for k in range(q.shape[1]):
        q1, q2, q3 = q[0, k], q[1, k], q[2, k]
        for c in range(forms.shape[0]):
            f1, f2, f3 = forms[c, 0], forms[c, 1], forms[c, 2]
            constant = f1 * offset[0] + f2 * offset[1] + f3 * offset[2]
            row = base[k, c]
            low, high = np.inf, -np.inf
            for p in range(row.size):
                value = f1 * q1[p] + f2 * q2[p] + f3 * q3[p] - constant
                row[p] = value
                low, high = min(low, value), max(high, value)
            bounds[k, c, 0], bounds[k, c, 1] = low, high


@inlined
def move(forms: Floats, rock: Floats, roll: Floats, moved: Floats) -> None:
    """What a setting of the motors adds to the forms."""
    s1, s2, s3 = rock[0] + roll[0], rock[1] + roll[1], rock[2] + roll[2]
    for c in range(forms.shape[0]):
        moved[c] = forms[c, 0] * s1 + forms[c, 1] * s2 + forms[c, 2] * s3


@compiled
def add_setting(
    base: Floats,
    bounds: Floats,
    moved: Floats,
    ends: Floats,
    weights: Floats,
    total: Floats,
) -> None:
    """Add the intensity of a block's rays at one setting of the motors.

    Parameters
    ----------
    base, bounds
        From :func:`prepare`.
    moved : (6,) ndarray
        What the setting adds to the forms.
    ends : (6,) ndarray
        Height; half width of the condenser; larger and smaller end of δ, smaller and larger end of
        ξ. See `weakbeam.diffraction.oblique_acceptance.ClosedForm`.
    weights : (samples, pixels) ndarray
        Weight of each sample of a pixel.
    total : (pixels,) ndarray
        Added to.
    """
    s1, s2, s3, sm, sd, sx = moved[0], moved[1], moved[2], moved[3], moved[4], moved[5]
    clip, d_high, d_low, x_low, x_high = ends[1], ends[2], ends[3], ends[4], ends[5]
    for k in range(base.shape[0]):
        near = 0.0
        for c in range(3):
            distance = max(bounds[k, c, 0] + moved[c], -bounds[k, c, 1] - moved[c], 0.0)
            near += distance * distance
        if near > _DARK:
            continue
        m_low, m_high = bounds[k, 3, 0] + sm, bounds[k, 3, 1] + sm
        if m_low - clip > _FAR or -clip - m_high > _FAR:
            continue
        largest_low = max(
            -clip - m_low, bounds[k, 4, 1] + sd - d_high, bounds[k, 5, 1] + sx + x_low
        )
        smallest_high = min(
            clip - m_high, bounds[k, 4, 0] + sd - d_low, bounds[k, 5, 0] + sx + x_high
        )
        height, share = ends[0], weights[k]
        y1, y2, y3, m, d, x = base[k, 0], base[k, 1], base[k, 2], base[k, 3], base[k, 4], base[k, 5]
        if largest_low < -_FULL and smallest_high > _FULL:
            for p in range(total.size):
                a, b, c = y1[p] + s1, y2[p] + s2, y3[p] + s3
                value = height * share[p] * exponential(-0.5 * (a * a + b * b + c * c))
                total[p] += value if abs(value) > NOTHING else 0.0
        elif largest_low < -_FULL:
            for p in range(total.size):
                a, b, c = y1[p] + s1, y2[p] + s2, y3[p] + s3
                high = min(clip - (m[p] + sm), d[p] + sd - d_low, x[p] + sx + x_high)
                gauss = exponential(-0.5 * (a * a + b * b + c * c))
                value = height * share[p] * gauss * normal_below(high)
                total[p] += value if abs(value) > NOTHING else 0.0
        elif smallest_high > _FULL:
            for p in range(total.size):
                a, b, c = y1[p] + s1, y2[p] + s2, y3[p] + s3
                low = max(-clip - (m[p] + sm), d[p] + sd - d_high, x[p] + sx + x_low)
                gauss = exponential(-0.5 * (a * a + b * b + c * c))
                value = height * share[p] * gauss * normal_below(-low)
                total[p] += value if abs(value) > NOTHING else 0.0
        else:
            for p in range(total.size):
                a, b, c = y1[p] + s1, y2[p] + s2, y3[p] + s3
                low = max(-clip - (m[p] + sm), d[p] + sd - d_high, x[p] + sx + x_low)
                high = min(clip - (m[p] + sm), d[p] + sd - d_low, x[p] + sx + x_high)
                # Far out in the tails the difference is no more than rounding.
                inside = max(normal_between(low, max(low, high)), 0.0)
                value = height * share[p] * exponential(-0.5 * (a * a + b * b + c * c)) * inside
                total[p] += value if abs(value) > NOTHING else 0.0


@compiled
def add_setting_in_circle(
    base: Floats,
    bounds: Floats,
    moved: Floats,
    ends: Floats,
    weights: Floats,
    total: Floats,
) -> None:
    """The same behind a round aperture, which leaves of ζ_v the chord that (δ, ξ) runs along.

    Parameters
    ----------
    base, bounds
        From :func:`prepare`, with the forms of the chord's middle less the mean of ζ_v, and of the
        distance of the chord from the centre.
    moved : (8,) ndarray
        What the setting adds to the forms.
    ends : (7,) ndarray
        As for :func:`add_setting`, and the radius squared.
    weights, total
        As for :func:`add_setting`.
    """
    s1, s2, s3, sm, sd, sx, sc, st = moved
    clip, d_high, d_low, x_low, x_high = ends[1], ends[2], ends[3], ends[4], ends[5]
    square = ends[6]
    for k in range(base.shape[0]):
        near = 0.0
        for c in range(3):
            distance = max(bounds[k, c, 0] + moved[c], -bounds[k, c, 1] - moved[c], 0.0)
            near += distance * distance
        away = max(bounds[k, 7, 0] + st, -bounds[k, 7, 1] - st, 0.0)
        if near > _DARK or away * away >= square:
            continue
        smallest_low = max(-clip - bounds[k, 3, 1] - sm, bounds[k, 4, 0] + sd - d_high)
        smallest_low = max(smallest_low, bounds[k, 5, 0] + sx + x_low)
        largest_high = min(clip - bounds[k, 3, 0] - sm, bounds[k, 4, 1] + sd - d_low)
        largest_high = min(largest_high, bounds[k, 5, 1] + sx + x_high)
        if smallest_low >= largest_high or smallest_low > _FAR or largest_high < -_FAR:
            continue
        height, share = ends[0], weights[k]
        y1, y2, y3, m, d, x = base[k, 0], base[k, 1], base[k, 2], base[k, 3], base[k, 4], base[k, 5]
        chord, off_centre = base[k, 6], base[k, 7]
        for p in range(total.size):
            a, b, c = y1[p] + s1, y2[p] + s2, y3[p] + s3
            t = off_centre[p] + st
            half = np.sqrt(max(square - t * t, 0.0))
            middle = chord[p] + sc
            low = max(-clip - (m[p] + sm), d[p] + sd - d_high, x[p] + sx + x_low, middle - half)
            high = min(clip - (m[p] + sm), d[p] + sd - d_low, x[p] + sx + x_high, middle + half)
            inside = max(normal_between(low, max(low, high)), 0.0)
            value = height * share[p] * exponential(-0.5 * (a * a + b * b + c * c)) * inside
            total[p] += value if abs(value) > NOTHING else 0.0


@compiled
def sum_general(
    q: Floats,
    weights: Floats,
    rock: Floats,
    roll: Floats,
    forms: Floats,
    offsets: Floats,
    ends: Floats,
    pixels: Ints,
    add: bool,
    frames: Floats32,
) -> None:
    """Frames of a block of pixels.

    Parameters
    ----------
    q : (3, samples, block) ndarray
        Imaging frame.
    weights : (samples, pixels) ndarray
        Weight of each sample of a pixel.
    rock, roll : (n, 3) and (m, 3) ndarray
        Shifts of q; a frame takes one of each.
    forms, offsets, ends : (terms, 6, 3), (terms, 3) and (terms, 6) ndarray
        The acceptance, see :func:`prepare` and :func:`add_setting`; with a circle (terms, 8, 3) and
        (terms, 7), see :func:`add_setting_in_circle`.
    pixels : (k,) ndarray of int64
        Where the first k ≤ block pixels of the block lie in the image.
    add : bool
        Add to what is there, instead of replacing it.
    frames : (m, n, pixels of the image) ndarray of float32
        Filled in at `pixels`.
    """
    samples, width = q.shape[1], q.shape[2]
    count = forms.shape[1]
    base, bounds = np.empty((samples, count, width)), np.empty((samples, count, 2))
    total, moved = np.empty(width), np.empty(count)
    terms = forms.shape[0]
    for n in range(terms):
        prepare(q, forms[n], offsets[n], base, bounds)
        for j in range(roll.shape[0]):
            for i in range(rock.shape[0]):
                move(forms[n], rock[i], roll[j], moved)
                frame = frames[j, i]
                total[:] = 0.0
                if count == _FORMS_IN_CIRCLE:
                    add_setting_in_circle(base, bounds, moved, ends[n], weights, total)
                else:
                    add_setting(base, bounds, moved, ends[n], weights, total)
                if n == 0 and not add:
                    for p in range(pixels.size):
                        frame[pixels[p]] = total[p]
                else:
                    for p in range(pixels.size):
                        frame[pixels[p]] += total[p]
                # Rounding may leave a trace below zero where a blocked part has been taken away.
                if n == terms - 1:
                    for p in range(pixels.size):
                        frame[pixels[p]] = max(frame[pixels[p]], np.float32(0.0))


@compiled
def sum_general_moments(
    q: Floats,
    weights: Floats,
    rock: Floats,
    roll: Floats,
    forms: Floats,
    offsets: Floats,
    ends: Floats,
    rock_powers: Floats,
    roll_powers: Floats,
    pixels: Ints,
    add: bool,
    moments: Floats,
) -> None:
    """Moments of a block of pixels over the whole scan, without forming its frames.

    Parameters
    ----------
    q, weights, rock, roll, forms, offsets, ends, pixels, add
        As for :func:`sum_general`.
    rock_powers, roll_powers : (moments, n) and (moments, m) ndarray
        What each setting of either kind is multiplied with.
    moments : (moments, pixels of the image) ndarray
        Filled in at `pixels`.
    """
    samples, width = q.shape[1], q.shape[2]
    count = forms.shape[1]
    base, bounds = np.empty((samples, count, width)), np.empty((samples, count, 2))
    total, moved = np.empty(width), np.empty(count)
    if not add:
        for l in range(moments.shape[0]):  # noqa: E741
            for p in range(pixels.size):
                moments[l, pixels[p]] = 0.0
    for n in range(forms.shape[0]):
        prepare(q, forms[n], offsets[n], base, bounds)
        for j in range(roll.shape[0]):
            for i in range(rock.shape[0]):
                move(forms[n], rock[i], roll[j], moved)
                total[:] = 0.0
                if count == _FORMS_IN_CIRCLE:
                    add_setting_in_circle(base, bounds, moved, ends[n], weights, total)
                else:
                    add_setting(base, bounds, moved, ends[n], weights, total)
                for l in range(moments.shape[0]):  # noqa: E741
                    power = rock_powers[l, i] * roll_powers[l, j]
                    for p in range(pixels.size):
                        moments[l, pixels[p]] += power * total[p]

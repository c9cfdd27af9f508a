"""Sums over a row of equally spaced poles, each at the cost of a few functions.

    F(w) = Σ 1/(w − n),   G(w) = Σ 1/(w − n)²,   n = 0 … count − 1,

or over all integers. They are differences of the digamma and trigamma functions, or a cotangent
and its derivative (docs/explanation/physics.md, D4).
"""

from __future__ import annotations

import cmath
import math

from weakbeam.core.compiled import compiled

_ASYMPTOTIC = 10.0
"""Modulus above which seven terms of the asymptotic series are exact to double precision."""

_LARGEST = 300.0
"""Above this exp(−2y) is nothing, while exp(2y) and its square are still finite."""


@compiled
def infinite_row(w: complex) -> tuple[complex, complex]:
    """F and G of the poles at all integers, summed symmetrically: π cot(πw) and π²/sin²(πw).

    Parameters
    ----------
    w : complex
        Where to evaluate; close to a pole relative accuracy is kept, far away nothing overflows.

    Returns
    -------
    tuple of complex
    """
    x = math.pi * (w.real - math.floor(w.real + 0.5))
    y = min(max(math.pi * w.imag, -_LARGEST), _LARGEST)
    sin, cos = math.sin(x), math.cos(x)
    # exp(y) − 1 gives the hyperbolic sine all its digits, however small.
    growth = math.expm1(y)
    sinh = 0.5 * (growth + growth / (1.0 + growth))
    cosh = 1.0 + growth - sinh
    share = math.pi / (sin * sin + sinh * sinh)
    cosecant = complex(share * sin * cosh, -share * cos * sinh)
    return complex(share * sin * cos, -share * sinh * cosh), cosecant * cosecant


@compiled
def finite_row(w: complex, count: int) -> tuple[complex, complex]:
    """F and G of the poles at 0, 1, … count − 1.

    Parameters
    ----------
    w : complex
        Where to evaluate, anywhere.
    count : int
        Number of poles, at least 1; the cost does not depend on it.

    Returns
    -------
    tuple of complex
        Relative error of about 1e-13 inside and far away alike.

    Notes
    -----
    With a = w + 1 and b = w − count + 1, F = ψ(a) − ψ(b) and G = ψ₁(b) − ψ₁(a). Among the poles b
    is reflected to 1 − b, which brings in the infinite row; beyond them w is mirrored so that both
    arguments lie right of the poles.
    """
    mirrored = w.real < -0.5
    if mirrored:
        w = count - 1 - w
    inside = w.real <= count - 0.5 and abs(w.imag) < _ASYMPTOTIC
    if inside:
        difference, trigammas = _differences(w + 1.0, count - w, 2.0 * w + (1.0 - count), -1.0)
        cotangent, cosecant = infinite_row(w)
        f, g = difference + cotangent, cosecant - trigammas
    else:
        f, g = _differences(w + 1.0, w - (count - 1.0), complex(count, 0.0), 1.0)
    return (-f, g) if mirrored else (f, g)


@compiled
def _differences(a: complex, b: complex, step: complex, sign: float) -> tuple[complex, complex]:
    """ψ(a) − ψ(b) and ψ₁(b) − sign·ψ₁(a), where `step` is a − b, exactly."""
    f_a, g_a, shift_a = _recurrence(a)
    f_b, g_b, shift_b = _recurrence(b)
    a, b, step = a + shift_a, b + shift_b, step + (shift_a - shift_b)
    inverse_a, inverse_b = _inverse(a), _inverse(b)
    tail_a, slope_a = _series(inverse_a)
    tail_b, slope_b = _series(inverse_b)
    f = _log_one_plus(step * inverse_b) + (tail_a - tail_b) - (f_a - f_b)
    # The leading terms 1/b − 1/a are taken together, as they nearly cancel far away.
    leading = step * inverse_a * inverse_b if sign > 0 else inverse_a + inverse_b
    g = leading + (slope_b - sign * slope_a) + (g_b - sign * g_a)
    return f, g


@compiled
def _recurrence(x: complex) -> tuple[complex, complex, int]:
    """Σ 1/(x + j) and Σ 1/(x + j)² over the steps that lead to the asymptotic region."""
    f, g, steps = 0j, 0j, 0
    if abs(x.imag) < _ASYMPTOTIC:
        while x.real + steps < _ASYMPTOTIC:
            inverse = _inverse(x + steps)
            f += inverse
            g += inverse * inverse
            steps += 1
    return f, g, steps


@compiled
def _series(inverse: complex) -> tuple[complex, complex]:
    """ψ(x) − ln x and ψ₁(x) − 1/x, from 1/x: Abramowitz & Stegun (1964), 6.3.18 and 6.4.12."""
    s = inverse * inverse
    psi = -s * (
        1 / 12
        - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * (1 / 132 - s * (691 / 32760 - s / 12)))))
    )
    trigamma = 1 / 6 - s * (
        1 / 30 - s * (1 / 42 - s * (1 / 30 - s * (5 / 66 - s * (691 / 2730 - s * (7 / 6)))))
    )
    return psi - 0.5 * inverse, s * (0.5 + inverse * trigamma)


@compiled
def _inverse(z: complex) -> complex:
    """1/z, without the care for overflow that makes the division slow."""
    share = 1.0 / (z.real * z.real + z.imag * z.imag)
    return complex(share * z.real, -share * z.imag)


@compiled
def _log_one_plus(z: complex) -> complex:
    if abs(z) > 0.5:
        return cmath.log(1.0 + z)
    x, y = z.real, z.imag
    return complex(0.5 * math.log1p(x * (2.0 + x) + y * y), math.atan2(y, 1.0 + x))

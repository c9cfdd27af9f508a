"""Exponential and normal integrals that compile to vector instructions inside of a loop.

A library call would not vectorise, so they are written out as polynomials.
"""

from __future__ import annotations

from weakbeam.core.compiled import inlined

NOTHING = 2e-19
"""Factors below this share of the peak count as zero, which keeps their products normal numbers."""

_LOG_NOTHING = -43.0


@inlined
def exponential(x: float) -> float:
    """Exponential of x ≤ 0, to a relative 4e-9; zero below e⁻⁴³.

    Taylor series of x/256, then eight squarings.
    """
    y = max(x, _LOG_NOTHING) * (1.0 / 256.0)
    e = 1.0 + y * (
        1.0 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y * (1 / 720 + y / 5040)))))
    )
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e if x > _LOG_NOTHING else 0.0


@inlined
def normal_tail(x: float) -> float:
    """Upper tail 1 - Φ(x) of the normal distribution for x ≥ 0, to a relative 5e-9.

    exp(-x²/2) times a polynomial of degree 11 in 1/(1 + 0.32 x), fitted to the scaled tail
    erfcx(x/√2)/2 by least squares of the relative error on 0 ≤ x ≤ 9.5, beyond which it is zero.
    """
    t = 1.0 / (1.0 + 0.32 * x)
    p = 0.016416130227154446
    p = -0.11181179513282277 + t * p
    p = 0.3138607824656594 + t * p
    p = -0.447739499322898 + t * p
    p = 0.32775511197767826 + t * p
    p = -0.16041448775513578 + t * p
    p = 0.11677132197961793 + t * p
    p = 0.07304065347393932 + t * p
    p = 0.11701318995284335 + t * p
    p = 0.12743788243382947 + t * p
    p = 0.12767070978567865 + t * p
    return t * p * exponential(-0.5 * x * x)


@inlined
def normal_between(low: float, high: float) -> float:
    """Φ(high) - Φ(low) for low ≤ high, accurate in both tails."""
    flip = low + high < 0.0
    near = -high if flip else low
    far = -low if flip else high
    tail = normal_tail(abs(near))
    return (1.0 - tail if near < 0.0 else tail) - normal_tail(far)


@inlined
def normal_below(x: float) -> float:
    """Φ(x)."""
    tail = normal_tail(abs(x))
    return 1.0 - tail if x > 0.0 else tail

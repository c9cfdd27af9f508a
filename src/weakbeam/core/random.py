"""Compiled random numbers: SplitMix64, and the normal distribution from uniform numbers."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled, inlined

STEP = np.uint64(0x9E3779B97F4A7C15)
"""What the state of SplitMix64 grows by from one number to the next."""

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@compiled
def mixed(z: np.uint64) -> np.uint64:
    """Output function of SplitMix64: a bijection of 64-bit integers that scatters them."""
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@inlined
def central_quantile(q: float) -> float:
    """Φ⁻¹(1/2 + q) for abs(q) ≤ 0.425, to a relative 1e-15."""
    r = 0.180625 - q * q
    top = 2.5090809287301226727e3
    top = top * r + 3.3430575583588128105e4
    top = top * r + 6.7265770927008700853e4
    top = top * r + 4.5921953931549871457e4
    top = top * r + 1.3731693765509461125e4
    top = top * r + 1.9715909503065514427e3
    top = top * r + 1.3314166789178437745e2
    top = top * r + 3.3871328727963666080e0
    low = 5.2264952788528545610e3
    low = low * r + 2.8729085735721942674e4
    low = low * r + 3.9307895800092710610e4
    low = low * r + 2.1213794301586595867e4
    low = low * r + 5.3941960214247511077e3
    low = low * r + 6.8718700749205790830e2
    low = low * r + 4.2313330701600911252e1
    low = low * r + 1.0
    return q * top / low


@compiled
def lower_quantile(p: float) -> float:
    """Φ⁻¹(p) for p ≤ 0.075, to a relative 1e-15."""
    r = math.sqrt(-math.log(p))
    if r <= 5.0:
        r -= 1.6
        top = 7.7454501427834140764e-4
        top = top * r + 2.27238449892691845833e-2
        top = top * r + 2.41780725177450611770e-1
        top = top * r + 1.27045825245236838258e0
        top = top * r + 3.64784832476320460504e0
        top = top * r + 5.76949722146069140550e0
        top = top * r + 4.63033784615654529590e0
        top = top * r + 1.42343711074968357734e0
        low = 1.05075007164441684324e-9
        low = low * r + 5.47593808499534494600e-4
        low = low * r + 1.51986665636164571966e-2
        low = low * r + 1.48103976427480074590e-1
        low = low * r + 6.89767334985100004550e-1
        low = low * r + 1.67638483018380384940e0
        low = low * r + 2.05319162663775882187e0
        low = low * r + 1.0
    else:
        r -= 5.0
        top = 2.01033439929228813265e-7
        top = top * r + 2.71155556874348757815e-5
        top = top * r + 1.24266094738807843860e-3
        top = top * r + 2.65321895265761230930e-2
        top = top * r + 2.96560571828504891230e-1
        top = top * r + 1.78482653991729133580e0
        top = top * r + 5.46378491116411436990e0
        top = top * r + 6.65790464350110377720e0
        low = 2.04426310338993978564e-15
        low = low * r + 1.42151175831644588870e-7
        low = low * r + 1.84631831751005468180e-5
        low = low * r + 7.86869131145613259100e-4
        low = low * r + 1.48753612908506148525e-2
        low = low * r + 1.36929880922735805310e-1
        low = low * r + 5.99832206555887937690e-1
        low = low * r + 1.0
    return -top / low


@compiled
def normal_quantiles(p: Floats, x: Floats) -> None:
    """Fill x with Φ⁻¹(p), the inverse of the standard normal distribution, for 0 < p < 1.

    Rational approximations of Wichura (1988), Applied Statistics 37, 477 (algorithm AS 241). The
    central one is taken everywhere, as vector code, and then replaced where it does not hold.
    """
    n, tails, count = len(p), np.empty(len(p), np.int64), 0
    for i in range(n):
        x[i] = central_quantile(p[i] - 0.5)
    # Listed without a branch, which could not be predicted.
    for i in range(n):
        tails[count] = i
        count += int(abs(p[i] - 0.5) > 0.425)
    for i in tails[:count]:
        tail = lower_quantile(min(p[i], 1.0 - p[i]))
        x[i] = tail if p[i] < 0.5 else -tail


@compiled
def uniforms(start: np.uint64, numbers: Ints, u: Floats) -> None:
    """Fill u with those of SplitMix64 at places of its sequence, from 0 to below 1."""
    for i in range(len(numbers)):
        bits = mixed(start + np.uint64(numbers[i]) * STEP) >> np.uint64(11)
        u[i] = np.float64(bits) * 2.0**-53

"""Curves laid on each other: the shift, and the factor of brightness."""

import numpy as np
import pytest

from weakbeam.analysis.curve_alignment import Curve, compare_curves, found_factor, found_shift

RNG = np.random.default_rng(5)


def lopsided(x):
    """A peak of width 0.2 with a shoulder, far from symmetric."""
    return np.exp(-0.5 * (x / 0.08) ** 2) + 0.4 * np.exp(-0.5 * ((x - 0.17) / 0.09) ** 2)


def flat_topped(x):
    """What a condenser's clip makes of a rocking curve: no point of it is the peak."""
    return 1.0 / (1.0 + np.exp((np.abs(x) - 0.14) / 0.01))


FINE = np.linspace(-0.6, 0.6, 121)
UNEVEN = np.sort(np.concatenate([np.linspace(-0.5, 0.5, 19), RNG.uniform(-0.5, 0.5, 12)]))


@pytest.mark.parametrize("shape", [lopsided, flat_topped])
@pytest.mark.parametrize("offset", [17.0623, -0.31, 0.013])
def test_the_shift_is_the_offset_whatever_the_steps(shape, offset):
    first = Curve(UNEVEN + offset, 830.0 * shape(UNEVEN))
    second = Curve(FINE[::-1], 0.02 * shape(FINE[::-1]))
    assert found_shift(first, second) == pytest.approx(offset, abs=2e-4)
    # And back, to a small part of the coarser steps.
    assert found_shift(second, first) == pytest.approx(-offset, abs=2e-3)


def test_noise_does_not_lead_the_shift_astray():
    counts = RNG.poisson(100.0 * lopsided(FINE) + 4.0) - 4.0
    shift = found_shift(Curve(FINE + 2.5, counts), Curve(FINE, lopsided(FINE)))
    assert shift == pytest.approx(2.5, abs=5e-3)


def test_a_scan_that_ends_on_the_flank():
    part = FINE[FINE < 0.05]
    first = Curve(part + 1.0, lopsided(part))
    assert first.half_maximum is None
    assert found_shift(first, Curve(FINE, lopsided(FINE))) == pytest.approx(1.0, abs=2e-3)


def test_factor_and_agreement():
    first, second = Curve(UNEVEN, 830.0 * lopsided(UNEVEN)), Curve(FINE, 0.02 * lopsided(FINE))
    assert found_factor([(first, second)]) == pytest.approx(41500.0, rel=1e-3)
    agreement, relative = compare_curves(first, Curve(FINE, 415.0 * lopsided(FINE)))
    assert agreement.pixels == len(UNEVEN)
    assert agreement.correlation == pytest.approx(1.0, abs=1e-5)
    assert relative == pytest.approx(0.5, rel=1e-3)
    apart = compare_curves(first, Curve(FINE + 9.0, lopsided(FINE)))
    assert apart[0].pixels == 0
    assert np.isnan(apart[1])
    assert np.isnan(found_factor([(first, Curve(FINE + 9.0, lopsided(FINE)))]))


def test_half_maximum_of_a_triangle():
    curve = Curve([3.0, 1.0, 2.0, 0.0, 4.0], [1.0, 1.0, 2.0, 0.0, 0.0])
    assert curve.half_maximum == (1.0, 3.0)
    assert (curve.middle, curve.width) == (2.0, 2.0)


@pytest.mark.parametrize("positions", [[0.0], [[0.0, 1.0]], [0.0, 1.0, 2.0]])
def test_what_is_no_curve_is_refused(positions):
    with pytest.raises(ValueError, match="two positions"):
        Curve(positions, [1.0, 2.0])

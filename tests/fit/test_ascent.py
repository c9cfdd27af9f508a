"""The climb that all fits share: where it ends, and what it never does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from weakbeam.fit.ascent import ClimbOptions, climb, step_up


@dataclass(frozen=True)
class Place:
    """A point of Rosenbrock's valley, turned into a ridge."""

    x: np.ndarray

    @property
    def log_likelihood(self):
        x, y = self.x
        return -((1.0 - x) ** 2) - 100.0 * (y - x**2) ** 2


@dataclass(frozen=True)
class Slopes:
    gradient: np.ndarray
    observed: np.ndarray | None
    expected: np.ndarray


def slopes_of(place):
    x, y = place.x
    jacobian = np.array([[-1.0, 0.0], [-20.0 * x, 10.0]])
    residuals = np.array([1.0 - x, 10.0 * (y - x**2)])
    # The matrix of Gauss and Newton, of half the sum of squares times two.
    return Slopes(-2.0 * jacobian.T @ residuals, None, 2.0 * jacobian.T @ jacobian)


def moved(place, step):
    return Place(place.x + step)


def test_a_curved_ridge_is_climbed_to_its_top_and_never_down():
    heights = []

    def watched(place):
        heights.append(place.log_likelihood)
        return slopes_of(place)

    top, converged = climb(Place(np.array([-1.2, 1.0])), watched, moved, ClimbOptions(1e-9, 100))
    assert converged
    np.testing.assert_allclose(top.x, 1.0, atol=1e-4)
    assert (np.diff(heights) > 0.0).all()


def test_the_climb_ends_where_less_than_the_least_gain_is_promised():
    options = ClimbOptions(least_gain=0.5)
    near = Place(np.array([1.0, 1.0 + 0.069]))
    assert climb(near, slopes_of, moved, options) == (near, True)
    far = Place(np.array([1.0, 1.0 + 0.072]))
    assert climb(far, slopes_of, moved, options)[0].log_likelihood > -0.01


def test_a_climb_that_no_trial_leads_up_has_not_converged():
    trials = []

    def walled(place, step):
        trials.append(np.abs(step).max())
        return Place(np.array([np.inf, 0.0]))

    start = Place(np.array([0.0, 0.0]))
    assert climb(start, slopes_of, walled, ClimbOptions(most_trials=5)) == (start, False)
    assert len(trials) == 5
    assert (np.diff(trials) < 0.0).all()
    trials.clear()
    climb(start, slopes_of, walled, ClimbOptions(most_trials=5, little=10.0))
    assert len(trials) == 1


def test_long_steps_are_shortened_as_a_whole():
    steps = []

    def watched(place, step):
        steps.append(step)
        return moved(place, step)

    longest = np.array([0.25, np.inf])
    start = Place(np.array([0.0, 0.0]))
    climb(start, slopes_of, watched, ClimbOptions(most_steps=1), longest)
    full = step_up(slopes_of(start))
    assert np.abs(full[0]) > 0.25
    np.testing.assert_allclose(steps[0], full * 0.25 / full[0])


def test_outdated_derivatives_end_the_climb_before_it_has_converged():
    told = []

    def outdated(place, gained, promised):
        told.append((gained, promised))
        return True

    start = Place(np.array([1.0, 0.0]))
    top, converged = climb(start, slopes_of, moved, ClimbOptions(), outdated=outdated)
    assert not converged
    ((gained, promised),) = told
    assert gained == pytest.approx(top.log_likelihood - start.log_likelihood)
    # Along y the ridge is a parabola.
    assert promised == pytest.approx(gained)


def test_observed_curvature_is_used_only_where_it_is_that_of_a_maximum():
    gradient, expected = np.array([2.0]), np.array([[4.0]])
    assert step_up(Slopes(gradient, np.array([[8.0]]), expected)) == pytest.approx(0.25)
    assert step_up(Slopes(gradient, np.array([[-8.0]]), expected)) == pytest.approx(0.5)
    # A parameter without information stays.
    nothing = Slopes(np.array([2.0, 0.0]), None, np.diag([4.0, 0.0]))
    np.testing.assert_allclose(step_up(nothing), [0.5, 0.0])

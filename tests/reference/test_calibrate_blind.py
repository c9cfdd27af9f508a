"""Calibration of stacks of a generator that shares no code with the package.

The bound is computed from the generator's own curves, by their differences.
"""

from dataclasses import replace

import numpy as np
import pytest
from measured_world import World, counted, expected_counts, ray_points
from reference_cases import DEFAULT

from weakbeam.experiment import Experiment
from weakbeam.fit.calibrate import calibrate_frames
from weakbeam.fit.curve_model import Priors

SHAPE = [14, 24]
OPTICS = DEFAULT | {
    "lines": [],
    "shape": SHAPE,
    "nz": 1,
    "clip": 0.15e-3,
    "zeta_v": 1.1 * DEFAULT["zeta_v"],
    "bandwidth": 5.4e-5,
}
WIDTHS = {
    "clip": "clip",
    "zeta_v": "divergence_vertical",
    "bandwidth": "bandwidth",
    "acceptance": "lens",
    "aperture": "aperture",
}
WHOLE = (0, SHAPE[0], 0, SHAPE[1])


def scan(phi=(0.3e-3, 31), chi=(0, 1), arm=(0, 1)):
    axes = [np.linspace(-half, half, steps) for half, steps in (arm, chi, phi)]
    arm, chi, phi = (part.ravel() for part in np.meshgrid(*axes, indexing="ij"))
    return np.stack([phi, chi, arm], axis=1)


SCANS = {
    "phi": scan(phi=(0.35e-3, 61)),
    "phi-chi": scan(phi=(0.26e-3, 27), chi=(2e-3, 9)),
    "phi-arm": scan(phi=(0.26e-3, 27), arm=(2e-3, 9)),
}


def drawn(number, **more):
    """A world with offsets, a bent lattice and uneven light."""
    random = np.random.default_rng(number)
    world = World(
        optics=OPTICS,
        offsets=tuple(random.normal(0, 12e-6, 3)),
        bend_rock=(0, *random.normal(0, 3e-6, 2), 0, 0, *random.normal(0, 5e-6, 1)),
        bend_roll=(0, *random.normal(0, 3e-6, 2)),
        illumination=(1, *random.uniform(-0.2, 0.2, 2)),
        background=(30, *random.uniform(-12, 12, 2)),
        subpixels=1,
    )
    return replace(world, **more)


def mean_offsets(world):
    """Zero offsets together with the mean turn of the lattice."""
    x, y = ray_points(world)[2].T
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).mean(axis=1)
    bends = [np.dot(bend, terms[: len(bend)]) for bend in (world.bend_rock, world.bend_roll)]
    return np.add(world.offsets, [*bends, 0.0])


def bound(world, positions):
    """Least standard errors of offsets (rad) and widths (relative), by Cramér and Rao.

    Light, background and bend are unknown; what the priors tell counts.
    """
    priors, x = Priors(), ray_points(world)[2]
    span = np.ptp(x, axis=0) / 2

    def changed(kind, k, step):
        if kind == "optics":
            return replace(world, optics=world.optics | {k: world.optics[k] * np.exp(step)})
        values = list(getattr(world, kind)) + [0.0] * 6
        values[k] += step
        return replace(world, **{kind: tuple(values[: 3 if kind == "offsets" else 6])})

    moving = np.ptp(positions, axis=0)
    free = [("offsets", k, 1e-6, max(priors.offset, moving[k] / 2)) for k in range(3)]
    free += [("optics", key, 2e-3, getattr(priors, name)) for key, name in WIDTHS.items()]
    scale = [*span, span[0] ** 2, span[0] * span[1], span[1] ** 2]
    for kind, moves in (("bend_rock", moving[0]), ("bend_roll", moving[1])):
        if moves:
            free += [(kind, k + 1, 1e-6 / s, priors.tilt / s) for k, s in enumerate(scale)]
    free += [("illumination", k, 0.01, 10) for k in range(3)]
    free += [("background", k, 1.0, 1e4) for k in range(3)]
    columns = []
    for kind, k, step, prior in free:
        up, down = (expected_counts(changed(kind, k, way * step), positions) for way in (1, -1))
        columns.append((up - down).ravel() / (2 * step) * prior)
    counts = expected_counts(world, positions).ravel()
    variance = world.gain * counts + world.read_sigma**2 + 1 / 12
    information = (np.array(columns) / variance) @ np.array(columns).T + np.eye(len(free))
    scales = np.array([prior for *_, prior in free])
    covariance = np.linalg.inv(information) * np.outer(scales, scales)
    # Zero offsets are told together with the mean of the bend.
    terms = np.stack([x[:, 0], x[:, 1], x[:, 0] ** 2, x[:, 0] * x[:, 1], x[:, 1] ** 2]).mean(1)
    wanted = np.eye(8, len(free))
    for column, (kind, k, *_) in enumerate(free):
        if kind.startswith("bend"):
            wanted[0 if kind == "bend_rock" else 1, column] = terms[k - 1]
    return np.sqrt(np.diag(wanted @ covariance @ wanted.T))


def told(result):
    """Offsets (rad) and errors, of which are determined, and relative errors of the widths."""
    parameters = result.parameters
    values = np.array([1e-3 * p.value for p in parameters[:3]])
    errors = [1e-3 * p.error for p in parameters[:3]]
    errors += [p.error / p.value for p in parameters[3:]]
    return values, np.array(errors), np.array([p.determined for p in parameters])


def deviations(kind, draws, bounds=3):
    """Deviations of determined offsets in stated errors, and errors over the bound.

    Of several draws the middle one: the error that a prior leaves to 2θ follows its estimate.
    """
    found, ratios = [], []
    positions = SCANS[kind]
    for number in draws:
        world = drawn(number)
        result = calibrate_frames(counted(world, positions, number), positions, Experiment(), WHOLE)
        values, errors, determined = told(result)
        found.append(((values - mean_offsets(world)) / errors[:3])[determined[:3]])
        if len(ratios) < bounds:
            ratios.append(np.where(determined, errors / bound(world, positions), 1.0))
    return np.concatenate(found), np.median(ratios, axis=0)


@pytest.mark.parametrize(("kind", "many"), [("phi", 5), ("phi-chi", 2)])
def test_offsets_are_those_of_the_world_within_stated_errors_near_the_bound(kind, many):
    found, ratios = deviations(kind, range(many), bounds=many // 2)
    assert np.abs(found).max() < 3.5
    assert np.mean(found**2) < 2.0
    assert np.all((ratios > 0.8) & (ratios < 1.2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCANS)
def test_of_a_hundred_draws_95_percent_lie_within_two_errors(kind):
    found, ratios = deviations(kind, range(100, 200))
    assert np.mean(np.abs(found) < 2) >= 0.95
    assert np.all((ratios > 0.8) & (ratios < 1.2))

"""Depth samples chosen from the beam leave images converged to 0.5 %."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile

LINES = {"edge": "[1, -2, 1]", "mixed": "[2, -1, -1]", "screw-like": "[3, -1, -2]"}
PHI = np.array([0.0, 0.14e-3, 0.15e-3])


def setup_of(line, height, *settings):
    return assemble(
        Experiment().with_settings(
            [
                f"defects[0].line={LINES[line]}",
                "defects[0].position_um=[0.3, -0.2, 0.1]",
                f"beam.height_fwhm_um={height}",
                "camera.pixels=[24, 60]",
                "camera.oversampling=point",
                *settings,
            ]
        )
    )


def images(setup, grids=None):
    engine = Engine(setup.field_at(), setup.geometry, grids or setup.grids, setup.acceptance)
    return engine.images(np.outer(PHI, setup.geometry.motor_vectors[0]), np.zeros((1, 3)))[0]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("height", [0.15, 0.6])
def test_automatic_sampling_is_converged(line, height):
    setup = setup_of(line, height)
    finest = 4 * len(setup.grids[-1].depths)
    limit = images(setup, [_grid(setup, height, min(finest, 4000))])
    error = np.linalg.norm(images(setup) - limit, axis=(1, 2)) / np.linalg.norm(limit, axis=(1, 2))
    assert error.max() < 5e-3


def test_a_single_depth_would_not_do():
    setup = setup_of("edge", 0.6)
    limit, coarse = images(setup), images(setup, [_grid(setup, 0.6, 7)])
    assert np.linalg.norm(limit - coarse) / np.linalg.norm(limit) > 0.02


def _grid(setup, height, count):
    depths, weights = BeamProfile(height).samples(count)
    return ray_grid(setup.geometry, (24, 60), 0.04, depths, weights)


def test_samples_follow_the_beam_and_not_the_pixels():
    few, many = setup_of("edge", 0.6), setup_of("edge", 0.6, "camera.pixels=[3, 201]")
    assert [len(g.depths) for g in few.grids] == [len(g.depths) for g in many.grids]
    assert len(few.grids[0].depths) > len(setup_of("edge", 0.15).grids[0].depths)
    thickest = np.diff(few.grids[0].depths).max()
    assert thickest <= 0.06


def test_a_given_number_of_samples_is_taken():
    setup = setup_of("edge", 0.6, "camera.depth_samples=33")
    assert [len(grid.depths) for grid in setup.grids] == [33]

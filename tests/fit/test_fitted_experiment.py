"""The lattice's tilt on a grid of the sample, against that of every pixel."""

from dataclasses import replace

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.experiment import Experiment
from weakbeam.fit.fitted_experiment import tilt_grid
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.stack_model import StackModel
from weakbeam.run.render import Renderer


def test_tilt_of_the_grid_is_that_of_the_pixels():
    """Also in the sheet's outer parts, which are above and below the sample's plane."""
    phi = np.linspace(-2e-4, 2e-4, 7)
    experiment = Experiment().replace(camera={"pixels": (64, 48), "pixel_nm": 150.0})
    positions = np.stack([phi, 0 * phi, 0 * phi], axis=1)
    model = StackModel(Renderer(experiment, 1), positions, NuisancePriors.of(), 1)
    start = model.start(1.0, 0.0)
    tilt = start.tilt.copy()
    tilt[0, :2], tilt[1, :2], tilt[1, 2] = [2e-5, 4e-5], [8e-5, -3e-5], 2e-5
    state = replace(start, tilt=tilt)
    stored = tilt_grid(model, state)
    axes = [
        stored["origin_um"][k] + stored["spacing_um"][k] * np.arange(stored["beta"].shape[k])
        for k in range(3)
    ]
    grid = model.setup.grids[0]
    centres = grid.centres(np.arange(grid.pixels))
    beta = RegularGridInterpolator(axes, stored["beta"])(centres)
    change = diffraction_vector_change(beta, model.setup.geometry.q0_sample)
    found = change @ model.setup.geometry.imaging_from_sample.T
    expected = model.tilt_field(state).reshape(3, -1).T
    assert np.ptp(expected[:, 0]) > 1e-4
    np.testing.assert_allclose(found, expected, atol=1e-7)

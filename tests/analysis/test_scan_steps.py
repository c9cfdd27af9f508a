"""Steps that are too wide for centres of mass, against the formulas of docs (physics.md, E6)."""

import numpy as np
import pytest
from scipy.special import erf

from weakbeam.analysis.scan_steps import LARGEST_VARIATION, fine_step, slope_variation
from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.comparison import coarse_steps
from weakbeam.run.simulate import center_of_mass, simulate

PHI = ["scan.phi.half_range_mrad=0.6", "camera.pixels=[2, 3]", "defects=[]"]


def gaussian(x):
    return np.exp(-0.5 * x**2)


def box_with_flanks(x):
    return erf((x + 14.7) / np.sqrt(2)) - erf((x - 14.7) / np.sqrt(2))


def steps(width):
    return np.arange(-60, 61) * width


@pytest.mark.parametrize("width", [1.5, 1.8, 2.0, 2.5])
def test_a_gaussian_varies_as_its_fourier_transform_says(width):
    square = (1.0 / width) ** 2
    expected = 8 * np.pi**2 * square * np.exp(-2 * np.pi**2 * square)
    assert slope_variation(gaussian, steps(width)) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("width", [2.0, 2.3, 2.5, 3.0])
def test_a_box_varies_as_its_flanks_say(width):
    # Where the corners of the box fall among the steps takes up to a part of it away.
    bound = 2 * np.exp(-2 * np.pi**2 / width**2)
    assert 0.6 * bound < slope_variation(box_with_flanks, steps(width)) < 1.02 * bound


def test_the_step_that_would_do():
    assert fine_step(gaussian, steps(1.7)) == pytest.approx(1.7)
    assert fine_step(gaussian, steps(3.0)) == pytest.approx(1.5)
    assert slope_variation(gaussian, steps(3.0)) > LARGEST_VARIATION
    # There is no light between such steps.
    assert slope_variation(gaussian, steps(200.0)) == np.inf
    assert fine_step(lambda x: 0.0 * x, steps(1.0)) is None


@pytest.mark.parametrize(("count", "said"), [(61, False), (31, True)])
def test_the_defaults_have_steps_that_are_fine_enough(count, said):
    experiment = Experiment().with_settings([*PHI, f"scan.phi.steps={count}"])
    experiment = experiment.with_settings(["scan.chi.half_range_mrad=2", "scan.chi.steps=11"])
    setup = assemble(experiment)
    remarks = coarse_steps(Acquisition(setup, setup.scans[0]), ["phi", "chi"])
    assert len(remarks) == said
    for remark in remarks:
        assert remark.startswith("φ: steps of 0.04 mrad are too wide for the rocking curve: ")
        assert remark.endswith("varies by 54% with where the frames fall on it; 0.02 mrad would do")


def test_centres_of_mass_of_images_vary_as_said():
    """A perfect crystal, whose centre of mass should stay where it is as the scan is moved."""
    found = []
    for center in np.linspace(0.0, 0.04, 17):
        moved = Experiment().with_settings(
            [*PHI, "scan.phi.steps=31", f"scan.phi.center_mrad={center}"]
        )
        found.append(1e3 * float(center_of_mass(simulate(moved)).phi.mean()))
    # Against the scan the crystal has turned by -center.
    slopes = 1.0 - np.diff(found) / np.diff(np.linspace(0.0, 0.04, 17))
    assert np.ptp(slopes) / 2 == pytest.approx(0.54, abs=0.08)
    assert slopes.mean() == pytest.approx(1.0, abs=0.01)

"""The projection of dfxm-geo, on the way from the experiment to the image."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.instrument.beam import FWHM_PER_SIGMA

KEY = "compatibility.dfxm_geo_projection"

SETTINGS = [
    f"{KEY}=true",
    "camera.pixels=[20, 60]",
    "camera.oversampling=1",
    f"beam.height_fwhm_um={0.15 / 2.35 * FWHM_PER_SIGMA}",
    f"beam.divergence_vertical_fwhm_mrad={0.53 / 2.355 * FWHM_PER_SIGMA}",
    f"objective.acceptance_fwhm_mrad={0.731 / 2.35 * FWHM_PER_SIGMA}",
    "objective.aperture_mrad=inf",
    "crystal.core_radius_nm=0",
    "defects[0].burgers_nm=0.2862",
    "scan.phi.value_mrad=0.15",
]

SEEN = {
    0: [0.2644626, 0.1914561, 0.1797895, 0.1751729, 0.1739452, 0.2573216],
    7: [0.2410238, 0.6848761, 0.5710278, 0.5168678, 0.5099134, 0.2530242],
    9: [0.1303499, 0.7236361, 0.8491944, 0.9539890, 0.9528282, 0.1344570],
    10: [0.08196083, 2.366791e-07, 0.0, 6.441362e-16, 1.446407e-08, 0.08564293],
    12: [0.03161284, 0.0008113902, 0.003757293, 0.004782536, 0.004599064, 0.03547984],
    19: [0.03060316, 0.05824370, 0.05863811, 0.05719720, 0.05602064, 0.02893218],
}
"""Pixels of the image that dfxm-geo 3.0.0 makes of its default edge, by its closed form."""


def experiment(*settings):
    return Experiment().with_settings([*SETTINGS, *settings])


def test_the_image_is_that_of_dfxm_geo():
    image = wb.simulate(experiment()).images.values.reshape(20, 60)
    for row, values in SEEN.items():
        np.testing.assert_allclose(image[row, [0, 25, 28, 30, 31, 59]], values, atol=2e-6)


def test_the_projection_is_what_differs():
    usual = experiment().model_copy(update={"compatibility": None})
    image = wb.simulate(usual).images.values.reshape(20, 60)
    seen = np.array(list(SEEN.values()))
    assert np.abs(image[list(SEEN)][:, [0, 25, 28, 30, 31, 59]] - seen).max() > 0.05


def test_absent_and_false_are_the_same():
    plain = Experiment()
    assert plain.compatibility is None
    assert "compatibility" not in plain.to_toml()
    off = assemble(plain.with_settings([f"{KEY}=false"])).grids
    assert [g.along_ray.tolist() for g in off] == [
        g.along_ray.tolist() for g in assemble(plain).grids
    ]


def test_it_survives_the_text():
    asked = experiment()
    assert Experiment.from_toml_text(asked.to_toml()) == asked


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        (["camera.plane=normal"], "camera.plane"),
        (["beam.profile=box"], "beam.profile"),
        (["camera.pixels=[21, 60]"], "N // 3 rows"),
        (["camera.depth_samples=1"], "camera.depth_samples"),
        (["reflection.geometry=oblique", "crystal.mount=[[1,0,0],[0,1,0],[0,0,1]]"], "geometry"),
    ],
)
def test_what_dfxm_geo_does_not_have_is_refused(settings, needs):
    with pytest.raises(InputError, match=needs) as raised:
        assemble(experiment(*settings))
    assert raised.value.key == KEY

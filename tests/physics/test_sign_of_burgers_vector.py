"""What tells b from −b (docs/explanation/identification.md)."""

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.run.render import Renderer


@pytest.fixture(scope="module")
def renderer():
    return Renderer(
        Experiment().with_settings(
            [
                "camera.pixels=[31,41]",
                "camera.oversampling=1",
                "beam.height_fwhm_um=0.3",
                "scan.phi.half_range_mrad=0.15",
                "scan.phi.steps=2",
            ]
        ),
        1,
    )


@pytest.mark.parametrize("character", [0, 30, 77])
def test_opposite_burgers_vector_turns_the_image(renderer, character):
    # With the line reversed b is -b; the line crosses the beam in the middle pixel.
    image, opposite = (
        renderer.image(renderer.lines_of((1, 1, 1), (1, -1, 0), character + turn))
        for turn in (0, 180)
    )
    assert np.ptp(image) > 0.1
    np.testing.assert_allclose(opposite, image[:, ::-1, ::-1], atol=1e-6)
    # And it is the image at the opposite setting, but for squares of the distortion.
    np.testing.assert_allclose(opposite[::-1], image, atol=2e-3)

"""What positions, counts and curves tell of themselves."""

import numpy as np
import pytest

from weakbeam.analysis.maxima import second_maxima
from weakbeam.analysis.noise import dark_noise
from weakbeam.analysis.orientation import lattice_turns
from weakbeam.analysis.profiles import Curves
from weakbeam.analysis.remarks import Remark, frames_text, left_out_of
from weakbeam.analysis.scan_positions import odd_frames, unwrapped


@pytest.mark.parametrize(
    ("positions", "whole"),
    [
        ([359.8, 359.9, 0.0, 0.1], [359.8, 359.9, 360.0, 360.1]),
        ([0.1, 0.0, 359.9], [0.1, 0.0, -0.1]),
        ([-0.1, 0.1], [-0.1, 0.1]),
        ([0.0, 90.0, 180.0, 270.0], [0.0, 90.0, 180.0, 270.0]),
        ([0.1, 359.9, 0.1, 359.9], [0.1, -0.1, 0.1, -0.1]),
    ],
)
def test_whole_turns_are_added(positions, whole):
    np.testing.assert_allclose(unwrapped(positions, 360.0), whole, atol=1e-9)


def test_all_motors_of_a_grid_that_stand_still_are_odd():
    slow, fast = (x.ravel() for x in np.meshgrid(np.arange(5.0), np.arange(9.0), indexing="ij"))
    slow[20:26], fast[20:26] = slow[19], fast[19]
    assert odd_frames({"chi": slow, "phi": fast})["all motors"].tolist() == list(range(19, 26))
    slow[20:26] = 2.0
    assert odd_frames({"chi": slow[:20], "phi": fast[:20]}) == {}


def test_motors_that_move_together_are_looked_at_one_by_one():
    x = np.arange(20.0)
    x[12] = 3.0
    odd = odd_frames({"mu": x, "obpitch": 2.0 * np.arange(20.0)})
    assert {name: numbers.tolist() for name, numbers in odd.items()} == {"mu": [12]}


def test_noise_is_that_of_dark_frames_whatever_is_lit():
    random = np.random.default_rng(1)
    light = np.zeros((24, 40, 50))
    light[6:16] = 400 * random.random((10, 1, 1))
    light[:, :, :20] *= random.random((24, 40, 20))
    pattern = 100 + 10 * random.normal(size=(40, 50))
    stack = light + pattern + 3.0 * random.normal(size=light.shape)
    sigma, level = dark_noise(stack[::2], stack[1::2])
    assert sigma == pytest.approx(3.0, rel=0.05)
    np.testing.assert_allclose(level, pattern, atol=6.0)
    assert dark_noise(np.zeros((3, 4, 4)), np.zeros((3, 4, 4)))[0] == 0.0
    rounded, _ = dark_noise(stack[::2].round(), stack[1::2].round())
    assert rounded == pytest.approx(3.0, rel=0.05)


def test_the_second_maximum_is_that_which_rises_most():
    x = np.linspace(0.0, 1.0, 51)
    curve = np.zeros((51, 1, 3))
    for center, height in ((0.2, 1.0), (0.5, 0.5), (0.8, 0.3)):
        curve[:, 0, 0] += height * np.exp(-0.5 * ((x - center) / 0.04) ** 2)
    curve[:, 0, 1] = np.exp(-0.5 * ((x - 0.2) / 0.04) ** 2)
    for positions in (x, -x):
        found = second_maxima(Curves(positions, curve))
        assert found["second_peak"][0, 0] == pytest.approx(0.5 * np.sign(positions[-1]), abs=1e-3)
        assert found["second_value"][0, 0] == pytest.approx(0.5, rel=1e-2)
        assert found["bimodality"][0, 0] == pytest.approx(0.5, abs=0.01)
        np.testing.assert_array_equal(found["bimodality"][0, 1:], 0.0)
    assert second_maxima(Curves(x, curve), noise=0.2)["bimodality"].max() == 0.0
    assert second_maxima(Curves(np.abs(x - 0.5), curve)) == {}


def test_turns_of_motors_at_an_angle():
    vectors = np.array([[1.0, 0.0, 0.0], [0.6, 0.3, 0.0]])
    centers = np.random.default_rng(2).normal(size=(2, 3, 4))
    turns = lattice_turns(centers, vectors)
    true = np.linalg.norm(np.tensordot(vectors.T, centers, axes=1), axis=0)
    np.testing.assert_allclose(np.hypot(*turns), true, rtol=1e-12)
    np.testing.assert_allclose(lattice_turns(centers, np.eye(3)[:2]), centers, rtol=1e-12)
    with pytest.raises(ValueError, match="vectors of shape"):
        lattice_turns(centers, vectors[:1])


def test_frames_are_told_in_ranges():
    assert frames_text([3]) == "frame 3"
    assert frames_text([5, 3, 4, 9]) == "frames 3-5, 9"
    assert frames_text(range(0, 40, 2)).endswith("10 and 14 more ranges")
    remarks = [Remark("a", "", (3, 1), left_out=True), Remark("b", "", (2,))]
    assert left_out_of(remarks).tolist() == [1, 3]

"""What is said of the candidates."""

from dataclasses import replace

import numpy as np
import pytest

from weakbeam.defects.types import DislocationType
from weakbeam.identify.match_result import Candidate
from weakbeam.identify.verdict import least_gain, verdict_of


def candidate(number, probability, evidence, character=60.0, same_as=(), **changes):
    one = DislocationType(
        number, (1, 1, 1), (1, -1, 0), character, (2e-4, -2e-4, 0.0), (0.4, 0.4, -0.8), same_as
    )
    values = {
        "type": one,
        "member": number,
        "depth_um": 0.0,
        "correlation": 0.9,
        "score": 100.0,
        "shift_px": np.zeros((1, 2)),
        "shift_errors_px": np.full((1, 2), 0.1),
        "scale": np.ones(1),
        "background": np.zeros(1),
        "gain": 100.0,
        "log_evidence": evidence,
        "misfit": 1.0,
        "pixels": 10_000,
        "probability": probability,
        "cautious_probability": probability,
    }
    return Candidate(**{**values, **changes})


def test_one_type_is_enough():
    found = verdict_of([candidate(3, 0.97, 90.0), candidate(4, 0.03, 86.5, 70.0)], 1, 20)
    assert found.decided
    assert found.sentence == "(1 1 1) [1 -1 0] 60 deg (probability 97 %)"
    assert (found.credible, found.gap, found.notes) == ((3,), 3.5, ())


def test_types_of_one_image_count_as_one():
    both = [candidate(3, 0.5, 90.0, 90.0, (8,)), candidate(8, 0.5, 90.0, 90.0, (3,))]
    found = verdict_of([*both, candidate(1, 0.0, 50.0)], 1, 20)
    assert found.decided
    assert found.gap == 40.0
    assert " or " in found.sentence
    assert "the same dislocation" in found.notes[0]


@pytest.mark.parametrize(("images", "advice"), [(1, True), (2, False)])
def test_signs_that_are_not_told_apart(images, advice):
    pair = [candidate(3, 0.6, 90.0), candidate(5, 0.4, 89.6, 240.0)]
    found = verdict_of(pair, images, 20)
    assert not found.decided
    assert "cannot decide between (1 1 1) [1 -1 0] 60 deg (60 %), (1 1 1)" in found.sentence
    assert found.notes[0].startswith("b and -b are not told apart")
    assert ("+phi and -phi" in found.notes[0]) == advice


def test_many_types():
    found = verdict_of([candidate(k, 0.125, 90.0, 10.0 * k) for k in range(8)], 1, 20)
    assert found.sentence.endswith("and 4 more")
    assert len(found.credible) == 8


def test_what_to_keep_in_mind():
    best = candidate(3, 0.99, 90.0, misfit=1.8, shift_px=np.array([[3.0, -19.7]]))
    found = verdict_of([best], 1, 20, ["first"])
    assert found.notes[0] == "first"
    assert "1.8 times the variance" in found.notes[1]
    assert "refine the best candidates" in found.notes[1]
    assert (found.visible, found.explained, found.decided) == (True, False, False)
    assert "no type of the library explains the images" in found.sentence
    assert f"{best.type.name} comes nearest" in found.sentence
    assert "bound of 20 pixels" in found.notes[2]
    assert found.gap == np.inf
    assert not verdict_of([replace(best, gain=3.0)], 1, 20).visible


@pytest.mark.parametrize(("pixels", "explained"), [(200, True), (100_000, False)])
def test_the_more_pixels_the_less_misfit_is_noise(pixels, explained):
    found = verdict_of([candidate(3, 0.99, 90.0, misfit=1.1)], 1, 20, pixels=pixels)
    assert (found.explained, found.decided) == (explained, explained)


@pytest.mark.parametrize("raised", [1.0, 1.8])
def test_a_gain_counts_as_far_as_it_is_not_raised(raised):
    least = raised * least_gain(48, 10)
    for gain, seen in ((least - 0.01, False), (least + 0.01, True)):
        best = candidate(3, 0.99, 90.0, gain=gain, raised=raised)
        assert verdict_of([best], 1, 10, members=48).visible == seen

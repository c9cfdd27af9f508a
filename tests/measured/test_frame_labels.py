"""What a frame is called: where its motors stood, told apart from the frames beside it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weakbeam.measured.pictures import frame_labels
from weakbeam.measured.treatment import scan_of_image
from weakbeam.measured.units import in_unit


def scan(**positions):
    """A scan over motors in degrees."""
    (first, *_) = positions.values()
    bare = scan_of_image(Path("scan.h5"), (4, 5), np.dtype("uint16"))
    units = dict.fromkeys(positions, "deg")
    return replace(bare, frames=len(first), positions=positions, units=units)


@pytest.mark.parametrize("unit", ["deg", "mrad", "urad"])
@pytest.mark.parametrize("step", [0.04, 1e-3, 6e-4, 3e-5])
def test_neighbours_have_labels_of_their_own(step, unit):
    labels = frame_labels(in_unit(scan(obpitch=25.1 + step * np.arange(30)), unit), short=True)
    assert len(set(labels)) == 30


def test_digits_are_no_more_than_the_steps_have():
    # Motors come back within a hundredth of a step.
    jitter = 8e-4 * np.random.default_rng(0).uniform(-1.0, 1.0, 60)
    chi = np.repeat(0.08 * np.arange(6), 10) + jitter
    labels = frame_labels(in_unit(scan(chi=chi), "deg"), short=True)
    assert all(len(label.partition(".")[2]) == 3 for label in labels)
    still = frame_labels(in_unit(scan(chi=np.full(3, 0.5)), "deg"))
    assert still[2] == "frame 2, χ = 0.500 deg"

"""The direction along x that a converted file gets lies in the planes where it is chosen."""

import pytest

from weakbeam.compat.crystal import MOUNTED, REMOUNTS, symmetric_reflection
from weakbeam.compat.keys import Notes


@pytest.mark.parametrize(
    ("hkl", "remount"), [((2, 0, -2), "S1"), ((-2, 0, 2), "S1"), *((MOUNTED, r) for r in REMOUNTS)]
)
def test_it_lies_in_the_planes(hkl, remount):
    reflection, x_axis = symmetric_reflection(hkl, remount, Notes())
    assert sum(h * u for h, u in zip(reflection["hkl"], x_axis, strict=True)) == 0

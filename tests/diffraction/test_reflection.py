import math

import pytest

from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction.reflection import bragg_angle


@pytest.mark.parametrize(
    ("hkl", "degrees"),
    [
        ((1, 1, 1), 8.9732),
        ((2, 0, 0), 10.3756),
        ((2, 2, 0), 14.7559),
        ((3, 1, 1), 17.3774),
        ((2, 2, 2), 18.1764),
    ],
)
def test_bragg_angles_of_aluminium_at_17_kev(hkl, degrees):
    d = float(UnitCell.cubic(4.0495).d_spacing(hkl))
    assert math.degrees(bragg_angle(d, 17.0)) == pytest.approx(degrees, abs=5e-5)


def test_bragg_angle_of_a_published_set_up():
    assert math.degrees(2 * bragg_angle(4.0495 / 2, 17.017)) == pytest.approx(20.73, abs=5e-3)


def test_planes_closer_than_half_a_wavelength_are_out_of_reach():
    with pytest.raises(ValueError, match=r"out of reach at 6 keV; it needs more than 6\.199 keV"):
        bragg_angle(1.0, 6.0)

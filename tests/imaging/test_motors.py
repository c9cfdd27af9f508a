"""The table of the motors: one name, symbol and unit for each, in every place that shows them."""

import numpy as np
import pytest

from weakbeam.imaging.motors import ANGLES, MOTORS, SCANNED
from weakbeam.imaging.scan import SCAN_ORDER


def test_names_and_symbols_are_of_one_motor_each():
    assert set(SCANNED) == set(SCAN_ORDER)
    assert set(ANGLES) == {name for name in SCANNED if MOTORS[name].is_angle}
    for kind in ("beamline_name", "symbol", "offset_symbol"):
        assert len({getattr(motor, kind) for motor in MOTORS.values()}) == len(MOTORS)
    assert all(name == motor.name for name, motor in MOTORS.items())


@pytest.mark.parametrize(
    ("name", "offset", "shown", "label", "stored"),
    [
        ("phi", 0.5e-3, 0.5, "φ (mrad)", 0.028647889756541159),
        ("two_theta", -2e-3, -2.0, "Δ2θ (mrad)", -0.114591559026164641),
        ("z", 0.3, 0.3, "z (µm)", 0.0003),
    ],
)
def test_units_of_a_motor(name, offset, shown, label, stored):
    motor = MOTORS[name]
    assert motor.shown(offset) == shown
    assert motor.inner(shown) == offset
    assert motor.label == label
    np.testing.assert_allclose(motor.stored(offset), stored, rtol=1e-15)
    np.testing.assert_allclose(motor.stored_factor * offset, stored, rtol=1e-15)

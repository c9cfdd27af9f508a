"""The figure of a calibration."""

import numpy as np
import pytest

from weakbeam.plot.calibration import CalibrationCurve, calibration_figure
from weakbeam.plot.view import View


def curve(deviation=0.0):
    x = np.linspace(-0.3, 0.3, 21)
    fitted = np.exp(-0.5 * (x / 0.1) ** 2)
    return CalibrationCurve("φ (mrad)", x, fitted + deviation, fitted, np.full(21, 0.01))


def test_residuals_are_in_sigma_and_all_of_them_seen():
    view = View.of_pixels((20, 30))
    figure = calibration_figure(
        [curve(), curve(0.2)], np.ones((20, 30)), view, (2, 10, 3, 20), lines=["one", "two"]
    )
    rest = figure.axes[3]
    np.testing.assert_allclose(rest.lines[-1].get_ydata(), 20.0)
    assert rest.get_ylim()[1] > 20.0
    assert figure.axes[1].get_ylim() == (-4.0, 4.0)


def test_region_and_what_is_left_out_are_drawn_where_they_are():
    view = View.of_pixels((20, 30))
    figure = calibration_figure(
        [curve()], np.ones((20, 30)), view, (2, 10, 3, 20), [(2.0, 4.0, 3.0, 5.5)]
    )
    left_out, region = (patch.get_xy()[:4] for patch in figure.axes[2].patches)
    np.testing.assert_allclose(region, [[2.5, 1.5], [19.5, 1.5], [19.5, 9.5], [2.5, 9.5]])
    np.testing.assert_allclose(left_out.max(axis=0), [5.0, 3.5])


def test_there_must_be_a_curve():
    with pytest.raises(ValueError, match="curve"):
        calibration_figure([], np.ones((4, 5)), View.of_pixels((4, 5)), (0, 4, 0, 5))

import numpy as np
import pytest

from weakbeam.plot.rocking import half_maximum, power_of_ten, rocking_figure

FINE = np.linspace(-0.6, 0.6, 401)
SIGMA = 0.116
PERFECT = np.exp(-0.5 * (FINE / SIGMA) ** 2)
SCAN = np.linspace(-0.6, 0.6, 13)


def texts(axes) -> str:
    return " ".join(text.get_text() for text in axes.texts)


def test_width_of_a_gaussian() -> None:
    left, right = half_maximum(FINE, 7 * PERFECT)
    assert right - left == pytest.approx(2.354820045 * SIGMA, rel=1e-4)
    assert left == pytest.approx(-right)


@pytest.mark.parametrize("curve", [np.zeros(401), np.ones(401), FINE + 1, FINE * np.nan])
def test_no_width_where_the_curve_does_not_fall(curve: np.ndarray) -> None:
    assert half_maximum(FINE, curve) is None
    rocking_figure(FINE, curve).canvas.draw()


def test_both_panels_show_the_perfect_crystal_and_one_its_width() -> None:
    linear, log = rocking_figure(FINE, PERFECT).axes
    for axes in (linear, log):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), PERFECT)
        assert axes.get_xlabel() == "φ (mrad)"
        assert axes.get_xlim() == (-0.6, 0.6)
    assert log.get_yscale() == "log"
    assert "FWHM" in texts(linear)
    assert "0.273 mrad" in texts(linear)


def test_curves_of_a_scan_are_named_points() -> None:
    curves = {"mean of the image": 0.5 + 0 * SCAN, "centre": 1.5 + 0 * SCAN}
    linear, log = rocking_figure(FINE, PERFECT, positions_mrad=SCAN, curves=curves).axes
    labels = [text.get_text() for text in log.get_legend().get_texts()]
    assert labels == ["perfect crystal", *curves]
    np.testing.assert_array_equal(linear.lines[1].get_xdata(), SCAN)
    assert linear.get_ylim()[1] > 1.5


def test_no_points_of_the_scan_lie_under_the_width() -> None:
    scan = np.linspace(-0.6, 0.6, 61)
    two_peaks = 0.5 * np.exp(-0.5 * ((np.abs(scan) - 0.2) / 0.08) ** 2)
    figure = rocking_figure(
        FINE, PERFECT, positions_mrad=scan, curves={"mean": two_peaks}, setting_mrad=0.15
    )
    figure.canvas.draw()
    linear = figure.axes[0]
    (box,) = [text.get_window_extent() for text in linear.texts if "FWHM" in text.get_text()]
    points = linear.transData.transform(np.column_stack([scan, two_peaks]))
    assert not any(box.contains(*point) for point in points)


def test_setting_is_marked_where_the_curve_is() -> None:
    linear, log = rocking_figure(FINE, PERFECT, setting_mrad=0.15).axes
    (mark,) = [line for line in linear.lines if line.get_marker() == "o"]
    assert mark.get_xydata()[0] == pytest.approx([0.15, np.exp(-0.5 * (0.15 / SIGMA) ** 2)])
    assert "0.15 mrad" in log.get_legend().get_texts()[-1].get_text()


def test_setting_beyond_the_curve_widens_the_axis() -> None:
    linear, log = rocking_figure(FINE, PERFECT, setting_mrad=0.9).axes
    assert linear.get_xlim() == (-0.6, 0.9)
    assert log.get_legend().get_texts()[-1].get_text() == "this image: 0.9 mrad"


def test_decades_as_text() -> None:
    assert [power_of_ten(v) for v in (1e-5, 1.0, 1e12)] == ["10⁻⁵", "10⁰", "10¹²"]


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="perfect"):
        rocking_figure(FINE, PERFECT[1:])
    with pytest.raises(ValueError, match="mean"):
        rocking_figure(FINE, PERFECT, positions_mrad=SCAN, curves={"mean": PERFECT})
    with pytest.raises(ValueError, match="positions_mrad"):
        rocking_figure(FINE, PERFECT, curves={"mean": PERFECT})
    with pytest.raises(ValueError, match="at least one"):
        rocking_figure([], [])

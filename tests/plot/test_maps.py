import numpy as np
import pytest

from weakbeam.plot.maps import agreement, com_figure, symmetric_limit
from weakbeam.plot.view import View

X_UM, Y_UM = (np.arange(20) - 9.5) * 0.1, (np.arange(30) - 14.5) * 0.1
VIEW = View(X_UM, Y_UM)
FIELD = X_UM[:, None] / (X_UM[:, None] ** 2 + Y_UM**2)


def test_both_maps_of_a_motor_share_symmetric_limits() -> None:
    figure = com_figure({"φ": (FIELD, 1.1 * FIELD), "χ": (3 * FIELD, FIELD)}, VIEW)
    maps = [axes.images[0] for axes in figure.axes if axes.get_xlabel() == "y (µm)"]
    assert len(maps) == 4
    for com, predicted in (maps[:2], maps[2:]):
        low, high = com.get_clim()
        assert low == -high
        assert predicted.get_clim() == (low, high)
    assert maps[0].get_clim() != maps[2].get_clim()
    for drawn in maps:
        assert drawn.axes.get_aspect() == 1.0
        np.testing.assert_allclose(drawn.get_extent(), [-1.5, 1.5, 1.0, -1.0])


def test_small_angles_are_shown_in_microradian() -> None:
    figure = com_figure({"φ": (1e-3 * FIELD, 1e-3 * FIELD)}, VIEW)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert "φ (µrad)" in labels
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), FIELD)
    assert "φ (mrad)" in [a.get_ylabel() for a in com_figure({"φ": (FIELD,) * 2}, VIEW).axes]


def test_missing_pixels_are_light_grey_and_left_out() -> None:
    com = FIELD.copy()
    com[0, 0] = np.nan
    figure = com_figure({"φ": (com, FIELD)}, VIEW)
    drawn = figure.axes[0].images[0]
    np.testing.assert_allclose(drawn.to_rgba(drawn.get_array())[0, 0], [0.85, 0.85, 0.85, 1.0])
    assert np.isfinite(drawn.get_clim()).all()
    assert "r = 1.000" in figure.axes[-1].get_title(loc="left")


def test_agreement_against_numpy() -> None:
    rng = np.random.default_rng(1)
    com = FIELD + 0.1 * rng.standard_normal(FIELD.shape)
    correlation, difference = agreement(com, FIELD)
    assert correlation == pytest.approx(np.corrcoef(com.ravel(), FIELD.ravel())[0, 1])
    assert difference == pytest.approx(np.sqrt(np.mean((com - FIELD) ** 2)))
    assert np.isnan(agreement(FIELD * np.nan, FIELD)).all()
    assert np.isnan(agreement(FIELD * 0, FIELD)[0])


def test_limit_ignores_the_few_largest_values() -> None:
    assert symmetric_limit(np.append(np.ones(999), -1e6)) == 1.0
    assert symmetric_limit([np.nan]) == 1.0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_empty_maps_draw(value: float) -> None:
    flat = np.full(FIELD.shape, value)
    com_figure({"φ": (flat, flat)}, VIEW).canvas.draw()


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="no map"):
        com_figure({}, VIEW)
    with pytest.raises(ValueError, match="does not fit its axes"):
        com_figure({"φ": (FIELD, FIELD.T)}, VIEW)

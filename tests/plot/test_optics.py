import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from weakbeam.instrument.objective import CompoundRefractiveLens
from weakbeam.plot.optics import layout_figure, lenslet_outlines

M = 1e6


def lens(**changes) -> CompoundRefractiveLens:
    values = {
        "lenslets": 88,
        "radius": 50.0,
        "pitch": 1600.0,
        "decrement": 1.1783e-6,
        "attenuation": 49.6e-6,
        "energy": 17.0,
        "distance": 0.274 * M,
    }
    return CompoundRefractiveLens(**{**values, **changes})


def rays(axes) -> list[np.ndarray]:
    # Neither the axis of the lens nor sample, camera and back focal plane.
    return [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 90]


def test_rays_meet_again_in_the_image() -> None:
    overview, _ = layout_figure(lens(), 10.0).axes
    paths = rays(overview)
    assert len(paths) == 18
    starts = np.array([path[0] for path in paths])
    ends = np.array([path[-1] for path in paths])
    np.testing.assert_array_equal(starts[:, 0], 0.0)
    np.testing.assert_array_equal(np.unique(starts[:, 1]), [0.0, 10.0])
    np.testing.assert_allclose(ends[:, 0], lens().total_length / M)
    np.testing.assert_allclose(ends[:, 1], -lens().magnification * starts[:, 1], atol=1e-6)


def test_both_panels_are_to_scale_and_say_how_heights_are_stretched() -> None:
    figure = layout_figure(lens(), 10.0)
    overview, blow_up = figure.axes
    np.testing.assert_allclose(overview.get_ylim(), blow_up.get_ylim())
    for axes, unit, microns in ((overview, "(m)", 1e6), (blow_up, "(mm)", 1e3)):
        box = axes.get_window_extent()
        along = np.ptp(axes.get_xlim()) * microns / box.width
        across = np.ptp(axes.get_ylim()) / box.height
        label = axes.get_xlabel()
        assert unit in label
        said = float(label.split("drawn ")[1].split(" times")[0])
        assert said == pytest.approx(along / across, rel=0.05)
        assert axes.get_ylabel() == "height (µm)"
    assert blow_up.get_xlim()[0] < 274 < 274 + 140.8 < blow_up.get_xlim()[1]


def test_every_lenslet_is_drawn() -> None:
    _, blow_up = layout_figure(lens(), 10.0).axes
    (drawn,) = (c for c in blow_up.collections if isinstance(c, PolyCollection))
    assert len(drawn.get_paths()) == 88


def test_outlines_are_parabolas_that_fill_the_thickness_at_the_rim() -> None:
    made = lens(thickness=1000.0, web=30.0)
    outlines = lenslet_outlines(made)
    assert outlines.shape == (88, 50, 2)
    centers = 274e3 + 1600 * (np.arange(88) + 0.5)
    thickness = 2 * np.abs(outlines[:, :, 0] - centers[:, None])
    np.testing.assert_allclose(thickness, 30 + outlines[:, :, 1] ** 2 / 50, atol=1e-6)
    assert thickness.max() == pytest.approx(1000)
    assert thickness.min() == pytest.approx(30)


def test_rays_that_a_rim_stops_are_left_out() -> None:
    overview, _ = layout_figure(lens(thickness=200.0), 10.0).axes
    paths = rays(overview)
    assert 0 < len(paths) < 18
    assert all(np.abs(path[1:-1, 1]).max() <= lens(thickness=200.0).aperture / 2 for path in paths)


@pytest.mark.parametrize(
    "changes", [{"lenslets": 1, "distance": 60 * M}, {"lenslets": 250, "distance": 0.05 * M}]
)
def test_short_and_long_stacks_draw(changes: dict) -> None:
    layout_figure(lens(**changes), 10.0, title="a lens").canvas.draw()


@pytest.mark.parametrize("height", [0.0, -1.0, np.inf, np.nan])
def test_height_of_the_field_must_be_positive(height: float) -> None:
    with pytest.raises(ValueError, match="height of the field"):
        layout_figure(lens(), height)

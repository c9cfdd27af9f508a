import matplotlib as mpl
import numpy as np
import pytest

from weakbeam.plot.image import image_figure
from weakbeam.plot.style import save
from weakbeam.plot.view import View, fit_box, pixel_edges


def frame() -> tuple[np.ndarray, View]:
    x_um, y_um = np.arange(-4, 5) * 0.123, np.arange(-6, 7) * 0.04
    return np.exp(-(x_um[:, None] ** 2) - 9 * y_um**2), View(x_um, y_um)


def extent(x_um: list[float], y_um: list[float]) -> tuple[float, float, float, float]:
    return View(np.array(x_um), np.array(y_um)).extent


def test_edges_stand_half_a_pixel_outside_the_outer_centers() -> None:
    assert pixel_edges([-0.04, 0.0, 0.04]) == pytest.approx((-0.06, 0.06))
    assert pixel_edges([0.3], pitch_um=0.2) == pytest.approx((0.2, 0.4))


@pytest.mark.parametrize("centers", [[], [0.0, np.nan], [1.0, 1.0], [0.0, 1.0, 3.0], [[0.0]]])
def test_edges_refuse_what_is_no_row_of_pixels(centers: list[float]) -> None:
    with pytest.raises(ValueError, match="pixel centres"):
        pixel_edges(centers)


def test_field_is_the_layer_seen_from_above_and_not_its_mirror_image() -> None:
    left, right, bottom, top = extent([0.0, 1.0], [0.0, 2.0, 4.0])
    assert (left, right, bottom, top) == (-1.0, 5.0, 1.5, -0.5)
    y_on_page, x_on_page = np.sign(right - left), np.sign(top - bottom)
    x, y = np.array([0.0, x_on_page, 0.0]), np.array([y_on_page, 0.0, 0.0])
    np.testing.assert_array_equal(np.cross(x, y), [0.0, 0.0, 1.0])  # z towards the reader


@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize("on_camera", [False, True])
def test_any_order_of_rows_and_columns_is_the_same_picture(on_camera, downwards) -> None:
    values, view = frame()
    values[0, 0], x, y = 2.0, view.x, view.y
    options = {"on_camera": on_camera, "downwards": downwards}
    expected = image_figure(values, View(x, y, **options)).axes[0].images[0]
    for changed, other in (
        (values[::-1], View(x[::-1], y, **options)),
        (values[:, ::-1], View(x, y[::-1], **options)),
        (values.T, View(x, y, swapped=True, **options)),
        (values.T[::-1, ::-1], View(x[::-1], y[::-1], swapped=True, **options)),
    ):
        image = image_figure(changed, other).axes[0].images[0]
        np.testing.assert_array_equal(image.get_array(), expected.get_array())
        assert image.get_extent() == expected.get_extent()


def test_single_pixel_takes_the_pitch_of_the_other_axis() -> None:
    assert extent([0.0], [0.0, 0.5]) == (-0.25, 0.75, 0.25, -0.25)
    assert extent([0.0], [0.0]) == (-0.5, 0.5, 0.5, -0.5)


def test_box_keeps_the_proportions_of_the_field() -> None:
    assert fit_box((0.0, 4.0, 2.0, 0.0), 60.0, 60.0) == (60.0, 30.0)
    assert fit_box((0.0, 4.0, 8.0, 0.0), 60.0, 60.0) == (30.0, 60.0)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files_of_the_same_figure_are_the_same(tmp_path, suffix: str) -> None:
    for name in "ab":
        save(image_figure(*frame(), phi_mrad=0.15), tmp_path / (name + suffix))
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert len(first) > 1000
    assert first == (tmp_path / f"b{suffix}").read_bytes()


def test_text_in_svg_stays_text(tmp_path) -> None:
    save(image_figure(*frame(), title="edge in Al"), tmp_path / "a.svg")
    assert "edge in Al</text>" in (tmp_path / "a.svg").read_text()


def test_save_refuses_other_formats(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"\.jpg"):
        save(image_figure(*frame()), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_settings_of_the_caller_stay_as_they_were(tmp_path) -> None:
    def settings() -> dict[str, object]:
        # Reading the backend would choose one.
        return {key: mpl.rcParams[key] for key in mpl.rcParams if key != "backend"}

    before = settings()
    save(image_figure(*frame()), tmp_path / "a.png")
    assert settings() == before

import json

import numpy as np
import pytest
from field_files import CELLS, GRAINS, rotation, strained, write_damask

from weakbeam.assemble.gridded import quaternion_of
from weakbeam.errors import InputError
from weakbeam.run.field_slices import rotation_and_strain, shown_field

AT = np.stack(np.meshgrid(*(0.5 * np.arange(n) for n in (6, 5, 4)), indexing="ij"), axis=-1)


def test_rotation_and_strain_are_those_of_the_polar_decomposition():
    strain = 1e-3 * np.array([[1.0, 0.2, 0.0], [0.2, -0.5, 0.3], [0.0, 0.3, 2.0]])
    for angle in (0.0, 1e-6, 0.3, 3.0):
        axis = np.array([1.0, -2.0, 2.0]) / 3.0
        beta = rotation(axis, angle) @ (np.eye(3) + strain) - np.eye(3)
        vector, found = rotation_and_strain(np.stack([beta, np.full((3, 3), np.nan)]))
        np.testing.assert_allclose(vector[0], angle * axis, atol=1e-14, rtol=1e-9)
        np.testing.assert_allclose(found[0], strain, atol=1e-14)
        assert np.isnan(vector[1]).all()
        assert np.isnan(found[1]).all()


def test_a_result_is_shown_grain_by_grain(tmp_path):
    path = tmp_path / "result.hdf5"
    label, grain, middles = write_damask(path)
    shown = shown_field(str(path))
    assert [(g.phase, g.number) for g in shown.grains] == [("A", 0), ("B", 0), ("B", 1)]
    assert [g.cells for g in shown.grains] == [(grain == k).sum() for k in range(3)]
    assert (shown.increment, shown.increments) == (10, (0, 9, 10))
    # Relative to the mean of its grain; the strains are small.
    beta = strained(middles)
    mean = np.zeros_like(beta)
    for k in range(3):
        mean[grain == k] = beta[grain == k].mean(axis=0)
    turn = 0.5 * (mean - np.swapaxes(mean, -1, -2))
    expected = beta - turn
    layer = shown.middle["z"]
    assert layer.shape == (CELLS[0], CELLS[1], 3, 3)
    np.testing.assert_allclose(layer, expected[:, :, CELLS[2] // 2], atol=1e-6)
    np.testing.assert_allclose(shown.middle["y"], np.swapaxes(expected[:, 1], 0, 1), atol=1e-6)
    first = shown_field(str(path), increment=0)
    assert first.largest < 1e-14
    for told, own in zip(first.grains, GRAINS, strict=True):
        np.testing.assert_allclose(told.quaternion, quaternion_of(own), atol=1e-12)
    one = shown_field(str(path), mask="B", grain=1)
    assert one.lit == pytest.approx((grain == 2).mean())
    assert not one.grains
    json.dumps(shown.numbers())
    with pytest.raises(InputError, match="was not written") as raised:
        shown_field(str(path), increment=5)
    assert raised.value.key == "increment"
    assert "phase B, grain 1  " in "\n".join(shown.lines())
    assert label.shape == CELLS


def test_arrays_are_drawn_in_places_of_the_grid(tmp_path):
    path = tmp_path / "field.npz"
    beta = np.zeros((*AT.shape[:3], 3, 3))
    beta[..., 0, 1] = 1e-3 * AT[..., 0]
    np.savez(path, beta=beta, spacing_um=0.5, origin_um=(1.0, 2.0, 3.0))
    shown = shown_field(str(path))
    assert shown.unit == "µm"
    drawings = shown.drawings()
    names = [f"{kind}-{axis}" for axis in "zyx" for kind in ("gradient", "rotation-strain")]
    assert list(drawings) == names
    figure = drawings["gradient-z"].figure()
    panels = figure.axes[::2]
    assert [panel.get_title("left") for panel in panels[:2]] == ["β xx", "β xy"]
    image = panels[1].get_images()[0]
    # x runs down the page, y to the right; β in thousandths.
    assert image.get_extent() == [1.75, 4.25, 3.75, 0.75]
    np.testing.assert_allclose(image.get_array(), 1e3 * beta[:, :, 0, 0, 1])
    assert image.origin == "upper"
    upright = drawings["gradient-x"].figure().axes[2].get_images()[0]
    assert upright.origin == "lower"
    assert upright.get_extent() == [1.75, 4.25, 2.75, 4.75]
    np.testing.assert_allclose(upright.get_array(), 1e3 * beta[3, :, :, 0, 1].T)
    assert drawings["gradient-z"].options["title"] == "field.npz, slice at z = 4 µm"


def test_without_a_spacing_places_are_points(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, u=np.zeros((6, 5, 1, 3)))
    shown = shown_field(str(path))
    assert shown.unit == "points"
    assert list(shown.drawings()) == ["gradient-z", "rotation-strain-z"]
    assert next(shown.lines()) == "file of arrays: u at 6 × 5 × 1 points, 6 × 5 × 1 points"


def test_nothing_is_printed_over_another_panel(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, beta=np.random.default_rng(1).normal(size=(20, 7, 4, 3, 3)), spacing_um=1e5)
    for drawing in shown_field(str(path)).drawings().values():
        figure = drawing.figure()
        renderer = figure.canvas.get_renderer()
        panels, bars = figure.axes[::2], figure.axes[1::2]
        for k in (0, 1, 3, 4, 6, 7):
            next_begins = panels[k + 1].yaxis.get_tightbbox(renderer).x0
            assert bars[k].get_tightbbox(renderer).x1 < next_begins
            assert panels[k].title.get_window_extent(renderer).x1 < next_begins
        for k in range(6):
            assert panels[k].get_tightbbox(renderer).y0 > panels[k + 3].get_tightbbox(renderer).y1

"""Slices that are halved about cores: samples still cover every pixel once."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.defects.field import Superposition
from weakbeam.experiment import Experiment
from weakbeam.imaging.sampling import IN_CELLS

SETTINGS = [
    "defects[0].line=[2, -1, -1]",
    "camera.pixels=[6, 5]",
    "camera.pixel_nm=150.0",
    "scan.phi.value_mrad=0.24",
]


def setup_of(*settings):
    return assemble(Experiment().with_settings([*SETTINGS, *settings]))


@pytest.fixture(scope="module")
def setup():
    return setup_of()


@pytest.fixture(scope="module")
def engine(setup):
    return setup.engine(0.0, 1)


def image(setup, engine):
    return engine.images(*setup.shifts())[0, 0]


def moved(setup, *position):
    """The field of the same line elsewhere."""
    return setup_of(f"defects[0].position_um={list(position)}").field_at()


def test_cores_are_in_small_cells_and_they_alone(engine):
    sampling = engine.sampling
    assert len(sampling.generations) > 3
    cut = np.mean(sampling.levels == IN_CELLS)
    assert 0.01 < cut < 0.6
    whole = [generation.whole.sum() for generation in sampling.generations]
    every = [len(generation.whole) for generation in sampling.generations]
    assert whole[0] == 0
    assert np.all(np.array(whole[1:-1]) < every[1:-1])
    # Most of the parts of a cell are not halved again.
    assert np.all(np.array(every[2:]) < 5 * np.array(every[1:-1]))


@pytest.mark.parametrize("pixel_nm", [40.0, 500.0])
def test_samples_cover_pixels_and_beam_once(pixel_nm):
    setup = setup_of(f"camera.pixel_nm={pixel_nm}", "camera.accuracy=0.01")
    sampling, grid = setup.engine(0.0, 1).sampling, setup.grids[0]
    assert sampling.generations
    thick = setup.averaging
    middles = 0.5 * (thick.heights[1:] + thick.heights[:-1])
    spread = np.diff(thick.below) @ middles**2
    axes = np.stack([grid.row_step, grid.column_step, grid.along_ray], axis=1)
    count = 0
    for pixel in range(30):
        points, weights = sampling.of_pixel(pixel)
        count += (weights > 0.0).sum()
        assert weights.min() >= 0.0
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        row, column, height = np.linalg.solve(axes, (points - grid.centres(pixel)).T)
        assert np.abs([weights @ row, weights @ column]).max() < 0.02
        assert max(np.abs(row).max(), np.abs(column).max()) <= 0.5
        if not np.isin(pixel, sampling.even):
            assert weights @ height**2 == pytest.approx(spread, rel=0.08)
    assert count == sampling.rays


def test_image_is_the_sum_over_its_samples(setup, engine):
    sampling, geometry = engine.sampling, setup.geometry
    expected = np.zeros(30)
    for pixel in range(30):
        points, weights = sampling.of_pixel(pixel)
        gradient = np.zeros((9, len(points)))
        engine.field.add_to(gradient, np.ascontiguousarray(points.T))
        q = _q_of(gradient, geometry) + setup.shifts()[0][0] + setup.shifts()[1][0]
        expected[pixel] = weights @ setup.acceptance.relative(q)
    np.testing.assert_allclose(image(setup, engine).ravel(), expected, atol=1e-5 * expected.max())


def _q_of(gradient, geometry):
    from weakbeam.diffraction.geometry import diffraction_vector_change

    change = diffraction_vector_change(gradient.T.reshape(-1, 3, 3), geometry.q0_sample)
    return change @ geometry.imaging_from_sample.T


def test_a_part_of_an_image_is_as_it_was(setup, engine):
    sampling, whole = engine.sampling, image(setup, engine)
    pixels = np.array([20, 3, 14])
    part = sampling.part(pixels, sampling.levels[:, pixels], 0)
    for pixel in pixels:
        points, weights = part.of_pixel(pixel)
        mine, expected = sampling.of_pixel(pixel)
        used, there = weights > 0.0, expected > 0.0
        assert used.sum() == there.sum()
        order, other = np.lexsort(points[used].T), np.lexsort(mine[there].T)
        np.testing.assert_allclose(points[used][order], mine[there][other], atol=1e-12)
        elsewhere, _ = sampling.part(pixels, sampling.levels[:, pixels], 1).of_pixel(pixel)
        assert not np.isin(elsewhere[:, 0], mine[:, 0]).any()
    assert whole.max() > 0.0


class TestHeld:
    def test_of_one_deformation_is_its_engine(self, setup, engine):
        held = engine.held([engine.field])
        np.testing.assert_array_equal(image(setup, held), image(setup, engine))
        assert held.with_field(engine.field).sampling is held.sampling
        np.testing.assert_array_equal(
            image(setup, held.with_field(engine.field)), image(setup, engine)
        )

    def test_is_as_fine_as_any_needs(self, setup, engine):
        fields = [moved(setup, 0.0, y, 0.0) for y in (0.0, 0.2)]
        alone = [engine.with_field(field).sampling for field in fields]
        both = engine.held(fields).sampling
        levels = np.maximum(alone[0].levels, alone[1].levels)
        np.testing.assert_array_equal(both.levels, levels)
        for sampling in alone:
            assert set(both.even) <= set(sampling.even)
            for depth in range(len(sampling.generations)):
                assert np.isin(sampling.halved_of(depth), both.halved_of(depth)).all()
        depths = range(len(both.generations))
        halved = sum(both.halved_of(depth).size for depth in depths)
        assert halved <= sum(
            s.halved_of(d).size for s in alone for d in depths if d < len(s.generations)
        )
        for pixel in range(30):
            assert both.of_pixel(pixel)[1].sum() == pytest.approx(1.0, abs=1e-12)

    def test_images_are_as_accurate_and_change_smoothly(self, setup, engine):
        steps = np.linspace(0.0, 0.04, 5)
        fields = [moved(setup, 0.0, float(y), 0.0) for y in steps]
        held = engine.held([fields[0], fields[-1]])
        images = np.array([image(setup, held.with_field(field)) for field in fields])
        for field, seen in zip(fields[:: len(fields) - 1], images[:: len(fields) - 1], strict=True):
            own = image(setup, engine.with_field(field))
            assert np.linalg.norm(seen - own) < 0.008 * np.linalg.norm(own)

    def test_without_deformation_no_samples_are_cut(self, setup, engine):
        held = engine.held([Superposition(), Superposition()])
        assert held.sampling.levels.max() == 0
        assert held.rays == engine.with_field(Superposition()).rays

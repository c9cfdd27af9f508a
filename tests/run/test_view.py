import numpy as np
import pytest

import weakbeam as wb
from weakbeam.assemble import assemble_all
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.run.render import Renderer
from weakbeam.run.view import view_of

OBLIQUE = [
    "crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "reflection.hkl=[-1, -1, 3]",
    "reflection.geometry=oblique",
    "beam.energy_keV=19.1",
]


def view(*settings, z=0.0, number=0):
    experiment = wb.Experiment().with_settings(["camera.pixels=[20, 44]", *settings])
    setups = assemble_all(experiment)
    return view_of(setups[number], setups[0], z), setups[number]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("binning", [1, 2])
@pytest.mark.parametrize("geometry", [[], OBLIQUE, ["camera.plane=normal", *OBLIQUE]])
def test_pixels_see_what_the_rays_of_the_camera_see(turn, binning, geometry):
    region = ["camera.region=[1, 2, 6, 7]"]
    settings = [f"camera.rotation_deg={turn}", f"camera.binning={binning}", *region, *geometry]
    seen, setup = view(*settings)
    grid = setup.grid
    # The sample point of each pixel, sent through the camera like an image.
    image = np.moveaxis(grid.centres(np.arange(grid.pixels)).reshape(20, 44, 3), -1, 0)
    points = np.moveaxis(setup.detector.readout.mean(image), 0, -1)
    pixels = np.stack(np.meshgrid(np.arange(6), np.arange(7), indexing="ij"), axis=-1)
    np.testing.assert_allclose(seen.point(pixels), points, atol=1e-12)
    np.testing.assert_allclose(seen.pixel(points), pixels, atol=1e-9)
    # Any point of a diffracted ray is seen in its pixel.
    along = points + 0.7 * grid.along_ray
    np.testing.assert_allclose(seen.pixel(along), pixels, atol=1e-9)
    np.testing.assert_allclose(seen.height(along), 0.7)


def test_a_single_row_of_pixels():
    seen, setup = view("camera.pixels=[1, 9]")
    np.testing.assert_allclose(seen.pixel(setup.grid.centres(4)), [0, 4], atol=1e-12)


def test_a_raised_sample_is_seen_lower():
    still, _ = view()
    raised, _ = view(z=0.4)
    point = still.point([3.0, 5.0])
    assert raised.height(point) == pytest.approx(0.4)
    assert still.height(point) == pytest.approx(0.0)
    np.testing.assert_allclose(raised.pixel(point - 0.4 * raised.up), [3, 5], atol=1e-9)


def test_a_remounted_reflection_sees_the_same_crystal():
    from weakbeam.experiment import Experiment, Reflection

    experiment = Experiment(
        reflections=(Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, -1)))
    ).with_settings(["camera.pixels=[20, 44]"])
    setups = assemble_all(experiment)
    second = view_of(setups[1], setups[0], 0.0)
    own = setups[1].grid.centres(3 * 44 + 5)
    crystal = setups[1].sample_from_crystal.T @ own
    np.testing.assert_allclose(
        second.pixel(setups[0].sample_from_crystal @ crystal), [3, 5], atol=1e-9
    )


class TestTrace:
    def test_of_a_line_across_the_image_ends_at_its_edges(self):
        seen, _ = view()
        ends = seen.trace(seen.point([4.0, 9.0]), seen.column_step)
        np.testing.assert_allclose(ends, [[4, -0.5], [4, 43.5]], atol=1e-9)

    def test_of_an_inclined_line_ends_where_the_beam_ends(self):
        seen, _ = view("beam.height_fwhm_um=0.2")
        np.testing.assert_allclose(seen.lit, [-0.1, 0.1], atol=1e-3)
        direction = seen.up + seen.column_step
        ends = seen.trace(seen.point([10.0, 20.0]), direction)
        for end, height in zip(ends, seen.lit, strict=True):
            point = seen.point([10.0, 20.0]) + height * direction
            np.testing.assert_allclose(end, seen.pixel(point), atol=1e-9)

    def test_of_a_line_below_the_beam_is_empty(self):
        seen, _ = view("beam.height_fwhm_um=0.2")
        assert np.isnan(seen.trace(seen.point([4.0, 9.0], 0.3), seen.column_step)).all()
        assert np.isnan(seen.trace(seen.point([40.0, 9.0]), seen.column_step)).all()
        assert np.isnan(seen.trace(seen.point([400.0, 9.0]), seen.up)).all()

    def test_piercing_is_where_the_line_crosses_the_centre_of_the_beam(self):
        seen, _ = view()
        direction = seen.up + 3 * seen.column_step + seen.row_step
        point = seen.point([7.0, 8.0]) + 2.5 * direction
        np.testing.assert_allclose(seen.piercing(point, direction), [7, 8], atol=1e-9)
        assert np.isnan(seen.piercing(point, seen.row_step)).all()


@pytest.mark.parametrize("row", [9, 20])
def test_contrast_changes_its_sign_at_the_trace(row):
    # An edge along y, in the sheet of a thin beam: on one side the planes turn up, on the other
    # one down.
    experiment = wb.Experiment().with_settings(
        ["camera.pixels=[30, 20]", "beam.height_fwhm_um=0.05", "scan.phi.value_mrad=0.15"]
    )
    renderer = Renderer(experiment, 1)
    seen = view_of(renderer.setups[0], renderer.setups[0], 0.0)
    direction = seen.column_step / np.linalg.norm(seen.column_step)
    line = StraightLine(2.86e-4 * seen.up, direction, seen.point([row, 3.0]), 2.86e-4)
    np.testing.assert_allclose(seen.trace(line.position, line.line)[:, 0], row, atol=1e-9)
    contrast = renderer.image(StraightLines.of([line]))[0].mean(axis=1) - renderer.perfect()[0]
    assert (contrast[:row] < 0.0).all()
    assert (contrast[row + 1 :] > 0.0).all()

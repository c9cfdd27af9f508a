"""Many images under the conditions of one experiment, against the one route."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam import Experiment, simulate
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.reflection import Reflection
from weakbeam.run.render import Renderer

SMALL = Experiment().with_settings(
    [
        "camera.pixels=[24, 30]",
        "camera.pixel_nm=80",
        "scan.phi.values_mrad=[-0.14, 0.16]",
        # Where samples are chosen they follow the size of the image.
        "camera.oversampling=2",
        "camera.depth_samples=40",
    ]
)


def table(plane, burgers, character_deg, position_um=(0.0, 0.0, 0.0)):
    return Dislocation(
        plane=plane, burgers=burgers, character_deg=character_deg, position_um=position_um
    )


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["scan.chi.values_mrad=[0.0, 0.4]", "scan.z.values_um=[-0.2, 0.3]"],
        ["camera.psf_px=0.8", "camera.binning=2", "camera.rotation_deg=90"],
        [
            "reflection.hkl=[1, 1, 3]",
            "reflection.geometry='oblique'",
            "crystal.mount=[[1, 0, -1], [1, 2, 1], [1, -1, 1]]",
        ],
        ["objective.vignetting=true"],
    ],
    ids=["plain", "scan", "camera", "oblique", "vignetting"],
)
def test_images_are_those_of_the_one_route(settings):
    experiment = SMALL.with_settings(settings)
    one = table((1, 1, 1), (1, 0, -1), 30.0, (0.1, -0.05, 0.0))
    expected = simulate(experiment.model_copy(update={"defects": (one,)})).images.values
    renderer = Renderer(experiment)
    lines = renderer.lines_of((1, 1, 1), (1, 0, -1), 30.0, (0.1, -0.05, 0.0))
    image = renderer.image(lines)
    assert image.shape == (len(renderer.conditions), *renderer.shape)
    np.testing.assert_array_equal(image, expected.reshape(image.shape))


def test_reflections_see_the_same_dislocation():
    experiment = SMALL.model_copy(
        update={
            "reflection": None,
            "reflections": (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, -1))),
        }
    )
    one = table((1, 1, 1), (0, 1, -1), 60.0)
    expected = simulate(experiment.model_copy(update={"defects": (one,)})).images.values
    renderer = Renderer(experiment)
    image = renderer.image(renderer.lines_of((1, 1, 1), (0, 1, -1), 60.0))
    np.testing.assert_array_equal(image, expected.reshape(image.shape))
    assert [c.reflection for c in renderer.conditions] == [0, 0, 1, 1]


def test_windows_are_parts_of_larger_images():
    base = SMALL.with_settings(["reflections=[{hkl=[-1, 1, -1]}, {hkl=[1, 1, -1]}]"])
    large = Renderer(base.with_settings(["camera.pixels=[34, 44]"]))
    lines = large.lines_of((1, 1, 1), (0, 1, -1), 60.0, (0.2, 0.1, 0.05))
    whole = large.image(lines)
    # Middles of windows of 24 x 30 pixels whose corners are (3, 9) and (7, 2).
    some = Renderer(base).chosen([3, 0], {0: (-2, 2), 1: (2, -5)})
    assert [c.reflection for c in some.conditions] == [1, 0]
    image = some.image(lines)
    np.testing.assert_allclose(image[1], whole[0, 3:27, 9:39], atol=2e-6)
    np.testing.assert_allclose(image[0], whole[3, 7:31, 2:32], atol=2e-6)
    np.testing.assert_array_equal(some.perfect(), large.perfect()[[3, 0]])


def test_conditions_are_those_of_the_frames():
    renderer = Renderer(SMALL.with_settings(["scan.z.values_um=[0, 1]"]))
    found = [(c.reflection, 1e3 * c.phi, c.chi, c.two_theta, c.z) for c in renderer.conditions]
    expected = [(0, phi, 0.0, 0.0, z) for z in (0.0, 1.0) for phi in (-0.14, 0.16)]
    np.testing.assert_allclose(found, expected)


def test_images_come_in_order_for_any_number_of_workers():
    lines = [Renderer(SMALL).lines_of((1, 1, 1), (1, 0, -1), 10.0 * k) for k in range(9)]
    alone = list(Renderer(SMALL, 1).images(lines))
    together = list(Renderer(SMALL, 3).images(iter(lines)))
    np.testing.assert_array_equal(np.stack(alone), np.stack(together))
    assert len({image.tobytes() for image in alone}) == 9


@pytest.mark.parametrize("turn", [0, 90, 180])
def test_a_shift_by_pixel_steps_shifts_the_image(turn):
    settings = ["camera.binning=2", f"camera.rotation_deg={turn}", "camera.depth_samples=40"]
    renderer = Renderer(SMALL.with_settings(settings))
    row, column = renderer.pixel_steps()
    here = renderer.image(renderer.lines_of((1, 1, 1), (1, 0, -1), 20.0))
    there = renderer.image(renderer.lines_of((1, 1, 1), (1, 0, -1), 20.0, 2 * row - 3 * column))
    np.testing.assert_allclose(there[:, 2:, :-3], here[:, :-2, 3:], rtol=1e-5, atol=1e-6)
    assert np.abs(there - here).max() > 0.01


def test_the_perfect_crystal_is_an_image_without_lines():
    experiment = SMALL.model_copy(update={"defects": ()})
    frames = simulate(experiment).images.values
    np.testing.assert_allclose(Renderer(SMALL).perfect(), frames[:, 3, 4], rtol=1e-5)


def test_up_is_across_the_sheet():
    renderer = Renderer(SMALL)
    row, column = renderer.pixel_steps()
    normal = np.cross(row, column)
    assert abs(renderer.up @ normal) == pytest.approx(np.linalg.norm(normal))


SMALLER = {
    "averages": ["camera.pixels=[24, 30]", "camera.pixel_nm=80", "scan.phi.value_mrad=0.14"],
    "points": ["camera.pixels=[40, 48]", "camera.pixel_nm=40", "camera.oversampling=point"],
}


@pytest.mark.parametrize("which", SMALLER)
def test_less_precise_images_differ_by_less_than_noise(which):
    experiment = Experiment().with_settings(["scan.phi.values_mrad=[-0.14, 0.16]"])
    experiment = experiment.with_settings(SMALLER[which])
    fine, rough = Renderer(experiment, 1), Renderer(experiment, 1, precise=False)
    samples = [len(r.setups[0].grids[-1].depths) for r in (fine, rough)]
    if which == "points":
        assert samples[0] == 4 * samples[1]
        most, rms = 0.015, 1e-3
    else:
        assert [r.setups[0].averaging.accuracy for r in (fine, rough)] == [0.005, 0.02]
        most, rms = 0.1, 0.02
    for character in (0.0, 60.0):
        lines = fine.lines_of((1, 1, 1), (1, 0, -1), character, (0.1, -0.05, 0.0))
        image = fine.image(lines)
        difference = image - rough.image(lines)
        assert 0.0 < np.abs(difference).max() < most
        assert difference.std() < rms * (1.0 if which == "points" else np.sqrt((image**2).mean()))


def test_images_off_by_offsets_are_those_of_moved_motors():
    experiment = Experiment().with_settings(
        [
            "camera.pixels=[12, 16]",
            "camera.psf_px=0.7",
            "scan.phi.values_mrad=[-0.15, 0.15]",
            "camera.oversampling=point",
        ]
    )
    moved = experiment.with_settings(
        ["scan.phi.values_mrad=[-0.13, 0.17]", "scan.chi.value_mrad=0.1"]
    )
    still, other = Renderer(experiment, 1), Renderer(moved, 1)
    lines = still.lines_of((1, 1, 1), (1, 0, -1), 20.0)
    vectors = still.setups[0].geometry.motor_vectors
    rock = np.array([0.0, 20e-6])[:, None] * vectors[0]
    roll = np.array([0.0, 100e-6])[:, None] * vectors[1]
    images = still.offset_images(lines, {0: (rock, roll)})
    np.testing.assert_array_equal(images[0, 0], still.image(lines))
    np.testing.assert_allclose(images[1, 1], other.image(lines), rtol=1e-3, atol=1e-5)
    one = still.chosen([1], {0: (1.0, -2.0)})
    np.testing.assert_array_equal(
        one.offset_images(lines, {0: (rock, roll)})[0, 0], one.image(lines)
    )

"""What is averaged over pixels and the beam, and what is given and taken as it is."""

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.imaging.direct import direct_images, q_of_rays, shifted_images


def setup_of(*settings):
    return assemble(
        Experiment().with_settings(
            [
                "defects[0].line=[2, -1, -1]",
                "defects[0].position_um=[0.03, -0.02, 0.01]",
                "camera.pixels=[8, 7]",
                "camera.pixel_nm=75.0",
                "scan.phi.value_mrad=0.15",
                *settings,
            ]
        )
    )


def image_of(*settings):
    setup = setup_of(*settings)
    engine = setup.engine(0.0, 1)
    return engine.images(*setup.shifts())[0, 0], engine


def difference(image, truth):
    return float(np.linalg.norm(image - truth) / np.linalg.norm(truth))


def plain(setup):
    """The direct sum over the points that a setup gives."""
    q = q_of_rays(setup.field_at(), setup.geometry, setup.grids[-1])
    settings = [[0.15e-3, 0.0, 0.0]]
    return direct_images(q, setup.grids[-1], setup.geometry, setup.acceptance, settings)[0]


def test_an_integer_is_a_number_of_sub_pixels():
    settings = ["camera.oversampling=3", "camera.depth_samples=300"]
    setup = setup_of(*settings)
    assert setup.averaging is None
    assert (setup.grids[-1].oversampling, len(setup.grids[-1].depths)) == (3, 300)
    image, engine = image_of(*settings)
    expected = plain(setup)
    np.testing.assert_allclose(image, expected, atol=2e-5 * expected.max())
    assert np.isnan(engine.reached)
    # Depths are still chosen where they are not given.
    image, engine = image_of("camera.oversampling=3")
    assert difference(image, expected) < 0.005
    assert engine.rays < 0.8 * image.size * 9 * 300


def test_one_sub_pixel_and_a_point_are_the_same():
    one, point = (image_of(f"camera.oversampling={n}")[0] for n in (1, "point"))
    np.testing.assert_array_equal(one, point)
    assert difference(point, image_of()[0]) > 0.01


def test_given_depths_are_taken_and_pixels_averaged():
    image, engine = image_of("camera.depth_samples=40")
    heights = np.unique(np.round(setup_of("camera.depth_samples=40").grids[0].depths, 12))
    up = setup_of().geometry.lab_from_sample[2]
    points, _ = engine.sampling.of_pixel(25)
    assert len(np.unique(np.round(points @ up, 9))) == len(heights) == 40
    many, _ = image_of("camera.depth_samples=40", "camera.oversampling=20")
    point, _ = image_of("camera.depth_samples=40", "camera.oversampling=point")
    assert difference(image, many) < 0.005 < difference(point, many)


@pytest.mark.parametrize("profile", ["box", "gaussian"])
def test_every_profile_is_averaged(profile):
    settings = ["beam.height_fwhm_um=0.3", f"beam.profile={profile}"]
    truth, _ = image_of(*settings, "camera.oversampling=14", "camera.depth_samples=150")
    assert difference(image_of(*settings)[0], truth) < 0.005


def test_a_scan_is_accurate_in_the_mean_of_its_frames():
    settings = ["scan.phi={half_range_mrad=0.2, steps=9}"]
    setup = setup_of(*settings)
    frames = setup.engine(0.0, 1).images(*setup.shifts())[0]
    fine = setup_of(*settings, "camera.oversampling=14", "camera.depth_samples=100")
    truth = fine.engine(0.0, 1).images(*setup.shifts())[0]
    # Relative to each frame, or to a tenth of the brightest.
    norms = np.linalg.norm(truth, axis=(1, 2))
    off = np.linalg.norm(frames - truth, axis=(1, 2)) / np.maximum(norms, 0.1 * norms.max())
    assert np.sqrt(np.mean(np.square(off))) < 0.005


def test_samples_follow_the_beam_and_not_the_number_of_pixels():
    few, many = setup_of(), setup_of("camera.pixels=[3, 201]")
    assert few.grids[0].depths.size == many.grids[0].depths.size
    high = setup_of("beam.height_fwhm_um=1.2").grids[0].depths
    assert np.diff(high).max() <= 0.2


def test_a_given_number_of_samples_is_taken():
    setup = setup_of("camera.depth_samples=33")
    assert len(setup.grids[-1].depths) == 33


def test_oblique_images_are_averaged():
    experiment = Experiment(preset="id06-oblique").with_settings(
        [
            "defects=[{plane=[1,1,1], burgers=[1,0,-1], character_deg=40, "
            "position_um=[0.03,-0.02,0.01]}]",
            "camera.pixels=[8, 10]",
            "camera.pixel_nm=110.0",
            "scan.phi={value_mrad=0.12}",
            "scan.chi={value_mrad=0.0}",
        ]
    )
    setup = assemble(experiment)
    engine = setup.engine(0.0, 1)
    image = engine.images(*setup.shifts())[0, 0]

    def direct(*settings):
        fine = assemble(experiment.with_settings(list(settings)))
        q = q_of_rays(fine.field_at(), fine.geometry, fine.grids[-1])
        shift = np.add(*fine.shifts())
        return shifted_images(q, fine.grids[-1], fine.acceptance, shift)[0]

    truth = direct("camera.oversampling=14", "camera.depth_samples=80")
    point = direct("camera.oversampling=1", "camera.depth_samples=400")
    assert difference(image, truth) < 0.005 < difference(point, truth)
    assert engine.reached < 0.005


def test_an_image_far_from_the_scan_is_as_accurate():
    setup = setup_of("scan.phi.value_mrad=0.0")
    engine, others = setup.engine(0.0, 1), setup_of()
    engine.images(*setup.shifts())
    np.testing.assert_array_equal(engine.images(*others.shifts())[0, 0], image_of()[0])

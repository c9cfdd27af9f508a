"""What varies from image to image of a training set, against the same values typed in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import weakbeam as wb
from weakbeam.assemble import assemble, assemble_all
from weakbeam.defects.field import Superposition
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError
from weakbeam.experiment.vary import INSTRUMENT, OFFSETS, Vary
from weakbeam.identify.library.training import plan_training
from weakbeam.identify.library.twins import classes_of
from weakbeam.identify.library.variation import labels_of, unit_of

BASE = [
    "camera.pixels=[18, 26]",
    "camera.oversampling=point",
    "camera.model=pco_edge",
    "scan.phi.value_mrad=0.15",
    "identify.mode=multi",
    "identify.images=6",
    "identify.noise=false",
    "identify.character_step_deg=30",
    "identify.half_depth_um=0.1",
]
RANGES = {
    "phi_mrad": (-0.05, 0.05),
    "chi_mrad": (-0.3, 0.3),
    "two_theta_mrad": (-0.2, 0.2),
    "height_fwhm_um": (0.1, 0.5),
    "bandwidth_rms": (4e-5, 1.2e-4),
    "divergence_vertical_fwhm_mrad": (0.3, 0.8),
    "divergence_vertical_clip_mrad": (0.08, 0.2),
    "divergence_horizontal_fwhm_mrad": (0.1, 0.5),
    "acceptance_fwhm_mrad": (0.4, 1.0),
    "aperture_mrad": (0.1, 0.3),
    "pixel_nm": (30.0, 60.0),
    "psf_px": (0.5, 1.5),
    "phi_blur_mrad": (0.05, 0.2),
    "brightness": (0.5, 2.0),
    "illumination_slope": (-0.5, 0.5),
    "background_adu": (10.0, 50.0),
    "background_slope_adu": (-8.0, 8.0),
    "tilt_gradient_mrad_per_um": (-0.1, 0.1),
    "drift_um": (-0.4, 0.4),
}


def ranges_text(keys):
    return [f"identify.vary.{key}={list(RANGES[key])}" for key in keys]


def experiment_with(*keys, settings=()):
    settings = [*settings, *ranges_text(keys)]
    if "background_slope_adu" in keys and "background_adu" not in keys:
        settings.append("identify.vary.background_adu=[10, 10]")
    if "drift_um" in keys:
        settings.append("scan.phi.values_mrad=[0.1, 0.15, 0.2]")
    if "phi_blur_mrad" in keys:
        # A coarse spline takes less time.
        settings.append("beam.bandwidth_rms=4e-4")
    return wb.Experiment().with_settings(BASE).with_settings(settings)


def typed_in(experiment, labels, plan, moved=0.0):
    """The experiment that a user would write for an image, from what its labels say."""
    scan = {}
    for key in OFFSETS:
        if key in labels.values:
            motor, _, unit = key.rpartition("_")
            axis = getattr(experiment.scan, motor)
            scan[motor] = {f"value_{unit}": axis.positions[0] + float(labels.values[key])}
    changes = {"scan": scan} if scan else {}
    for key, table in INSTRUMENT.items():
        if key in labels.values:
            changes.setdefault(table, {})[key] = float(labels.values[key])
    defects = []
    for number, position in zip(labels.drawn.types, labels.drawn.positions_um, strict=True):
        kind = plan.candidates.types[number]
        place = tuple((position + moved).tolist())
        defects.append(
            {
                "plane": kind.plane,
                "burgers": kind.burgers,
                "character_deg": kind.character_deg,
                "position_um": place,
            }
        )
    ideal = {"camera": {**changes.pop("camera", {}), "model": "ideal"}}
    return experiment.replace(**changes, **ideal, identify=None, defects=defects)


class Bent:
    """A lattice that is turned from place to place, by scipy's rotations."""

    def __init__(self, slopes, turn=None):
        self.turn = np.eye(3) if turn is None else turn
        self.slopes = np.zeros((3, 3))
        self.slopes[:2, :2] = slopes

    def add_to(self, gradient, points):
        omega = (self.turn @ self.slopes @ self.turn.T @ points).T
        gradient += (Rotation.from_rotvec(omega).as_matrix() - np.eye(3)).reshape(-1, 9).T


def expected(experiment, labels, plan):
    """Images before noise, of `weakbeam forward` and plain arithmetic."""
    values = labels.values
    if "drift_um" in values:
        lab_from_sample = assemble(experiment).geometry.lab_from_sample
        way = lab_from_sample.T @ np.array([*values["drift_um"], 0.0])
        images = np.stack(
            [
                wb.simulate(typed_in(experiment, labels, plan, share * way)).images.values[k]
                for k, share in enumerate((0.0, 0.5, 1.0))
            ]
        )
    elif "tilt_gradient_mrad_per_um" in values:
        (setup,) = assemble_all(typed_in(experiment, labels, plan))
        field = Superposition(
            [setup.field_at(0.0), Bent(1e-3 * values["tilt_gradient_mrad_per_um"])]
        )
        (layer,) = setup.scans[0].layers(setup.geometry)
        engine = setup.engine(0.0, 1, perfect=True).with_field(field)
        images = engine.images(layer.rock_shifts, layer.roll_shifts)[0]
    else:
        images = wb.simulate(typed_in(experiment, labels, plan)).images.values[None]
    rows, columns = images.shape[1:]
    if "illumination_slope" in values:
        images = images * (
            1 + values["illumination_slope"] * np.linspace(-1, 1, columns) / 2 * (1 - 1 / columns)
        )
    if "brightness" in values:
        images = images * values["brightness"]
    if "background_adu" in values:
        images = images + values["background_adu"] / 1000.0
    if "background_slope_adu" in values:
        down, along = values["background_slope_adu"]
        edge = 0.5 - 0.5 / np.array([rows, columns])
        images = images + down / 1000.0 * np.linspace(-edge[0], edge[0], rows)[:, None]
        images = images + along / 1000.0 * np.linspace(-edge[1], edge[1], columns)
    return images


def before_noise(plan, number):
    scene, labels = plan.scene(number), plan.labels(number, np.full(2, np.nan))
    lines = plan.candidates.lines(labels.drawn.types.tolist(), labels.drawn.positions_um)
    return scene.with_background(scene.image(lines)), labels


def test_every_key_is_compared():
    assert list(RANGES) == list(Vary.model_fields)


@pytest.mark.parametrize("key", RANGES)
def test_equals_the_values_typed_in(key):
    experiment = experiment_with(key)
    plan = plan_training(experiment, 1)
    images, labels = before_noise(plan, 3)
    wanted = expected(experiment, labels, plan)
    assert images.max() > 0.02
    np.testing.assert_allclose(images, wanted, rtol=0, atol=1e-6 * wanted.max())
    # And the value matters.
    (low, high), value = RANGES[key], labels.values[key]
    assert (value >= low).all()
    assert (value <= high).all()
    plain = plan_training(experiment.replace(identify={"vary": None}), 1)
    others, _ = before_noise(plain, 3)
    assert np.abs(images - others).max() > 1e-4 * wanted.max()


def test_all_together_and_labels_of_the_stored_sample():
    keys = [key for key in RANGES if key not in ("drift_um", "phi_blur_mrad")]
    experiment = experiment_with(*keys, settings=["beam.height_fwhm_um=0.3"])
    plan = plan_training(experiment, 1)
    images, labels = before_noise(plan, 1)
    sample = plan.make(1)
    np.testing.assert_allclose(sample.frames, images, rtol=2e-5)
    assert list(sample.labels.values) == keys
    for key, value in labels.values.items():
        np.testing.assert_array_equal(sample.labels.values[key], value)
    names = labels_of(labels.values)
    assert len(names) == len(keys) + 1 + 3
    assert (
        names["tilt_gradient_mrad_per_um[1][0]"] == labels.values["tilt_gradient_mrad_per_um"][1, 0]
    )
    assert unit_of("tilt_gradient_mrad_per_um") == "mrad/um"
    assert unit_of("bandwidth_rms") == ""
    # A label of an image alone: the light that a dislocation adds is that of the image.
    scene = plan.scene(1)
    alone = plan.candidates.lines(labels.drawn.types[:1].tolist(), labels.drawn.positions_um[:1])
    added = scene.image(alone) - scene.image(StraightLines.of([]))
    # With the samples of both lines, and as accurate as noise allows.
    off = np.linalg.norm(sample.contributions[:, 0] - added)
    assert off < 0.02 * np.linalg.norm(scene.image(alone))


def test_a_bent_crystal_is_a_turned_one_at_each_place():
    # With a thin beam a pixel sees one place, where the lattice is turned by a known angle.
    settings = ["beam.height_fwhm_um=0.001", "identify.vary.tilt_gradient_mrad_per_um=[0.05, 0.05]"]
    experiment = experiment_with(settings=settings)
    plan = plan_training(experiment, 1)
    scene = plan.scene(0)
    bent = scene.image(StraightLines.of([]))[0]
    for row, column in ((2, 3), (15, 20), (9, 25)):
        x, y, _ = scene.views[0].point([row, column])
        # The four gradients are equal: both components of the rotation are the same number.
        angle = 0.05 * (x + y)
        turned = experiment.replace(
            identify=None,
            camera={"model": "ideal"},
            defects=[{"kind": "uniform", "rotation_mrad": (angle, angle, 0.0)}],
        )
        image = wb.simulate(turned).images.values
        assert abs(bent[row, column] - image[row, column]) < 2e-3 * image.max()
        assert np.ptp(bent) > 0.1 * image.max()


def test_a_bent_crystal_in_a_second_reflection():
    settings = [
        "reflections=[{hkl=[-1,1,-1]}, {hkl=[1,1,-1]}]",
        "identify.vary.tilt_gradient_mrad_per_um=[-0.1, 0.1]",
    ]
    experiment = experiment_with(settings=settings)
    plan = plan_training(experiment, 1)
    images, labels = before_noise(plan, 2)
    first, second = assemble_all(typed_in(experiment, labels, plan))
    turn = second.sample_from_crystal @ first.sample_from_crystal.T
    bent = Bent(1e-3 * labels.values["tilt_gradient_mrad_per_um"], turn)
    (layer,) = second.scans[0].layers(second.geometry)
    engine = second.engine(0.0, 1, perfect=True)
    engine = engine.with_field(Superposition([second.field_at(0.0), bent]))
    wanted = engine.images(layer.rock_shifts, layer.roll_shifts)[0, 0]
    np.testing.assert_allclose(images[1], wanted, rtol=0, atol=1e-6 * wanted.max())


def test_scans_of_any_form_are_moved():
    forms = {
        "value_mrad=0.1": [0.1],
        "values_mrad=[0.0, 0.1]": [0.0, 0.1],
        "half_range_mrad=0.1\nscan.phi.steps=3": [-0.1, 0.0, 0.1],
        "half_range_mrad=0.1\nscan.phi.steps=2\nscan.phi.center_mrad=0.2": [0.1, 0.3],
    }
    for form, positions in forms.items():
        settings = [f"scan.phi.{part.removeprefix('scan.phi.')}" for part in form.split("\n")]
        plan = plan_training(experiment_with("phi_mrad", settings=settings), 1)
        scene = plan.scene(4)
        offset = float(scene.values["phi_mrad"])
        found = [1e3 * condition.phi for condition in scene.renderer.conditions]
        np.testing.assert_allclose(found, np.array(positions) + offset, atol=1e-12)


def test_lines_are_drawn_at_the_same_pixels_whatever_varies():
    flat = ["identify.half_depth_um=0"]
    plain = plan_training(experiment_with(settings=flat), 1)
    varied = plan_training(experiment_with("pixel_nm", "chi_mrad", settings=flat), 1)
    for number in range(4):
        one, other = plain.scene(number), varied.scene(number)
        first, second = plain.draw(number), varied.draw(number)
        np.testing.assert_array_equal(first.types, second.types)
        np.testing.assert_allclose(
            one.views[0].pixel(first.positions_um),
            other.views[0].pixel(second.positions_um),
            atol=1e-9,
        )
        assert np.abs(first.positions_um - second.positions_um).max() > 1e-3


def test_values_depend_on_seed_number_and_their_own_range_alone():
    one = plan_training(experiment_with("phi_mrad"), 1).variation
    more = plan_training(experiment_with("phi_mrad", "height_fwhm_um", "chi_mrad"), 1).variation
    drawn = [float(one.draw(number)["phi_mrad"]) for number in range(500)]
    assert drawn == [float(more.draw(number)["phi_mrad"]) for number in range(500)]
    assert abs(np.mean(drawn)) < 0.005
    assert np.std(drawn) == pytest.approx(0.1 / np.sqrt(12), rel=0.1)
    chi = [float(more.draw(number)["chi_mrad"]) for number in range(500)]
    assert abs(np.corrcoef(drawn, chi)[0, 1]) < 0.15
    seeded = plan_training(experiment_with("phi_mrad", settings=["identify.seed=1"]), 1).variation
    assert float(seeded.draw(0)["phi_mrad"]) != drawn[0]


def test_traces_follow_a_drift():
    plan = plan_training(
        experiment_with(
            settings=["scan.phi.values_mrad=[0.1, 0.2]", "identify.vary.drift_um=[0.2, 0.2]"]
        ),
        1,
    )
    labels = plan.labels(0, np.full(2, np.nan))
    lines = plan.candidates.lines(labels.drawn.types.tolist(), labels.drawn.positions_um)
    view = plan.scene(0).views[0]
    moved = lines.positions + plan.scene(0).renderer.ways([0.2, 0.2])[1]
    for n, (place, along) in enumerate(zip(moved, lines.lines, strict=True)):
        np.testing.assert_array_equal(labels.ends[1, n], view.trace(place, along).ravel())
    # 5 pixels of 40 nm across; along the beam as the camera foreshortens.
    across = labels.piercing[1, :, 1] - labels.piercing[0, :, 1]
    np.testing.assert_allclose(across[np.isfinite(across)], 5.0, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["vary={energy_keV=[17, 18]}"], r"vary.energy_keV.*: cannot vary in a training set; phi_"),
        (["vary={psf_pixel=[1, 2]}"], "did you mean identify.vary.psf_px"),
        (["vary.phi_mrad=[0.1, -0.1]"], "two numbers, the lower one first"),
        (["vary.psf_px=[0.01, 1]"], r"identify.vary.psf_px = 0.01: must be a number from 0.1"),
        (["vary.height_fwhm_um=[-1, 1]"], r"identify.vary.height_fwhm_um = -1.0: must be a number"),
        (["vary.drift_um=[0, 1]"], "needs a scan of two or more frames"),
        (["vary.background_slope_adu=[-5, 5]"], "at most the least of background_adu, 0"),
        (
            ["vary.background_slope_adu=[-5, 5]", "vary.background_adu=[2, 9]"],
            "at most the least of background_adu, 2",
        ),
        (["vary.background_adu=[0, 5]", "!camera.model=ideal"], "needs a camera that counts"),
        (
            ["vary.bandwidth_rms=[5e-5, 6e-5]", "!beam.spectrum=[{rms=5e-5}]"],
            "beam.spectrum is given",
        ),
        (
            [
                "vary.height_fwhm_um=[0.1, 0.2]",
                '!beam.profile="tabulated"',
                "!beam.profile_um=[0, 1]",
                "!beam.profile_intensity=[1, 1]",
            ],
            "has no meaning with beam.profile",
        ),
        (
            ["vary.two_theta_mrad=[0, 1]", "!scan.strain={half_range_mrad=0.1, steps=3}"],
            "moves in a strain scan",
        ),
        (
            [
                "vary.aperture_mrad=[0.5, 1]",
                '!acceptance.method="ray-trace"',
                "!acceptance.rays=1e5",
            ],
            "needs acceptance.method",
        ),
        (
            [
                "vary.phi_blur_mrad=[0.1, 0.2]",
                "!scan.continuous=true",
                "!scan.phi={half_range_mrad=0.1, steps=3}",
            ],
            r"vary.phi_blur_mrad = 0.1: scan.continuous moves the motor already",
        ),
        (["vary.z_um=[0, 1]"], "lines are drawn about the beam's centre: give half_depth_um"),
        (["vary.brightness=[0, 1]"], "two numbers from 1e-06"),
        (["!identify.mode=single", "vary.phi_mrad=[0, 1]"], 'identify.vary: needs mode = "multi"'),
    ],
)
def test_mistakes_are_told_in_one_line(settings, message):
    settings = [s[1:] if s.startswith("!") else f"identify.{s}" for s in settings]
    with pytest.raises(InputError, match=message) as told:
        plan_training(wb.Experiment().with_settings(BASE[:5]).with_settings(settings), 1)
    assert "\n" not in str(told.value)


class TestClasses:
    def test_screws_of_two_planes_are_one(self):
        plan = plan_training(experiment_with(), 1)
        types, classes = plan.candidates.types, classes_of(plan.candidates, plan.variation)
        visible = set(plan.candidates.visible.tolist())
        for kind in types:
            assert (classes[kind.number] >= 0) == (kind.number in visible)
            for other in kind.same_as:
                assert classes[other] == classes[kind.number]
        assert sorted(set(classes[[*visible]])) == list(range(classes.max() + 1))
        assert classes.max() + 1 < len(visible)

    def test_what_looks_alike_on_the_peak_is_told_apart_where_the_motors_vary(self):
        at_peak = ["scan.phi.value_mrad=0"]
        fixed = plan_training(experiment_with(settings=at_peak), 1)
        varied = plan_training(experiment_with("chi_mrad", settings=at_peak), 1)
        few, many = (classes_of(p.candidates, p.variation).max() for p in (fixed, varied))
        assert few < many

    def test_noise_of_averages_tells_nothing_apart(self):
        """Edges that are each other's half turn look the same at the peak, however sampled."""
        at_peak = ["scan.phi.value_mrad=0", "identify.characters_deg=[90, 270]"]
        averaged, points = (
            plan_training(experiment_with(settings=[*at_peak, *way]), 1)
            for way in (["camera.oversampling=auto"], ["camera.oversampling=point"])
        )
        few, many = (classes_of(p.candidates, p.variation) for p in (points, averaged))
        np.testing.assert_array_equal(few, many)

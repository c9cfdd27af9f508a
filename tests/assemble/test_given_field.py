"""Deformations that a program gives: objects with add_to, and functions of places."""

import h5py
import numpy as np
import pytest
from field_files import rotation

from weakbeam.assemble import assemble, assemble_all
from weakbeam.assemble.given import with_field
from weakbeam.defects.field import UniformGradient, evaluate
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, Reflection, Uniform
from weakbeam.io.reading import read_frames
from weakbeam.run.record import record
from weakbeam.run.simulate import center_of_mass, q_field, simulate

SETTINGS = ["camera.pixels=[8, 12]", "camera.pixel_nm=100", "beam.height_fwhm_um=0.4"]
PERFECT = Experiment(defects=()).with_settings([*SETTINGS, "scan.phi.value_mrad=0.1"])
EDGE = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
SOME = np.random.default_rng(1).uniform(-2, 2, (50, 3))
SLOPE = 5e-5 * np.random.default_rng(2).normal(size=(3, 3, 3))


def bent(points):
    return np.einsum("ijk,nk->nij", SLOPE, points)


class Bent:
    def add_to(self, gradient, points):
        gradient += np.einsum("ijk,kn->ijn", SLOPE, points).reshape(9, -1)


@pytest.mark.parametrize("field", [bent, Bent()])
def test_it_adds_to_the_defects(field):
    with_edge = PERFECT.model_copy(update={"defects": (EDGE,)})
    (setup,) = with_field(assemble_all(with_edge), field)
    expected = evaluate(assemble(with_edge).field_at(), SOME) + bent(SOME)
    np.testing.assert_allclose(evaluate(setup.field_at(), SOME), expected, rtol=0, atol=1e-18)
    assert setup.defects.count == 2


@pytest.mark.parametrize("field", [bent, Bent()])
def test_in_the_axes_of_the_crystal_it_turns_with_it(field):
    mounts = (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))
    setups = with_field(
        assemble_all(PERFECT.model_copy(update={"reflections": mounts, "reflection": None})),
        field,
        "crystal",
    )
    for setup in setups:
        turn = setup.sample_from_crystal
        expected = turn @ bent(SOME @ turn) @ turn.T
        np.testing.assert_allclose(evaluate(setup.field_at(), SOME), expected, rtol=0, atol=1e-18)


def test_its_image_is_that_of_the_same_deformation_in_the_experiment():
    beta = rotation([0, 1, 0], 5e-5) - np.eye(3)
    turned = PERFECT.model_copy(update={"defects": (Uniform(rotation_mrad=(0.0, 0.05, 0.0)),)})
    expected = simulate(turned).images.values
    for field in (UniformGradient(beta), lambda points: np.tile(beta, (len(points), 1, 1))):
        np.testing.assert_allclose(simulate(PERFECT, field=field).images.values, expected)
    np.testing.assert_allclose(
        q_field(PERFECT, field=UniformGradient(beta)).values, q_field(turned).values, atol=1e-15
    )
    assert np.abs(simulate(PERFECT).images.values - expected).max() > 0.01


def test_a_run_with_it_is_recorded_and_mapped(tmp_path):
    scan = Experiment(defects=()).with_settings(
        [*SETTINGS, "scan.phi.half_range_mrad=0.4", "scan.phi.steps=9", "output.figures=false"]
    )
    run = simulate(scan, field=bent)
    assert np.ptp(center_of_mass(run).phi) > 1e-5
    assert "image" in run.plot()
    run.save(tmp_path / "saved")
    written = record(scan, tmp_path / "recorded", field=bent)
    frames = []
    for file in (tmp_path / "saved/weakbeam.h5", written.file):
        frames.append(read_frames(file))
        with h5py.File(file) as opened:
            table = opened["1.1/sample/defects"]
            assert (table["kind"][0], table["field"][0]) == (b"field", b"bent")
            np.testing.assert_array_equal(table["sample_from_field"][0], np.eye(3))
    np.testing.assert_array_equal(frames[0], run.images.values)
    np.testing.assert_array_equal(frames[1], run.images.values)
    # Without the field it is another experiment.
    with pytest.raises(InputError, match="another experiment"):
        record(scan, tmp_path / "recorded", resume=True)


@pytest.mark.parametrize(
    ("field", "match"),
    [
        (lambda points: np.zeros((3, 3)), r"must give β of shape \(\d+, 3, 3\) at points"),
        (lambda points: np.full((len(points), 3, 3), np.nan), "gives no finite β"),
        (lambda points: "β", "must give an array of numbers"),
        (3.0, r"must have add_to\(gradient, points\)"),
    ],
)
def test_what_is_no_field_is_refused_in_one_line(field, match):
    with pytest.raises(InputError, match=match) as raised:
        simulate(PERFECT, field=field)
    assert raised.value.key == "field"
    assert "\n" not in str(raised.value)


def test_other_axes_and_resuming_are_refused(tmp_path):
    with pytest.raises(InputError, match='"sample" or "crystal"'):
        simulate(PERFECT, field=bent, field_axes="lab")
    with pytest.raises(InputError, match="nothing tells whether it is the same"):
        record(PERFECT, tmp_path, field=bent, resume=True)


def test_places_that_are_nan_are_dark():
    def half(points):
        beta = np.zeros((len(points), 3, 3))
        beta[points[:, 1] > 0.0] = np.nan
        return beta

    image = simulate(PERFECT, field=half).images.values
    perfect = simulate(PERFECT).images.values
    np.testing.assert_allclose(image[:, :6], perfect[:, :6])
    assert not image[:, 6:].any()

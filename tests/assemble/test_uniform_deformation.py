"""Uniform deformations, against motors and Bragg's law, which know nothing of their signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all
from weakbeam.defects.field import evaluate
from weakbeam.defects.uniform import uniform_gradient
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, StoredDislocations, Uniform
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.record import record

EDGE = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
SMALL = ["camera.pixels=[12, 16]", "camera.pixel_nm=200", "beam.height_fwhm_um=0.6"]
# Points of both are the same, unlike the samples that are chosen for an average.
SMALL += ["camera.oversampling=point"]


def experiment(*defects, settings=(), **keys):
    return Experiment(defects=defects, **keys).with_settings([*SMALL, *settings])


def images(*defects, settings=()):
    return np.asarray(simulate(experiment(*defects, settings=settings)).images.values, float)


@pytest.mark.parametrize(
    ("axis", "motor", "size", "sign"), [("y", "phi", 0.05, 1), ("x", "chi", 0.4, -1)]
)
@pytest.mark.parametrize("defects", [(), (EDGE,)])
def test_a_rotation_is_a_turn_of_the_sample(axis, motor, size, sign, defects):
    # φ is right-handed about y of the sample, χ left-handed about x (physics, A3).
    turned = Uniform(rotation_mrad=tuple(size * (name == axis) for name in "xyz"))
    still = "scan.phi.value_mrad=0.08" if motor == "chi" else "scan.chi.value_mrad=0.3"
    crystal, sample, away = (
        images(*those, *defects, settings=[f"scan.{motor}.value_mrad={2.0 * size + by}", still])
        for those, by in (((turned,), 0.0), ((), sign * size), ((), -sign * size))
    )
    # To the square of the rotation, by which motors are taken as linear; 5e-5 of the field of a
    # dislocation, which does not turn along.
    np.testing.assert_allclose(crystal, sample, rtol=0, atol=2e-3 * sample.max())
    assert np.abs(crystal - away).max() > 0.1 * sample.max()


def test_a_rotation_about_the_normal_of_the_planes_changes_nothing():
    settings = ["scan.phi.value_mrad=0.1"]
    turned = images(Uniform(rotation_mrad=(0.0, 0.0, 5.0)), settings=settings)
    np.testing.assert_allclose(turned, images(settings=settings), rtol=1e-5)


@pytest.mark.parametrize(
    "strain",
    [
        {"strain": ((1e-4, 0.0, 0.0), (0.0, 1e-4, 0.0), (0.0, 0.0, 1e-4))},
        {"strain_voigt": (1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0)},
        # Only the spacing of the planes counts, which face up.
        {"strain_voigt": (0.0, 0.0, 1e-4, 0.0, 0.0, 3e-4)},
    ],
)
def test_a_strain_shifts_the_peak_of_a_strain_scan(strain):
    positions = np.linspace(-0.3, 0.3, 7)
    theta = assemble(experiment()).geometry.theta
    # Bragg's law: d (1 + ε) diffracts at 2θ − 2 ε tan θ.
    shift = 1e3 * 2.0 * 1e-4 * math.tan(theta)
    strained, expected, opposite = (
        images(*defects, settings=[f"scan.strain.values_mrad={(positions + by).tolist()}"])
        for defects, by in (((Uniform(**strain),), 0.0), ((), shift), ((), -shift))
    )
    np.testing.assert_allclose(strained, expected, rtol=0, atol=2e-4 * expected.max())
    assert np.abs(strained - opposite).max() > 0.05 * expected.max()


def test_shears_are_half_of_what_voigt_says():
    six = Uniform(strain_voigt=(1e-4, 2e-4, 3e-4, 8e-4, 1e-3, 1.2e-3))
    np.testing.assert_array_equal(
        six.strain_rows, [[1e-4, 6e-4, 5e-4], [6e-4, 2e-4, 4e-4], [5e-4, 4e-4, 3e-4]]
    )


def test_it_is_given_in_the_axes_of_the_crystal():
    strain = ((0.0, 0.0, 0.0), (0.0, 2e-4, 0.0), (0.0, 0.0, 0.0))
    (setup,) = assemble_all(experiment(Uniform(strain=strain, axes="crystal")))
    b = setup.sample_from_crystal @ [0.0, 1.0, 0.0]
    found = evaluate(setup.field_at(), [[0.3, 0.1, 0.0]])[0]
    np.testing.assert_allclose(found, 2e-4 * np.outer(b, b), atol=1e-18)
    turned = Uniform(rotation_mrad=(0.0, 0.0, 1.0), axes="crystal")
    (setup,) = assemble_all(experiment(turned))
    axis = setup.sample_from_crystal @ [0.0, 0.0, 1.0]
    found = evaluate(setup.field_at(), [[0.3, 0.1, 0.0]])[0]
    np.testing.assert_allclose(found @ axis, 0.0, atol=1e-15)
    # Right-handed: v·(β v × axis) < 0 for any v across the axis.
    v = np.cross(axis, [1.0, 0.0, 0.0])
    assert np.cross(v, found @ v) @ axis == pytest.approx(1e-3 * (v @ v), rel=1e-6)


def test_large_rotations_keep_all_lengths_and_strains_turn_nothing():
    strain = np.array([[0.02, 0.003, 0.0], [0.003, -0.01, 0.004], [0.0, 0.004, 0.01]])
    f = np.eye(3) + uniform_gradient(strain, [0.05, -0.08, 0.02])
    np.testing.assert_allclose(f.T @ f, (np.eye(3) + strain) @ (np.eye(3) + strain), atol=1e-15)
    np.testing.assert_array_equal(uniform_gradient(strain, [0, 0, 0]), strain)
    small = uniform_gradient(np.zeros((3, 3)), [1e-12, 0, 0])
    np.testing.assert_allclose(small[2, 1], 1e-12, rtol=1e-12)


def test_it_goes_along_with_the_crystal_and_back_from_the_file(tmp_path):
    several = [{"hkl": (-1, 1, -1)}, {"hkl": (1, 1, 1)}]
    uniform = Uniform(strain_voigt=(1e-4, 0.0, 3e-4, 0.0, 0.0, 5e-5), rotation_mrad=(0.1, 0.0, 0.3))
    first, second = assemble_all(experiment(uniform, EDGE, reflections=several))
    turn = second.sample_from_crystal @ first.sample_from_crystal.T
    np.testing.assert_allclose(
        second.defects.placed[0].gradient,
        turn @ first.defects.placed[0].gradient @ turn.T,
        atol=1e-18,
    )
    for defects in ((uniform,), (uniform, EDGE)):
        folder = tmp_path / str(len(defects))
        result = record(experiment(*defects, settings=["output.figures=false"]), folder)
        stored = StoredDislocations(file=str(result.file))
        np.testing.assert_array_equal(images(stored), images(*defects))


def test_what_is_said_and_shown_of_it():
    uniform = Uniform(strain_voigt=(0.0, 0.0, -2e-4, 0.0, 0.0, 0.0), rotation_mrad=(0.1, 0.0, 0.0))
    setup = assemble(experiment(uniform, EDGE))
    assert defect_lines(setup.defects)[0] == (
        "defects[0]  uniform, strain -0.0002 at most, turned by 0.1 mrad"
    )
    assert defects_drawing(setup, 0.0) is None
    assert defects_drawing(assemble(experiment(uniform, EDGE, EDGE)), 0.0) is not None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "strain: missing; give strain or strain_voigt, rotation_mrad, or both"),
        ({"strain": ((0.0, 1e-4, 0.0), (0.0,) * 3, (0.0,) * 3)}, "must be symmetric"),
        ({"strain_voigt": (0.2, 0.0, 0.0, 0.0, 0.0, 0.0)}, "six numbers from -0.1 to 0.1"),
        ({"rotation_mrad": (0.0, 101.0, 0.0)}, "three numbers from -100 to 100"),
        (
            {"strain": ((0.0,) * 3,) * 3, "strain_voigt": (0.0,) * 6},
            "give either strain or strain_voigt",
        ),
    ],
)
def test_mistakes_are_told(keys, message):
    with pytest.raises(InputError, match=message):
        Uniform(**keys)

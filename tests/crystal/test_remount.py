"""Remounts: everything that is fixed to the crystal turns alike."""

import numpy as np
import pytest

from weakbeam.assemble.crystal import crystal_of
from weakbeam.assemble.defects import defects_of
from weakbeam.assemble.dislocations import dislocations_of
from weakbeam.assemble.placed import FieldOfView
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.materials import material
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.crystal.remount import carried, remounted, remounted_by, tilt
from weakbeam.defects.straight import displacement_gradient
from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.experiment import Experiment

AL = material("Al").cell
TRICLINIC = UnitCell(4.1, 5.3, 6.7, 81.0, 97.0, 103.0)
BEFORE = symmetric_orientation(AL, (-1, 1, -1), (1, 0, -1))
AFTER = symmetric_orientation(AL, (1, 1, 1), (1, -1, 0))


def test_new_planes_face_up_with_the_azimuth_that_was_asked_for():
    found = remounted(BEFORE, AL, (-1, 1, -1), (1, 1, 1), (1, -1, 0))
    np.testing.assert_allclose(found, AFTER)
    np.testing.assert_allclose(found[2], unit(AL.plane_normal((1, 1, 1))), atol=1e-15)


def test_planes_that_do_not_face_up_before_are_refused():
    with pytest.raises(ValueError, match=r"\(1 1 1\) leaves z of the sample by 109.5 deg"):
        remounted(BEFORE, AL, (1, 1, 1), (-1, 1, -1), (1, 0, -1))


def test_a_rotation_of_the_sample_tells_which_planes_then_face_up():
    after, hkl = remounted_by(AFTER @ BEFORE.T, BEFORE, AL)
    np.testing.assert_allclose(after, AFTER, atol=1e-14)
    assert hkl == (1, 1, 1)
    start = symmetric_orientation(TRICLINIC, (1, 0, 0), (0, 1, 0))
    for wanted in [(0, 0, 1), (2, -1, 3), (-5, 3, 1), (7, 9, -10)]:
        goal = symmetric_orientation(TRICLINIC, wanted, (1, 1, 1))
        _, hkl = remounted_by(goal @ start.T, start, TRICLINIC)
        assert hkl == wanted


@pytest.mark.parametrize(
    ("rotation", "words"),
    [
        (-np.eye(3), "must be a rotation"),
        (2 * np.eye(3), "must be a rotation"),
        (symmetric_orientation(AL, (13, 7, 3), (1, 0, 0)) @ BEFORE.T, "low indices up"),
    ],
)
def test_remounts_that_are_none_are_refused(rotation, words):
    with pytest.raises(ValueError, match=words):
        remounted_by(rotation, BEFORE, AL)


def test_tilt_is_the_angle_to_z():
    assert tilt(BEFORE, AL, (-1, 1, -1)) == pytest.approx(0.0, abs=1e-15)
    assert tilt(BEFORE, AL, (1, -1, 1)) == pytest.approx(np.pi)
    assert np.degrees(tilt(np.eye(3), AL, (0, 1, 1))) == pytest.approx(45.0)


def remounted_dislocations(experiment, crystal):
    """Those of the mount before, carried along as those of several reflections are."""
    view = FieldOfView(np.array([0.0, 0.0, 1.0]), 20.0)
    return defects_of(experiment, crystal, BEFORE, view).turned(AFTER @ BEFORE.T).dislocations


def test_places_of_the_crystal_stay_what_they_are():
    r = np.random.default_rng(1).normal(size=(4, 5, 3))
    there = carried(r, BEFORE, AFTER)
    np.testing.assert_allclose(there @ AFTER, r @ BEFORE, atol=1e-14)
    np.testing.assert_allclose(carried(there, AFTER, BEFORE), r, atol=1e-14)


def test_positions_distortion_and_diffraction_vector_turn_alike():
    """One defect, seen in two mounts: every q is that of the first turned by the remount."""
    e = Experiment().with_settings(
        ["defects[0].character_deg=40", "defects[0].position_um=[0.4, -1.2, 0.7]"]
    )
    crystal = crystal_of(e)
    (first,) = dislocations_of(e, crystal, BEFORE)
    (second,) = remounted_dislocations(e, crystal)
    turn = AFTER @ BEFORE.T
    points = np.random.default_rng(2).normal(size=(50, 3))
    beta = displacement_gradient(points, first.line, crystal.medium)
    beta_after = displacement_gradient(points @ turn.T, second.line, crystal.medium)
    np.testing.assert_allclose(beta_after, turn @ beta @ turn.T, atol=1e-15)
    for hkl in [(-1, 1, -1), (1, 1, 1), (0, 0, 2)]:
        normal = unit(AL.plane_normal(hkl))
        q = diffraction_vector_change(beta, BEFORE @ normal)
        q_after = diffraction_vector_change(beta_after, AFTER @ normal)
        np.testing.assert_allclose(q_after, q @ turn.T, atol=1e-15)
        assert np.abs(q).max() > 1e-5


def test_positions_belong_to_the_sample_of_the_mount_unless_a_reference_is_given():
    e = Experiment().with_settings(["defects[0].position_um=[0.4, -1.2, 0.7]"])
    crystal = crystal_of(e)
    (own,) = dislocations_of(e, crystal, AFTER)
    np.testing.assert_allclose(own.line.position, [0.4, -1.2, 0.7])
    (moved,) = remounted_dislocations(e, crystal)
    np.testing.assert_allclose(AFTER.T @ moved.line.position, BEFORE.T @ [0.4, -1.2, 0.7])

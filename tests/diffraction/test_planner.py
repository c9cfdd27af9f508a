"""Which sets of reflections determine the displacement gradient."""

import itertools
import math

import numpy as np
import pytest
from instruments import BEAM

from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction import planner
from weakbeam.diffraction.geometry import diffraction_vector_change, symmetric_geometry
from weakbeam.diffraction.goniometer_setting import solve_omega
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.diffraction.planner import best_sets, gaussian_response, measured_rows
from weakbeam.instrument.goniometer import rotation_z
from weakbeam.instrument.optics import Optics

ALUMINIUM, ENERGY = UnitCell.cubic(4.0493), 19.1
GROUP = [(-1, -1, 3), (-1, 1, 3), (1, -1, 3), (1, 1, 3)]
OPTICS = Optics(
    **BEAM,
    lens=3.1e-4,
    aperture=1.03e-3,
)


def settings(hkl, turned=None, azimuth_sign=1):
    """Rows of the settings at one sign of η; `turned` remounts the crystal about the vertical."""
    turned = np.eye(3) if turned is None else turned
    found = []
    for h in hkl:
        q = ALUMINIUM.plane_normal(h)
        for setting in solve_omega(turned @ q, ENERGY):
            if setting.eta * azimuth_sign > 0:
                found.append((q, turned, setting.geometry))
    return found


def rows(hkl, motors=3, **options):
    stacked = []
    for q, turned, geometry in settings(hkl, **options):
        acceptance = oblique_acceptance(OPTICS, geometry)
        response = gaussian_response(geometry.motor_vectors[:motors], acceptance.covariance())
        stacked.append(measured_rows(q, geometry.imaging_from_sample @ turned, response))
    return stacked


def test_rows_predict_what_moves_the_peak_back() -> None:
    """Motors at their centres of mass cancel the change of q of a distorted crystal."""
    beta = 1e-6 * np.random.default_rng(1).normal(size=(3, 3))
    for (_, turned, geometry), row in zip(settings(GROUP), rows(GROUP), strict=True):
        q = geometry.imaging_from_sample @ diffraction_vector_change(
            turned @ beta @ turned.T, geometry.q0_sample
        )
        positions = row @ beta.reshape(9)
        np.testing.assert_allclose(positions @ geometry.motor_vectors, -q, atol=1e-10)


def test_three_motors_measure_all_of_q_whatever_the_acceptance() -> None:
    geometry = symmetric_geometry(0.2)
    narrow, wide = (
        gaussian_response(geometry.motor_vectors, np.diag(widths))
        for widths in ((1e-9, 1e-6, 1e-6), (1e-5, 1e-7, 1e-4))
    )
    np.testing.assert_allclose(narrow, wide, atol=1e-9)
    np.testing.assert_allclose(narrow, np.linalg.inv(geometry.motor_vectors.T), atol=1e-9)


def test_a_rocking_curve_follows_the_narrow_component() -> None:
    """COM_φ → -q_rock'/cosθ where the acceptance is thin along rock' (physics, E6)."""
    geometry = symmetric_geometry(0.2)
    response = gaussian_response(geometry.motor_vectors[:2], np.diag([1e-12, 1e-6, 1e-6]))
    np.testing.assert_allclose(response, [[1 / math.cos(0.2), 0, 0], [0, 1, 0]], atol=1e-5)


def test_the_published_group_of_four() -> None:
    """{113} at η = 20.2°: with φ, χ and 2θ three of them suffice; φ and χ alone lack one number."""
    (best, *others), complete = best_sets(rows(GROUP), 3)
    assert complete
    assert best.rank == 9
    # The four are alike under the fourfold axis.
    assert len(others) == 3
    assert [s.condition for s in others] == pytest.approx([best.condition] * 3)
    ((four,), _) = best_sets(rows(GROUP), 4)
    assert four.condition < best.condition
    assert four.error < best.error
    ((two_motors,), _) = best_sets(rows(GROUP, motors=2), 4)
    assert two_motors.rank == 8
    assert math.isinf(two_motors.condition)
    assert math.isinf(two_motors.error)
    # With the settings at negative η there are numbers enough.
    both = rows(GROUP, motors=2) + rows(GROUP, motors=2, azimuth_sign=-1)
    assert best_sets(both, 5)[0][0].rank == 9


def test_coplanar_reflections_leave_components_open() -> None:
    zone = [(1, 1, 3), (-1, -1, 3), (2, 2, 2), (2, 2, 0)]
    for set_ in best_sets(rows(zone), 3)[0]:
        assert set_.rank == 6
        assert math.isinf(set_.condition)
    # β along the zone axis cannot be seen: β_ij with j along [1 -1 0], which no g has.
    axis = np.array([1, -1, 0]) / math.sqrt(2)
    unseen = np.outer(axis, [0.3, -0.7, 0.2]).reshape(9)
    assert np.abs(np.concatenate(rows(zone)) @ unseen).max() < 1e-12


@pytest.mark.parametrize("motors", [2, 3])
def test_turning_everything_changes_nothing(motors) -> None:
    hkl = [(1, 1, 3), (-1, 1, 3), (0, 2, 2), (1, 1, 1), (2, 0, 2)]
    straight = best_sets(rows(hkl, motors), 5)[0]
    turned = best_sets(rows(hkl, motors, turned=rotation_z(0.7)), 5)[0]
    assert [s.rank for s in straight] == [s.rank for s in turned]
    # φ and χ turn about axes of the sample, so that the mount matters unless all of q is seen.
    if motors == 3:
        for a, b in zip(straight, turned, strict=True):
            assert a.error == pytest.approx(b.error, rel=1e-3)
    # Other axes for the components of β.
    axes, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    frame = np.kron(axes, axes)
    other = best_sets([row @ frame.T for row in rows(hkl, motors)], 5)[0]
    for a, b in zip(straight, other, strict=True):
        assert a.members == b.members
        assert a.condition == pytest.approx(b.condition, rel=1e-9)


def test_the_error_is_that_of_a_fit() -> None:
    stacked = rows(GROUP)
    ((found,), _) = best_sets(stacked, 4)
    matrix = np.concatenate(stacked)
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(len(matrix), 20_000))
    fitted = np.linalg.lstsq(matrix, noise, rcond=None)[0]
    assert found.error == pytest.approx(fitted.std(), rel=0.02)
    assert found.condition == pytest.approx(np.linalg.cond(matrix), rel=1e-9)


def test_sets_grown_step_by_step_are_as_good_as_the_best(monkeypatch) -> None:
    some = [h for h in itertools.product(range(-2, 3), repeat=3) if sum(map(abs, h)) in (2, 3)]
    stacked = rows([h for h in some if solve_omega(ALUMINIUM.plane_normal(h), ENERGY)])[:18]
    every, complete = best_sets(stacked, 4)
    assert complete
    monkeypatch.setattr(planner, "MOST_SETS", 10)
    grown, complete = best_sets(stacked, 4)
    assert not complete
    assert grown[0].rank == 9
    assert grown[0].condition <= 1.05 * every[0].condition


def test_equal_sets_come_in_the_order_of_their_members() -> None:
    sets, _ = best_sets([*rows(GROUP), *rows(GROUP)], 3, keep=8)
    assert [s.members for s in sets] == sorted(s.members for s in sets)


@pytest.mark.parametrize("size", [0, 5])
def test_impossible_sizes_are_refused(size) -> None:
    with pytest.raises(ValueError, match="needs as many settings"):
        best_sets(rows(GROUP), size)


def test_in_a_horizontal_plane_both_tilts_measure_one_number() -> None:
    """At η = ±90°, Q lies in the plane of the axes of φ and χ."""
    for motors, numbers in ((2, 1), (3, 2)):
        (setting,) = rows([(2, 2, 0)], motors)
        assert np.linalg.matrix_rank(setting, tol=1e-9) == numbers
        assert best_sets([setting], 1)[0][0].rank == numbers

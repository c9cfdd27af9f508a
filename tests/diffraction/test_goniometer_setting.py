"""Bragg settings of the whole goniometer, against plain vector geometry (A3, A4)."""

import math

import numpy as np
import pytest

from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction.geometry import diffraction_vector_change, symmetric_geometry
from weakbeam.diffraction.goniometer_setting import (
    LAUE_TOLERANCE,
    GoniometerSetting,
    setting_at,
    solve_mu,
    solve_omega,
    sphere_distance,
)
from weakbeam.diffraction.reach import energy_limits, mu_limits, solve_within
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.instrument.beam import wavelength
from weakbeam.instrument.goniometer import lab_from_sample, rotation_y, rotation_z

BEAM = np.array([1.0, 0.0, 0.0])
ENERGY = 19.1


def wave_number(energy: float) -> float:
    return 2 * math.pi / wavelength(energy)


def random_rotation(generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def random_crystals(count: int, seed: int):
    """Diffraction vectors of random triclinic crystals in random mounts, with random motors."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        cell = UnitCell(*generator.uniform(3, 9, 3), *generator.uniform(70, 110, 3))
        hkl = generator.integers(-3, 4, 3)
        if hkl.any():
            q = random_rotation(generator) @ cell.plane_normal(hkl.tolist())
            yield q, generator.uniform(12, 40), generator.uniform(-0.6, 0.6, 3)


def touches(q, energy, mu, chi, phi) -> bool:
    """Whether the circle that Q runs on with ω meets the Ewald sphere, tried point by point."""
    k = wave_number(energy)
    turns = np.linspace(0, 2 * math.pi, 3601)
    x, y, z = lab_from_sample(0.0, 0.0, chi, phi) @ q
    cos, sin = np.cos(turns), np.sin(turns)
    circle = np.stack([cos * x - sin * y, sin * x + cos * y, z + 0 * turns], axis=1)
    circle = circle @ lab_from_sample(mu, 0.0, 0.0, 0.0).T
    beyond = np.linalg.norm(k * BEAM + circle, axis=1) - k
    return bool(beyond.min() < 0 < beyond.max())


def test_every_setting_fulfils_the_laue_condition_and_none_is_missed() -> None:
    reached = missed = 0
    for q, energy, (mu, chi, phi) in random_crystals(120, seed=1):
        found = solve_omega(q, energy, mu, chi, phi)
        assert (found is not None) == touches(q, energy, mu, chi, phi)
        if found is None:
            missed += 1
            continue
        reached += 1
        for setting in found:
            geometry = setting.geometry
            turned = lab_from_sample(mu, setting.omega, chi, phi)
            np.testing.assert_array_equal(geometry.lab_from_sample, turned)
            k_out = BEAM + turned @ q / wave_number(energy)
            assert abs(np.linalg.norm(k_out) - 1) < 1e-12
            np.testing.assert_allclose(geometry.k_out_lab, k_out, atol=1e-12)
            assert setting.laue_residual(q, energy) < LAUE_TOLERANCE
            assert sphere_distance(q, energy, mu, setting.omega, chi, phi) < LAUE_TOLERANCE
    assert reached > 50
    assert missed >= 10


def test_a_tilt_brings_back_what_another_motor_was_solved_for() -> None:
    for q, energy, (mu, chi, phi) in random_crystals(60, seed=2):
        for setting in solve_omega(q, energy, mu, chi, phi) or ():
            tilts = solve_mu(q, energy, setting.omega, chi, phi)
            nearest = min(tilts, key=lambda s: abs(s.mu - mu))
            assert nearest.mu == pytest.approx(mu, abs=1e-6)
            again = setting_at(q, energy, mu, setting.omega, chi, phi)
            assert again.eta == pytest.approx(setting.eta, abs=1e-9)


def test_the_symmetric_geometry_is_a_tilt_by_minus_theta() -> None:
    d, energy = 2.338, 17.0
    theta = bragg_angle(d, energy)
    q = np.array([0.0, 0.0, 2 * math.pi / d])
    for omega in (0.0, 0.7, 4.0):
        (setting,) = solve_mu(q, energy, omega)
        assert setting.mu == pytest.approx(-theta, abs=1e-12)
        assert setting.eta == pytest.approx(0.0, abs=1e-12)
    found, symmetric = solve_mu(q, energy)[0].geometry, symmetric_geometry(theta)
    for name in ("lab_from_sample", "lab_from_imaging", "phi_axis", "chi_axis", "motor_vectors"):
        np.testing.assert_allclose(getattr(found, name), getattr(symmetric, name), atol=1e-12)
    # Any ω diffracts, so that none can be solved.
    assert solve_omega(q, energy, -theta) is None
    assert mu_limits(q, energy) == pytest.approx((-theta, -theta), abs=1e-12)


def test_motors_move_q_as_their_rotations_do() -> None:
    """Against the exact goniometer, moved by a little from the setting."""
    for q, energy, (mu, chi, phi) in random_crystals(10, seed=3):
        for setting in solve_omega(q, energy, mu, chi, phi) or ():
            geometry, step = setting.geometry, 1e-5
            for row, moved in ((0, (0.0, step)), (1, (step, 0.0))):
                after, before = (
                    lab_from_sample(mu, setting.omega, chi + s * moved[0], phi + s * moved[1]) @ q
                    for s in (1, -1)
                )
                slope = (after - before) / (2 * step * np.linalg.norm(q))
                expected = geometry.lab_from_imaging.T @ slope
                np.testing.assert_allclose(geometry.motor_vectors[row], expected, atol=1e-9)


def test_dilatations_and_rotations_are_seen_alike_in_every_setting() -> None:
    """q = -ε (sinθ, 0, cosθ) for an expansion, w × Q̂ in the laboratory for a rotation w."""
    generator, seen = np.random.default_rng(4), 0
    for q, energy, (mu, chi, phi) in random_crystals(10, seed=5):
        for setting in solve_omega(q, energy, mu, chi, phi) or ():
            seen += 1
            geometry, strain = setting.geometry, 1e-4
            change = diffraction_vector_change(strain * np.eye(3), geometry.q0_sample)
            along = np.array([math.sin(setting.theta), 0, math.cos(setting.theta)])
            q_imaging = geometry.imaging_from_sample @ change
            np.testing.assert_allclose(q_imaging, -strain / (1 + strain) * along, atol=1e-15)
            w = 1e-5 * generator.normal(size=3)
            spin = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
            change = diffraction_vector_change(spin, geometry.q0_sample)
            w_lab = geometry.lab_from_sample @ w
            expected = geometry.lab_from_imaging.T @ np.cross(w_lab, geometry.q0_lab)
            np.testing.assert_allclose(
                geometry.imaging_from_sample @ change, expected, atol=10 * w @ w
            )
    assert seen >= 10


@pytest.mark.parametrize("motor", ["omega", "phi"])
def test_turning_crystal_and_goniometer_together_changes_nothing(motor) -> None:
    """A crystal remounted by a turn diffracts alike where a motor undoes the turn."""
    generator, seen, turn = np.random.default_rng(6), 0, 0.3
    remount = {"omega": rotation_z, "phi": rotation_y}[motor](turn)
    for q, energy, (mu, chi, phi) in random_crystals(20, seed=7):
        beta = 1e-3 * generator.normal(size=(3, 3))
        # ω stands outside of χ and φ, and undoes a turn of the crystal only where they rest.
        inner = {"chi": 0.0, "phi": 0.0} if motor == "omega" else {"chi": chi, "phi": phi}
        undone = inner if motor == "omega" else inner | {"phi": phi - turn}
        before = solve_omega(q, energy, mu, **inner)
        after = solve_omega(remount @ q, energy, mu, **undone)
        assert (before is None) == (after is None)
        if before is None or after is None:
            continue
        seen += 1
        by_eta = [sorted(pair, key=lambda s: s.eta) for pair in (before, after)]
        for old, new in zip(*by_eta, strict=True):
            expected = old.omega - turn if motor == "omega" else old.omega
            assert math.remainder(new.omega - expected, 2 * math.pi) == pytest.approx(0, abs=1e-9)
            fields = ((old, beta), (new, remount @ beta @ remount.T))
            q_old, q_new = (
                s.geometry.imaging_from_sample @ diffraction_vector_change(b, s.geometry.q0_sample)
                for s, b in fields
            )
            np.testing.assert_allclose(q_new, q_old, atol=1e-10)
    assert seen >= 10


def test_limits_are_where_reach_ends() -> None:
    bounded = 0
    for q, energy, (mu, chi, phi) in random_crystals(60, seed=8):
        least, most = energy_limits(q, mu, chi, phi)
        for limit, inward in ((least, 1), (most, -1)):
            if math.isfinite(limit):
                bounded += 1
                inside, outside = (limit * (1 + s * inward * 1e-6) for s in (1, -1))
                assert solve_omega(q, inside, mu, chi, phi) is not None
                assert solve_omega(q, outside, mu, chi, phi) is None
        limits = mu_limits(q, energy, chi, phi)
        assert limits is not None
        for limit, inward in zip(limits, (1, -1), strict=True):
            assert solve_omega(q, energy, limit + inward * 1e-6, chi, phi) is not None
            if abs(limit) < math.pi / 2:
                assert solve_omega(q, energy, limit - inward * 1e-6, chi, phi) is None
    assert bounded > 30


def test_the_smallest_tilt_within_the_limits_of_the_motor() -> None:
    limits, tilted = (-0.3, 0.2), 0
    for q, energy, (_, chi, phi) in random_crystals(80, seed=9):
        found = solve_within(q, energy, limits, chi, phi)
        flat = solve_omega(q, energy, 0.0, chi, phi)
        if flat is not None:
            assert found == flat
            continue
        tilts = np.linspace(*limits, 501)
        reached = [mu for mu in tilts if solve_omega(q, energy, mu, chi, phi)]
        assert bool(found) == bool(reached)
        if found:
            tilted += 1
            # Q touches the sphere: one setting, and less of a tilt would not do.
            (setting,) = found
            assert setting.laue_residual(q, energy) < LAUE_TOLERANCE
            assert min(map(abs, reached)) - 0.001 <= abs(setting.mu) <= min(map(abs, reached))
            assert min(abs(setting.eta), math.pi - abs(setting.eta)) < 1e-6
    assert tilted >= 3
    (upright,) = solve_within([0.0, 0.0, 3.0], ENERGY, (-0.5, 0.5))
    assert upright.mu == pytest.approx(-upright.theta, abs=1e-12)
    assert upright.omega == 0.0
    assert solve_within([0.0, 0.0, 3.0], ENERGY, (-0.1, 0.5)) == ()
    assert solve_within([0.0, 0.0, 3.0], 1.0, (-0.5, 0.5)) == ()


def test_along_the_axis_no_energy_reaches() -> None:
    upright = np.array([0.0, 0.0, 3.0])
    assert energy_limits(upright) == (math.inf, math.inf)
    assert mu_limits(upright, 1.0) is None
    assert energy_limits([3.0, 0.0, 0.0])[0] == pytest.approx(3.0 * wavelength(1) / (4 * math.pi))


def test_a_setting_that_does_not_diffract_is_noticed() -> None:
    q = np.array([2.0, 1.0, 3.0])
    with pytest.raises(ArithmeticError, match="Laue condition is missed"):
        setting_at(q, ENERGY, 0.0, 0.3, 0.0, 0.0)
    assert sphere_distance(q, ENERGY, 0.0, 0.3, 0.0, 0.0) > 0.01


def test_a_setting_without_tilts_is_the_oblique_geometry() -> None:
    setting = GoniometerSetting(0.2, 0.7, -0.3)
    turn = rotation_z(0.7)
    np.testing.assert_array_equal(setting.geometry.lab_from_sample, turn)
    np.testing.assert_array_equal(setting.geometry.phi_axis, turn[:, 1])
    np.testing.assert_array_equal(setting.geometry.chi_axis, -turn[:, 0])

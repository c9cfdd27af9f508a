"""Motors far from the Bragg setting, against rotation matrices that are written out here.

Γ = R_y(μ) R_z(ω) R_x(-χ) R_y(φ) and Q_lab = Γ F^{-T} Q_0 (docs/explanation/physics.md, A3, D1). A
sample that is turned rigidly, with all that is in it, and brought back by the goniometer must look
as if nobody had touched it, whatever the conventions.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from weakbeam import Experiment, center_of_mass, simulate
from weakbeam.assemble import assemble
from weakbeam.defects.field import evaluate
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.goniometer_setting import GoniometerSetting
from weakbeam.diffraction.turned import (
    REFERENCE_STEP,
    motor_shifts,
    nearest_references,
    perfect_q,
    turned_reflection,
)

THETA = math.radians(8.9732)
OBLIQUE = GoniometerSetting(
    theta=math.radians(15.4), omega=0.3, eta=0.35, mu=-0.05, chi=0.12, phi=-0.2
)


def about(axis, angle):
    """Right-handed rotation about x (0), y (1) or z (2)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[i, i] = turn[j, j] = math.cos(angle)
    turn[j, i], turn[i, j] = math.sin(angle), -math.sin(angle)
    return turn


@dataclass(frozen=True)
class Case:
    """A reflection, its goniometer written out, and its frames."""

    geometry: object
    mu: float
    omega: float
    chi: float
    phi: float

    def gamma(self, phi=0.0, chi=0.0):
        return (
            about(1, self.mu) @ about(2, self.omega)
            @ about(0, -(self.chi + chi)) @ about(1, self.phi + phi)
        )  # fmt: skip

    def imaging(self, arm=0.0):
        """From the laboratory to the imaging frame of the moved arm."""
        return (about(0, self.geometry.eta) @ about(1, -2 * self.geometry.theta - arm)).T

    def center(self, arm=0.0):
        """Diffraction vector of the middle of the acceptance, in units of that of the lattice."""
        k_out = self.imaging(arm)[0]
        return (k_out - [1, 0, 0]) / (2 * math.sin(self.geometry.theta))

    @property
    def q0_sample(self):
        return self.gamma().T @ self.center()

    def exact(self, gradient, phi, chi, arm):
        """What is left of q of a deformed lattice at a setting."""
        q_sample = np.linalg.solve((np.eye(3) + gradient).T, self.q0_sample)
        return self.imaging(arm) @ (self.gamma(phi, chi) @ q_sample - self.center(arm))

    def found(self, gradient, phi, chi, arm):
        """The same as engines get it: q of the ray, and what the motors add."""
        reference = tuple(nearest_references([phi, chi, arm]).tolist())
        turned = turned_reflection(self.geometry, reference)
        change = np.linalg.solve((np.eye(3) + gradient).T, turned.q0_sample) - turned.q0_sample
        rock, roll = motor_shifts(self.geometry, reference, [[phi, chi, arm]])
        return turned.imaging_from_sample @ change + rock[0] + roll[0]


CASES = {
    "symmetric": Case(symmetric_geometry(THETA), -THETA, 0.0, 0.0, 0.0),
    "oblique": Case(OBLIQUE.geometry, OBLIQUE.mu, OBLIQUE.omega, OBLIQUE.chi, OBLIQUE.phi),
}
case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def brought_to_peak(case, phi, chi, arm):
    """A gradient of the lattice that diffracts in the middle at a setting: turned and strained."""
    wanted = case.gamma(phi, chi).T @ case.center(arm)
    q0 = case.q0_sample
    axis = np.cross(q0, wanted)
    sine, cosine = np.linalg.norm(axis), q0 @ wanted
    turn, angle = np.eye(3), math.atan2(sine, cosine)
    if sine > 0:
        x, y, z = axis / sine
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    # The diffraction vector is as long as the planes are close.
    return turn / np.linalg.norm(wanted) - np.eye(3)


@case
def test_the_reflection_is_that_of_the_matrices(case):
    np.testing.assert_allclose(case.geometry.q0_sample, case.q0_sample, atol=1e-14)
    np.testing.assert_allclose(case.geometry.lab_from_sample, case.gamma(), atol=1e-14)


@case
@pytest.mark.parametrize("seed", range(6))
def test_at_the_references_everything_is_exact(case, seed):
    rng = np.random.default_rng(seed)
    setting = REFERENCE_STEP * rng.integers(-40, 41, 3)
    setting[2] *= 0.2
    setting = nearest_references(setting)
    gradient = 0.02 * rng.normal(size=(3, 3))
    gradient += brought_to_peak(case, *setting)
    np.testing.assert_allclose(
        case.found(gradient, *setting), case.exact(gradient, *setting), atol=1e-13
    )


@case
@pytest.mark.parametrize(
    ("phi", "chi", "arm"),
    [
        (0.0, 0.01, 0.0), (0.0, 0.02, 0.0), (0.0, -0.05, 0.0), (0.013, 0.0, 0.0),
        (-0.3, 0.5, 0.0), (0.0, 0.0, 0.0021), (0.0023, 0.0024, -0.0024), (0.1, -0.0724, 0.0176),
        (-0.5 * 2e-3, 0.0, 2e-3),
    ],
)  # fmt: skip
def test_a_lattice_that_is_brought_back_stands_in_the_middle(case, phi, chi, arm):
    """Left are products of what φ, χ and another motor are off the nearest reference.

    They are below 1 µrad of φ in symmetric geometry, and a few where motors turn about any axes.
    """
    gradient = brought_to_peak(case, phi, chi, arm)
    np.testing.assert_allclose(case.exact(gradient, phi, chi, arm), 0, atol=1e-14)
    left = case.found(gradient, phi, chi, arm)
    off = np.abs([phi, chi, arm] - nearest_references([phi, chi, arm]))
    assert np.abs(left).max() < 2.0 * off.sum() * off[:2].max() + 1e-12
    allowed = 1e-6 if case is CASES["symmetric"] else 3.5e-6
    assert abs(left[0]) / math.cos(case.geometry.theta) < allowed


@case
def test_rays_off_the_middle_are_right_to_their_distance_times_what_motors_are_off(case):
    rng = np.random.default_rng(1)
    for _ in range(200):
        setting = np.append(rng.uniform(-0.05, 0.05, 2), rng.uniform(-5e-3, 5e-3))
        gradient = brought_to_peak(case, *setting) + 1e-3 * rng.uniform(-1, 1, (3, 3))
        exact = case.exact(gradient, *setting)
        error = case.found(gradient, *setting) - exact
        off = np.abs(setting - nearest_references(setting))
        assert np.abs(error).max() < 1.5 * off.sum() * (np.linalg.norm(exact) + off[:2].max())
        assert abs(error[0]) < 1.2e-5


@case
def test_small_angles_are_shifts_by_vectors(case):
    """To second order: 1e-9 for 20 µrad."""
    rng = np.random.default_rng(2)
    settings = rng.uniform(-2e-5, 2e-5, (50, 3))
    linear = settings @ case.geometry.motor_vectors
    np.testing.assert_allclose(perfect_q(case.geometry, settings), linear, atol=2e-9)


@pytest.mark.parametrize("chi", [2e-3, 12e-3, 0.3])
def test_of_a_symmetric_reflection_chi_moves_roll_alone_and_phi_all_but_roll(chi):
    geometry = CASES["symmetric"].geometry
    reference = tuple(nearest_references([0.1, chi, 0.004]).tolist())
    settings = np.array(reference) + 1e-3 * np.random.default_rng(0).uniform(-2, 2, (20, 3))
    rock, roll = motor_shifts(geometry, reference, settings)
    np.testing.assert_allclose(roll[:, [0, 2]], 0.0, atol=1e-15)
    np.testing.assert_allclose(rock[:, 1], 0.0, atol=2e-5 * abs(chi))


class TurnedField:
    """A field in a sample that is turned rigidly: F(r) = T F_0(T⁻¹ r)."""

    def __init__(self, field, turn):
        self._field, self._turn = field, turn

    def add_to(self, gradient, points):
        inner = evaluate(self._field, np.ascontiguousarray((self._turn.T @ points).T))
        moved = self._turn @ (np.eye(3) + inner) - np.eye(3)
        gradient += moved.reshape(-1, 9).T


# The same points, however the sample stands.
POINTS = ("camera.oversampling=1", "camera.depth_samples=40")
BASES = {
    "symmetric": Experiment().with_settings(
        ["camera.pixels=[20, 30]", *POINTS, "camera.pixel_nm=60"]
    ),
    "oblique": Experiment().with_settings(
        [
            "camera.pixels=[20, 30]", *POINTS, "camera.pixel_nm=60",
            "reflection.hkl=[1, 1, 3]", "reflection.geometry='oblique'",
            "crystal.mount=[[1, 0, -1], [1, 2, 1], [1, -1, 1]]",
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize("base", BASES.values(), ids=BASES.keys())
@pytest.mark.parametrize(("phi", "chi"), [(0.0, 0.05), (0.03, -0.02), (-0.2, 0.1)])
def test_a_sample_that_is_turned_and_brought_back_gives_the_same_image(base, phi, chi):
    setup = assemble(base)
    at_rest = setup.engine(workers=1)
    rock, roll = (np.array([[1.4e-4, 0, 0]]) @ setup.geometry.motor_vectors[:3], np.zeros((1, 3)))
    expected = at_rest.images(rock, roll)[0, 0]
    assert np.ptp(expected) > 0.05 * expected.max()
    motors = setup.motors
    carrier = about(1, motors["mu"]) @ about(2, motors["omega"])
    before = carrier @ about(0, -motors["chi"]) @ about(1, motors["phi"])
    after = carrier @ about(0, -motors["chi"] - chi) @ about(1, motors["phi"] + phi)
    reference = (phi, chi, 0.0)
    shifts = motor_shifts(setup.geometry, reference, [[phi, chi, 0.0]])
    field = TurnedField(setup.field_at(), after.T @ before)
    turned = setup.engine(workers=1, reference=reference).with_field(field)
    found = turned.images(rock + shifts[0], shifts[1])[0, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def uniform(turn):
    """A uniform rotation as the experiment writes it."""
    return {"kind": "uniform", "rotation_mrad": tuple(1e3 * float(x) for x in turn)}


@pytest.mark.parametrize("chi", [0.01, 0.02, 0.05])
def test_a_turned_lattice_that_chi_brings_back_is_as_bright_as_before(chi):
    """It was at 0.985 of its intensity for 20 mrad, and dark for 50."""
    # χ is left-handed about x; what brings the lattice back is opposite to its own turn.
    experiment = Experiment(
        defects=[uniform([chi, 0.0, 0.0])],
        camera={"pixels": (3, 3)},
        scan={"chi": {"value_mrad": 1e3 * chi}},
    )
    assert simulate(experiment).images.values.ravel() == pytest.approx(1.0, abs=1e-3)


def test_maps_of_a_wide_scan_find_the_turns_of_the_lattice():
    phi, chi = 0.0113, -0.0207
    turned = brought_to_peak(CASES["symmetric"], phi, chi, 0.0) + np.eye(3)
    vector = np.array([turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0],
                       turned[1, 0] - turned[0, 1]])  # fmt: skip
    vector *= math.asin(np.linalg.norm(vector) / 2) / np.linalg.norm(vector)
    experiment = Experiment(
        defects=[uniform(vector)],
        camera={"pixels": (2, 2)},
        scan={
            "phi": {"half_range_mrad": 0.6, "steps": 61, "center_mrad": 11.2},
            "chi": {"half_range_mrad": 4.0, "steps": 41, "center_mrad": -20.0},
        },
    )
    found = center_of_mass(simulate(experiment))
    np.testing.assert_allclose(found.phi, phi, atol=1e-6)
    np.testing.assert_allclose(found.chi, chi, atol=1e-4)

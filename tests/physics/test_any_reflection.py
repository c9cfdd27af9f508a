"""Any reflection of any crystal: what must hold whatever the cell, the mount and the geometry."""

import math

import numpy as np
import pytest

from weakbeam.assemble import Setup, assemble
from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.defects.field import evaluate
from weakbeam.diffraction.geometry import diffraction_vector_change
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.instrument.goniometer import rotation_x, rotation_y, rotation_z

BEAM = np.array([1.0, 0.0, 0.0])


def random_quaternion(generator: np.random.Generator) -> list[float]:
    return unit(generator.normal(size=4)).tolist()


def triclinic(generator: np.random.Generator) -> str:
    edges, angles = generator.uniform(3, 7, 3), generator.uniform(75, 105, 3)
    cell = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), [*edges, *angles], strict=True))
    inside = ", ".join(f"{key} = {value}" for key, value in cell.items())
    return f'cell = {{ {inside} }}\nspace_group = "P 1"\npoisson_ratio = 0.3\n'


def random_setups() -> list[Setup]:
    """Ten triclinic crystals in random mounts, each in every geometry that reaches a reflection."""
    generator, setups = np.random.default_rng(11), []
    for _ in range(10):
        crystal = triclinic(generator)
        mount = f"quaternion = {random_quaternion(generator)}"
        while True:
            hkl = generator.integers(-2, 3, 3).tolist()
            axis = f"x_axis = {np.cross(hkl, [1, 2, -1]).tolist()}"
            mu, chi, phi = generator.uniform(-20, 20, 3).tolist()
            tables = {
                axis: ['geometry = "symmetric"'],
                mount: [
                    'geometry = "oblique"\nsolution = 2',
                    f'geometry = "goniometer"\nmu_deg = {mu}\nchi_deg = {chi}\nphi_deg = {phi}',
                ],
            }
            try:
                setups += [
                    assemble(experiment(f"{crystal}{m}", f"hkl = {hkl}\n{table}"))
                    for m, geometries in tables.items()
                    for table in geometries
                ]
                break
            except InputError:
                # Not reached, or no image: another one.
                continue
    return setups


def experiment(crystal: str, reflection: str, defects: str = "", energy: float = 25.0):
    return Experiment.from_toml_text(
        f"{defects or 'defects = []'}\n[crystal]\n{crystal}\n[reflection]\n{reflection}\n"
        f"[beam]\nenergy_keV = {energy}\n[camera]\npixels = [5, 7]\npixel_nm = 300\n"
    )


SETUPS = random_setups()

setups = pytest.mark.parametrize("setup", SETUPS, ids=lambda s: s.geometry_name)


@setups
def test_the_laue_condition_holds(setup) -> None:
    cell: UnitCell = setup.crystal.cell
    q = setup.sample_from_crystal @ cell.plane_normal(setup.hkl)
    k = 2 * math.pi * setup.energy_kev / 12.398419843
    q_lab = setup.geometry.lab_from_sample @ q
    miss = k * (setup.geometry.k_out_lab - BEAM) - q_lab
    assert np.linalg.norm(miss) < 1e-10 * np.linalg.norm(q)


@setups
def test_a_dilatation_is_seen_along_q_only(setup) -> None:
    geometry, strain = setup.geometry, 1e-4
    change = diffraction_vector_change(strain * np.eye(3), geometry.q0_sample)
    expected = [math.sin(geometry.theta), 0, math.cos(geometry.theta)]
    seen = geometry.imaging_from_sample @ change
    np.testing.assert_allclose(seen, -strain / (1 + strain) * np.array(expected), atol=1e-15)


@setups
def test_a_small_rotation_is_undone_by_the_motors(setup) -> None:
    """Turning the lattice by -φ about the φ axis is what the motor at φ undoes, χ likewise."""
    geometry, small = setup.geometry, 1e-6
    sample_axes = geometry.lab_from_sample.T @ np.stack([geometry.phi_axis, geometry.chi_axis]).T
    for axis, vector in zip(sample_axes.T, geometry.motor_vectors[:2], strict=True):
        x, y, z = -small * axis
        spin = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        q = geometry.imaging_from_sample @ diffraction_vector_change(spin, geometry.q0_sample)
        np.testing.assert_allclose(q + small * vector, 0, atol=4 * small**2)


def defect(position) -> str:
    listed = [float(x) for x in position]
    return f"[[defects]]\nburgers = [1, 0, -1]\nline = [1, -1, 2]\nposition_um = {listed}\n"


def q_of_all_rays(setup: Setup) -> np.ndarray:
    grid = setup.grid
    beta = evaluate(setup.field_at(), grid.points(np.arange(grid.pixels)))
    change = diffraction_vector_change(beta, setup.geometry.q0_sample)
    return change @ setup.geometry.imaging_from_sample.T


def mounted(rotation: np.ndarray, table: str, place) -> Setup:
    """Aluminium, its cube axes turned by `rotation`, with a dislocation in the sample."""
    ub = (rotation / 4.0495).tolist()
    return assemble(experiment(f"ub = {ub}", table, defect(place)))


REST = rotation_x(0.3) @ rotation_y(-0.2) @ rotation_z(0.1)
PLACE = np.array([0.2, -0.1, 0.3])
TURN = 0.5


@pytest.mark.parametrize("solution", [1, 2])
@pytest.mark.parametrize("tilts", [(0.0, 0.0, 0.0), (4.0, 0.0, 0.0), (-3.0, 5.0, 11.0)])
def test_turning_crystal_defects_and_goniometer_changes_no_image(tilts, solution) -> None:
    """A crystal turned about the innermost axis diffracts alike where that motor turns back."""
    mu, chi, phi = tilts
    table = 'hkl = [-1, -1, 3]\ngeometry = "goniometer"\n'
    table += f"mu_deg = {mu}\nchi_deg = {chi}\nsolution = {solution}\nphi_deg = "
    turn = rotation_y(TURN)
    before = mounted(REST, f"{table}{phi}", PLACE)
    after = mounted(turn @ REST, f"{table}{phi - math.degrees(TURN)}", turn @ PLACE)
    assert after.motors["omega"] == pytest.approx(before.motors["omega"], abs=1e-9)
    assert_same_images(before, after)


@pytest.mark.parametrize("solution", [1, 2])
def test_the_same_about_the_vertical_in_the_oblique_geometry(solution) -> None:
    turn, table = rotation_z(TURN), 'hkl = [-1, -1, 3]\ngeometry = "oblique"\nsolution = '
    before = mounted(REST, f"{table}{solution}", PLACE)
    wanted = before.motors["omega"] - TURN
    turned = [mounted(turn @ REST, f"{table}{n}", turn @ PLACE) for n in (1, 2)]
    (after,) = (s for s in turned if abs(math.sin(0.5 * (s.motors["omega"] - wanted))) < 1e-9)
    assert_same_images(before, after)


def test_the_same_about_q_in_the_symmetric_geometry() -> None:
    flat = symmetric_orientation(UnitCell.cubic(4.0495), (-1, 1, -1), (1, 0, -1))
    before = mounted(flat, "hkl = [-1, 1, -1]", PLACE)
    table = 'hkl = [-1, 1, -1]\ngeometry = "goniometer"\n'
    table += f"mu_deg = {-math.degrees(before.geometry.theta)}\nomega_deg = {-math.degrees(TURN)}"
    turn = rotation_z(TURN)
    after = mounted(turn @ flat, table, turn @ PLACE)
    assert after.notes == ()
    assert_same_images(before, after)


def assert_same_images(before: Setup, after: Setup) -> None:
    assert after.geometry.eta == pytest.approx(before.geometry.eta, abs=1e-9)
    first, second = (q_of_all_rays(setup) for setup in (before, after))
    assert np.abs(first).max() > 1e-5
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-10)
    # In the frames only single precision rounds.
    images = [s.engine(workers=1).images(np.zeros((1, 3)), np.zeros((1, 3)))[0, 0]
              for s in (before, after)]  # fmt: skip
    np.testing.assert_allclose(images[1], images[0], rtol=1e-4)


def test_what_a_reflection_does_not_show_of_a_dislocation() -> None:
    """Screws with g·b = 0, and edges with g ∥ t, in the oblique geometry too."""
    mount = "mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]"
    oblique = 'geometry = "oblique"\n'
    screw = "[[defects]]\nburgers = [1, 0, -1]\nline = [1, 0, -1]\n"
    edge = "[[defects]]\nburgers = [1, 0, -1]\nline = [1, -2, 1]\n"
    cases = [
        (screw, "hkl = [1, 1, 1]", True),
        (screw, "hkl = [-1, 3, -1]", True),
        (screw, "hkl = [-1, -1, 3]", False),
        (edge, "hkl = [2, -4, 2]", True),
        (edge, "hkl = [1, 1, 1]", False),
    ]
    for defects, hkl, hidden in cases:
        setup = assemble(experiment(mount, oblique + hkl, defects, energy=40.0))
        shown = np.abs(q_of_all_rays(setup)).max()
        assert (shown < 1e-12) == hidden
        assert hidden or shown > 1e-5

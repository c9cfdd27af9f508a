"""The distortion of any crystal from where motors find its reflections, without approximation."""

import numpy as np
import pytest
import scipy.optimize

from weakbeam.analysis.distortion_solution import open_combinations, solve_changes
from weakbeam.analysis.open_combinations import named_combinations
from weakbeam.crystal.lattice import UnitCell
from weakbeam.diffraction.goniometer_setting import solve_omega
from weakbeam.diffraction.lattice_change import (
    displacement_gradient,
    lattice_change,
    sample_turns,
    setting_q,
)

ENERGY = 19.1
K = 2.0 * np.pi * ENERGY / 12.398419843
CELLS = {
    "cubic": UnitCell(4.05, 4.05, 4.05, 90.0, 90.0, 90.0),
    "hexagonal": UnitCell(3.19, 3.19, 5.19, 90.0, 90.0, 120.0),
    "triclinic": UnitCell(5.1, 6.3, 7.2, 82.0, 97.0, 104.0),
}


def rotation(axis, angle):
    """Active right-handed rotation about x, y or z."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    out = np.eye(3)
    out[i, i], out[j, j], out[i, j], out[j, i] = c, c, -s, s
    return out


def found_at(q_sample, omega, out, across):
    """φ, χ and arm at which a diffraction vector (1/Å) of the sample leads into the arm's axis.

    Straight from the goniometer's definition, Γ = R_z(ω) R_x(-χ) R_y(φ), with nothing expanded.
    """
    beam = np.array([1.0, 0.0, 0.0])
    upwards = np.cross(across, out)

    def missed(settings):
        phi, chi, arm = settings
        q = rotation("z", omega) @ rotation("x", -chi) @ rotation("y", phi) @ q_sample
        wanted = K * (np.cos(arm) * out + np.sin(arm) * upwards - beam)
        return (q - wanted) / K * 1e3

    return scipy.optimize.root(missed, np.zeros(3), tol=1e-14).x


def reflections(cell, turn, random, count):
    """Settings of random reflections of a crystal that is mounted somehow."""
    found = []
    while len(found) < count:
        hkl = random.integers(-3, 4, 3)
        q = turn @ cell.plane_normal(hkl) if hkl.any() else None
        if q is None or np.linalg.norm(q) > 0.9 * K:
            continue
        for setting in solve_omega(q, ENERGY):
            # Away from η = 90°, where φ and χ do the same.
            if abs(np.cos(setting.eta)) > 0.3 and len(found) < count:
                found.append((q, setting))
    return found


def measured(strain, cell, turn, random, count=10):
    """Unit vectors and changes (reflections, 1, 3) of a uniform deformation, by motors alone."""
    directions, changes = [], []
    lattice = np.linalg.inv(np.eye(3) + strain).T
    for q, setting in reflections(cell, turn, random, count):
        geometry = setting.geometry
        out = (rotation("z", setting.omega) @ q + K * np.array([1.0, 0.0, 0.0])) / K
        # The arm turns from the beam towards the diffracted one.
        across = np.cross(out, [1.0, 0.0, 0.0])
        at = found_at(lattice @ q, setting.omega, out, -across / np.linalg.norm(across))
        directions.append(q / np.linalg.norm(q))
        changes.append(lattice_change(geometry, -setting_q(geometry, at), at)[None])
    return np.array(directions), np.array(changes)


@pytest.mark.parametrize("name", CELLS)
def test_any_deformation_is_found_from_full_sets(name):
    random = np.random.default_rng(len(name))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    strain = 1e-4 * random.normal(size=(3, 3))
    directions, changes = measured(strain, CELLS[name], turn, random)
    tried = 0
    for _ in range(12):
        chosen = random.choice(10, int(random.integers(3, 6)), replace=False)
        if open_combinations(directions[chosen]).shape[1]:
            continue
        unit = np.broadcast_to(np.eye(3), (len(chosen), 1, 3, 3))
        solved = solve_changes(directions[chosen], changes[chosen], unit)
        # An ill-placed set multiplies what the solver of the motors leaves.
        assert np.abs(displacement_gradient(solved.change)[0] - strain).max() < 1e-8
        tried += 1
    assert tried > 5


def test_five_reflections_with_two_motors_determine_all():
    # COM = -R q: at the centre of mass only R q is zero, whatever the rest of q is.
    random = np.random.default_rng(5)
    cell, strain = CELLS["cubic"], 1e-4 * random.normal(size=(3, 3))
    lattice = np.linalg.inv(np.eye(3) + strain).T
    directions, changes, information, known = [], [], [], []
    for q, setting in reflections(cell, np.eye(3), random, 7):
        geometry = setting.geometry
        g = q / np.linalg.norm(q)
        response = random.normal(size=(2, 3))

        def off(at, geometry=geometry, g=g, response=response):
            there = np.array([*at, 0.0])
            turned = sample_turns(geometry, there) @ (lattice - np.eye(3)) @ g
            q_seen = setting_q(geometry, there) + geometry.lab_from_imaging.T @ turned
            return 1e3 * response @ q_seen

        at = np.array([*scipy.optimize.root(off, np.zeros(2), tol=1e-14).x, 0.0])
        directions.append(g)
        changes.append(lattice_change(geometry, -setting_q(geometry, at), at)[None])
        axes = sample_turns(geometry, at).T @ geometry.lab_from_imaging
        information.append((axes @ response.T @ response @ axes.T)[None])
        known.append(response @ axes.T)
    solved = solve_changes(directions, changes, information, known)
    assert solved.open[127].shape[1] == 0
    assert np.abs(displacement_gradient(solved.change)[0] - strain).max() < 1e-8


def test_rotations_and_expansion_come_out_as_they_are():
    random = np.random.default_rng(2)
    turn = rotation("z", 3e-4) @ rotation("x", -2e-4)
    for strain in (turn - np.eye(3), 2e-4 * np.eye(3)):
        directions, changes = measured(strain, CELLS["hexagonal"], np.eye(3), random, 5)
        unit = np.broadcast_to(np.eye(3), (5, 1, 3, 3))
        solved = solve_changes(directions, changes, unit)
        assert np.abs(displacement_gradient(solved.change)[0] - strain).max() < 1e-11


@pytest.mark.parametrize(
    ("directions", "known", "texts"),
    [
        ([[1, 0, 0], [0, 1, 0]], None, ["the displacement along [0 0 1]"] * 3),
        ([[0, 0, 1]], None, ["the displacement along"] * 6),
        (
            # Without 2θ no reflection tells an expansion from none.
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]],
            "across",
            ["a uniform expansion"],
        ),
    ],
)
def test_what_is_open_is_named_and_changes_nothing(directions, known, texts):
    g = np.array(directions, dtype=float)
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    seen = [np.eye(3)] * len(g)
    if known == "across":
        seen = [np.linalg.svd(one[None])[2][1:] for one in g]
    left = open_combinations(g, seen)
    # β = -Hᵀ to first order.
    swapped = -np.swapaxes(left.T.reshape(-1, 3, 3), 1, 2).reshape(-1, 9).T
    named = named_combinations(swapped)
    assert len(named) == left.shape[1] == len(texts)
    assert all(text in one.text for text, one in zip(texts, named, strict=True))
    for one in named:
        assert np.linalg.norm(one.tensor) == pytest.approx(1.0)
        for direction, along in zip(g, seen, strict=True):
            assert np.abs(along @ one.tensor.T @ direction).max() < 1e-12

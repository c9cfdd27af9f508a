"""Images in any geometry: the ray-by-ray route against the plain sum and the symmetric one."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_images import EDGE, MIXED, line, make, plain_images, refined

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import sample_from_crystal_mount
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.oblique import solve_oblique
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.diffraction.raytrace import RayOptics, trace
from weakbeam.imaging.direct import direct_images, q_of_rays
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.stops import CentralBlock, RoundOpening, SquareOpening

PHI = np.array([-3e-4, -1.2e-4, 0.0, 1e-4, 2.5e-4])
CHI = np.array([-1e-3, 0.0, 0.3e-3, 2e-3])
CELL = UnitCell.cubic(4.0495)


def setting(hkl=(-1, -1, 3), solution=0, energy=19.1):
    orientation = sample_from_crystal_mount(CELL, (1, 0, 0), (0, 1, 0), (0, 0, 1))
    return solve_oblique(CELL, orientation, hkl, energy)[solution]


def build(
    lines=(EDGE,), hkl=(-1, -1, 3), solution=0, shape=(12, 17), slices=11, oversampling=1,
    plane="normal", accuracy=None, **optics,
):  # fmt: skip
    """Field, geometry, ray grids and acceptance of a small oblique image."""
    bragg = setting(hkl, solution)
    geometry = bragg.geometry
    beam = BeamProfile(0.15)
    rays = ray_grid(geometry, shape, 0.04, *beam.samples(slices), plane, oversampling)
    widths = {"clip": 0.14e-3, "divergence_horizontal": 0.0, "aperture": 1.0323e-3} | optics
    instrument = Optics(bandwidth=6e-5, divergence_vertical=2.25e-4, lens=3.1e-4, **widths)
    return SimpleNamespace(
        field=StraightDislocations(lines, IsotropicMedium(0.334)),
        geometry=geometry,
        rays=rays,
        refinement=refined(beam, accuracy),
        acceptance=oblique_acceptance(instrument, geometry),
    )


def frames_of(case, workers=2, kernel=None):
    per_phi, per_chi, _ = case.geometry.motor_vectors
    shifts = np.outer(PHI, per_phi), np.outer(CHI, per_chi)
    engine = Engine(
        case.field, case.geometry, case.rays, case.acceptance, workers, kernel,
        refinement=case.refinement, shifts=shifts,
    )  # fmt: skip
    return engine.images(*shifts), engine


def plain_frames(case, engine):
    settings = [(p, c, 0.0) for c in CHI for p in PHI]
    return plain_images(case, engine, settings).reshape(len(CHI), len(PHI), *engine.shape)


def assert_same(frames, expected):
    error = np.abs(frames - expected).max(axis=(2, 3))
    assert np.all(error <= 1e-5 * expected.max(axis=(2, 3)) + 1e-17)


CASES = {
    "113": {},
    "113, other solution": {"solution": 1},
    "horizontal group": {"hkl": (0, 2, 2), "lines": (MIXED,)},
    "backwards": {"hkl": (1, 3, -1)},
    "vertical camera": {"plane": "vertical", "lines": (MIXED, line([0, 0, 1], [0, 1, 1]))},
    "no clip": {"clip": math.inf},
    "no cuts": {"clip": math.inf, "aperture": math.inf},
    "small aperture": {"aperture": 8e-5},
    "square stop": {"stops": (SquareOpening(9.4e-5),)},
    "central stop": {"stops": (CentralBlock(1e-4),)},
    "round stop": {"stops": (RoundOpening(1.5e-4),)},
    "round and central stop": {"stops": (RoundOpening(2e-4), CentralBlock(6e-5))},
    "two lines": {"spectrum": ((1.0, -4e-5, 5e-5), (0.4, 9e-5, 3e-5))},
    "horizontal divergence": {"divergence_horizontal": 3e-5, "shape": (6, 9)},
    "refined, oversampled": {"accuracy": 0.01, "lines": (MIXED,), "oversampling": 2},
    "one pixel": {"shape": (1, 1)},
    "no dislocation": {"lines": ()},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES.keys())
def test_engine_equals_the_direct_sum(arguments):
    case = build(**arguments)
    frames, engine = frames_of(case)
    assert_same(frames, plain_frames(case, engine))


def test_perfect_crystal_at_its_bragg_setting_is_one():
    case = build(lines=())
    engine = Engine(case.field, case.geometry, case.rays, case.acceptance)
    np.testing.assert_allclose(engine.images([[0, 0, 0]], [[0, 0, 0]]), 1.0, rtol=1e-6)


def test_symmetric_geometry_by_either_route():
    case = make(lines=(MIXED,), slices=11)
    general = oblique_acceptance(case.acceptance.optics, case.geometry)
    settings = [(p, c, t) for p in PHI for c in CHI for t in (0.0, 4e-4)]
    q = q_of_rays(case.field, case.geometry, case.rays)
    plain = [
        direct_images(q, case.rays, case.geometry, acceptance, settings)
        for acceptance in (case.acceptance, general)
    ]
    np.testing.assert_allclose(plain[1], plain[0], rtol=0, atol=1e-8 * plain[0].max())
    symmetric, _ = frames_of(case)
    case.acceptance = general
    ours, _ = frames_of(case)
    assert_same(ours, symmetric)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_images_do_not_depend_on_the_number_of_threads(workers):
    case = build(accuracy=0.01, lines=(MIXED,), shape=(23, 37))
    np.testing.assert_array_equal(frames_of(case, workers)[0], frames_of(case, 2)[0])


def test_moments_are_sums_over_the_frames():
    case = build(lines=(MIXED,), spectrum=((1.0, -4e-5, 5e-5), (0.4, 9e-5, 3e-5)))
    frames, engine = frames_of(case)
    per_phi, per_chi, _ = case.geometry.motor_vectors
    rock = np.stack([np.ones(len(PHI)), PHI, np.ones(len(PHI))])
    roll = np.stack([np.ones(len(CHI)), np.ones(len(CHI)), CHI**2])
    moments = engine.moments(np.outer(PHI, per_phi), np.outer(CHI, per_chi), rock, roll)
    expected = np.einsum("li,lj,jixy->lxy", rock, roll, frames.astype(float))
    for ours, theirs in zip(moments, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def test_a_traced_kernel_gives_the_same_images():
    case = build(lines=(MIXED,), shape=(10, 14))
    optics = RayOptics(case.acceptance, case.geometry)
    kernel = trace(optics, 30_000_000, (60, 60, 60), seed=4)
    table, closed = frames_of(case, kernel=kernel)[0], frames_of(case)[0]
    assert np.linalg.norm(table - closed) < 0.03 * np.linalg.norm(closed)


def test_vignetting_moves_the_centre_of_the_lens():
    """Against q moved by hand, with u and v of every pixel written out (B2, C1)."""
    case = build(lines=(MIXED,), shape=(9, 11))
    per_um = -1e-6
    per_phi, per_chi, _ = case.geometry.motor_vectors
    engine = Engine(case.field, case.geometry, case.rays, case.acceptance, vignetting=per_um)
    ours = engine.images(np.outer(PHI, per_phi), np.outer(CHI, per_chi))
    rays = case.rays
    q = q_of_rays(case.field, case.geometry, rays).reshape(9, 11, -1, 3)
    v, u = (np.arange(9) - 4) * 0.04, (np.arange(11) - 5) * 0.04
    per_angle = 1 / (2 * math.sin(case.acceptance.theta))
    q[..., 1] -= per_um * u[None, :, None] * per_angle
    q[..., 2] -= per_um * v[:, None, None] * per_angle
    settings = [(p, c, 0.0) for c in CHI for p in PHI]
    expected = direct_images(
        q.reshape(99, -1, 3), rays, case.geometry, case.acceptance, settings
    ).reshape(ours.shape)
    assert_same(ours, expected)


def test_blur_of_phi_is_an_average_over_frames():
    case = build(lines=(MIXED,), shape=(8, 9))
    optics = case.acceptance.optics
    per_phi, per_chi, _ = case.geometry.motor_vectors
    moved = oblique_acceptance(optics, case.geometry, tuple(1e-4 * per_phi))
    blurred = Engine(case.field, case.geometry, case.rays, moved)
    path = 1.2e-4 + 1e-4 * ((np.arange(200) + 0.5) / 200 - 0.5)
    ours = blurred.images([1.2e-4 * per_phi], [2e-4 * per_chi])[0, 0]
    still = Engine(case.field, case.geometry, case.rays, case.acceptance)
    average = still.images(np.outer(path, per_phi), [2e-4 * per_chi])[0].mean(axis=0)
    np.testing.assert_allclose(ours, average, rtol=0, atol=1e-4 * average.max())


def test_a_beam_within_the_sheet_is_refused():
    geometry = replace(setting().geometry, eta=math.pi / 2)
    with pytest.raises(ValueError, match="within the sheet"):
        ray_grid(geometry, (3, 3), 0.04, np.zeros(1), np.ones(1))


def test_points_of_a_pixel_lie_along_the_diffracted_beam():
    bragg = setting(solution=1)
    geometry = bragg.geometry
    for plane in ("normal", "vertical"):
        rays = ray_grid(geometry, (4, 5), 0.04, *BeamProfile(0.6).samples(7), plane)
        points = rays.points(np.arange(20)) @ geometry.lab_from_sample.T
        along = np.diff(points, axis=1)
        across = np.cross(along, geometry.k_out_lab)
        assert np.abs(across).max() < 1e-12
        seen = points @ geometry.lab_from_imaging
        if plane == "normal":
            row, column = np.divmod(np.arange(20), 5)
            np.testing.assert_allclose(seen[:, 3, 2], (row - 1.5) * 0.04, atol=1e-12)
            np.testing.assert_allclose(seen[:, 3, 1], (column - 2) * 0.04, atol=1e-12)
        else:
            kx, ky, kz = geometry.k_out_lab
            y = points[..., 1] - points[..., 0] * ky / kx
            z = points[..., 2] - points[..., 0] * kz / kx
            row, column = np.divmod(np.arange(20), 5)
            np.testing.assert_allclose(z.T, np.tile((row - 1.5) * 0.04, (7, 1)), atol=1e-12)
            np.testing.assert_allclose(y.T, np.tile((column - 2) * 0.04, (7, 1)), atol=1e-12)

"""The fast engine against the plain sum over rays, and that its answer depends on physics only."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_images import EDGE, MIXED, SINGULAR, line, make, plain_images

from weakbeam.defects.field import Superposition, UniformGradient
from weakbeam.imaging import engine as engine_module
from weakbeam.imaging import samples as samples_module
from weakbeam.imaging import tiles
from weakbeam.imaging.direct import q_of_rays
from weakbeam.imaging.engine import Engine

PHI = np.array([-4e-4, -1.5e-4, 0.0, 1.4e-4, 3e-4])
CHI = np.array([-2e-3, 0.0, 0.4e-3])
ARM = np.array([-3e-4, 0.0, 5e-4])


def shifts(geometry, phi=PHI, chi=CHI, arm=(0.0,)):
    """Rock and roll shifts of a mesh, and the settings (χ slow, φ and 2θ fast) of its frames."""
    per_phi, per_chi, per_arm = geometry.motor_vectors
    rock = np.array([p * per_phi + t * per_arm for t in arm for p in phi])
    roll = np.outer(chi, per_chi)
    settings = np.array([[p, c, t] for c in chi for t in arm for p in phi])
    return rock, roll, settings


def both(case, **mesh):
    """Frames of the engine and of the direct sum, (frames, rows, columns)."""
    rock, roll, settings = shifts(case.geometry, **mesh)
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    frames = fast.images(rock, roll).reshape(-1, *fast.shape)
    return frames, plain_images(case, fast, settings), fast


def assert_same(frames, expected):
    error = np.abs(frames - expected).max(axis=(1, 2))
    assert np.all(error <= 1e-5 * expected.max(axis=(1, 2)) + 1e-17)


CASES = {
    "edge": {},
    "mixed, thick beam": {"lines": (MIXED,), "height": 0.6, "slices": (40,)},
    "three lines": {"lines": (EDGE, MIXED, line([0, 0, 1], [0, 1, 1], (0, 0.1, 0)))},
    "no core, points on the line": {"lines": (SINGULAR,), "shape": (9, 15)},
    "oversampling": {"oversampling": 3},
    "normal camera": {"plane": "normal"},
    "horizontal divergence": {"horizontal": 1.5e-4, "lines": (MIXED,)},
    "horizontal divergence, small aperture": {"horizontal": 1.5e-4, "aperture": 1e-4},
    "no clip": {"clip": math.inf},
    "no aperture": {"aperture": math.inf},
    "no cuts, divergence": {"clip": math.inf, "aperture": math.inf, "horizontal": 2e-4},
    "aperture below the clip": {"aperture": 5e-5},
    "refined": {"slices": (7, 28, 112), "lines": (MIXED,), "shape": (30, 41), "height": 0.6},
    "one pixel": {"shape": (1, 1)},
    "3 × 7 pixels": {"shape": (3, 7)},
    "129 × 5 pixels": {"shape": (129, 5)},
    "no dislocation": {"lines": ()},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES.keys())
def test_engine_equals_the_direct_sum(arguments):
    frames, expected, _ = both(make(**arguments), arm=ARM)
    assert frames.shape[0] == len(PHI) * len(CHI) * len(ARM)
    assert_same(frames, expected)


def test_refinement_is_used_near_the_line_and_only_there():
    case = make(slices=(15, 60, 240), shape=(61, 9))
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    slices = fast.sampling.levels.reshape(15, 61, 9)
    levels = slices.max(axis=0)
    assert levels[30].min() == 2
    assert levels[[0, -1]].max() == 0
    assert np.all(np.diff(levels[:31, 4]) >= 0)
    assert np.all(np.diff(levels[30:, 4]) <= 0)
    # The line runs along y through the middle of the beam: only there a ray is cut finely.
    assert slices[[0, -1], 30].max() < 2
    assert slices[7, 30].min() == 2
    perfect = Engine(Superposition(), case.geometry, case.rays, case.acceptance)
    assert perfect.sampling.levels.max() == 0
    assert perfect.rays == 61 * 9 * 15


@pytest.mark.parametrize("oversampling", [1, 3])
def test_samples_of_every_pixel_cover_the_whole_beam_once(oversampling):
    case = make(lines=(EDGE, MIXED), slices=(15, 60, 240), shape=(11, 9), oversampling=oversampling)
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    up = case.geometry.lab_from_sample[2]
    centre = case.rays[-1].weights @ case.rays[-1].depths
    for pixel in range(99):
        points, weights = fast.sampling.of_pixel(pixel)
        assert weights.min() >= 0.0
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
        # A slice stands at its middle, whatever its weight within.
        assert weights @ points @ up == pytest.approx(centre, abs=1e-3)
    assert sum(len(fast.sampling.of_pixel(p)[0]) for p in range(99)) >= fast.rays


def test_arrays_of_a_block_have_the_pixel_last_in_memory():
    case = make(lines=(EDGE, MIXED), slices=(15, 60, 240), shape=(11, 9))
    sampling = Engine(case.field, case.geometry, case.rays, case.acceptance).sampling
    for block in (block for blocks in sampling.blocks for block in blocks):
        assert sampling.weights(block).flags.c_contiguous
        assert sampling.points(block).flags.c_contiguous


def test_grids_must_cut_each_other_evenly():
    case = make(slices=(7, 15))
    with pytest.raises(ValueError, match="evenly"):
        Engine(case.field, case.geometry, case.rays, case.acceptance)


def test_points_on_a_singular_core_are_dark_and_counted():
    case = make(lines=(SINGULAR,), shape=(3, 3), slices=(5,))
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    q, masked = fast.mean_q()
    plain = q_of_rays(case.field, case.geometry, case.rays[0])
    dark = np.isnan(plain).any(axis=-1)
    assert masked == dark.sum() == 3
    weights = np.where(dark, 0.0, case.rays[0].sample_weights)
    mean = np.einsum("psc,ps->cp", np.nan_to_num(plain), weights) / weights.sum(axis=1)
    np.testing.assert_allclose(q.reshape(3, -1), mean, rtol=1e-9, atol=1e-15)


def images(case, workers=2):
    rock, roll, _ = shifts(case.geometry, arm=ARM)
    return Engine(case.field, case.geometry, case.rays, case.acceptance, workers).images(rock, roll)


REFINED = {"slices": (7, 28), "lines": (MIXED,), "shape": (23, 37), "height": 0.6}


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_images_do_not_depend_on_the_number_of_threads(workers):
    case = make(**REFINED)
    np.testing.assert_array_equal(images(case, workers), images(case, 2))


@pytest.mark.parametrize("frames_at_once", [1, 2, 7])
def test_images_do_not_depend_on_the_size_of_batches(monkeypatch, frames_at_once):
    case = make(**REFINED)
    whole = images(case)
    monkeypatch.setattr(engine_module, "BATCH_BYTES", frames_at_once * 4 * 23 * 37)
    np.testing.assert_array_equal(images(case), whole)
    rock, roll, _ = shifts(case.geometry, arm=ARM)
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    sizes = [batch.shape[0] * batch.shape[1] for _, _, batch in fast.batches(rock, roll)]
    assert max(sizes) <= frames_at_once
    assert sum(sizes) == whole.shape[0] * whole.shape[1]


def test_images_do_not_depend_on_whether_q_is_kept(monkeypatch):
    case = make(**REFINED)
    whole = images(case)
    monkeypatch.setattr(samples_module, "STORE_BYTES", 0)
    np.testing.assert_array_equal(images(case), whole)


def test_only_wanted_batches_are_computed(monkeypatch):
    case = make()
    rock, roll, _ = shifts(case.geometry)
    monkeypatch.setattr(engine_module, "BATCH_BYTES", 1)
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    whole = fast.images(rock, roll)
    found = [
        (i, j, batch.copy())
        for i, j, batch in fast.batches(rock, roll, lambda i, j: i.start == 2 and j.start == 1)
    ]
    assert len(found) == 1
    np.testing.assert_array_equal(found[0][2], whole[1:2, 2:3])


def test_progress_adds_up_to_the_number_of_frames():
    case, told = make(**REFINED), []
    rock, roll, _ = shifts(case.geometry)
    Engine(case.field, case.geometry, case.rays, case.acceptance).images(rock, roll, told.append)
    assert sum(told) == pytest.approx(len(rock) * len(roll))


def test_moments_equal_sums_over_frames():
    case = make(**REFINED)
    rock, roll, settings = shifts(case.geometry, arm=ARM)
    phi, arm = settings[: len(rock), 0], settings[: len(rock), 2]
    rock_powers = np.array([np.ones(len(rock)), phi, arm, phi**2, np.ones(len(rock)), phi * arm])
    ones = np.ones(len(roll))
    roll_powers = np.array([ones, ones, ones, ones, CHI, CHI**2])
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    frames = fast.images(rock, roll).astype(float)
    expected = np.einsum("mj,mi,jirc->mrc", roll_powers, rock_powers, frames)
    found = fast.moments(rock, roll, rock_powers, roll_powers)
    scale = np.einsum("mj,mi,jirc->m", np.abs(roll_powers), np.abs(rock_powers), frames)
    scale = scale[:, None, None] / (23 * 37)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-6)


def test_long_scans_are_cut_into_pieces_that_fit_together(monkeypatch):
    case = make(shape=(2, 3))
    phi, chi = np.linspace(-5e-4, 5e-4, 23), np.linspace(-2e-3, 2e-3, 19)
    rock, roll, _ = shifts(case.geometry, phi, chi)
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    powers = np.array([np.ones(23), phi]), np.array([np.ones(19), np.ones(19)])
    whole, moments = fast.images(rock, roll), fast.moments(rock, roll, *powers)
    monkeypatch.setattr(tiles, "SETTINGS_AT_ONCE", 5)
    np.testing.assert_array_equal(fast.images(rock, roll), whole)
    np.testing.assert_allclose(fast.moments(rock, roll, *powers), moments, rtol=1e-12)


def test_a_lifted_sample_shows_what_a_lowered_beam_sees():
    case = make(lines=(MIXED,))
    lifted = [replace(rays, lift=0.25) for rays in case.rays]
    moved = line([0.6, 0.0, 0.8], [0.5, 0.2, 0.8], MIXED.position + case.rays[0].height_axis * 0.25)
    rock, roll, _ = shifts(case.geometry)
    one = Engine(case.field, case.geometry, lifted, case.acceptance).images(rock, roll)
    other = make(lines=(moved,))
    two = Engine(other.field, other.geometry, other.rays, other.acceptance).images(rock, roll)
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6)
    assert np.abs(one - images(case)[:, : len(PHI)]).max() > 0.01


def test_shifts_of_a_wrong_shape_are_refused():
    case = make()
    fast = Engine(case.field, case.geometry, case.rays, case.acceptance)
    with pytest.raises(ValueError, match=r"shape \(n, 3\), not \(3,\)"):
        fast.images(np.zeros(3), np.zeros((1, 3)))


def test_mean_q_of_a_uniform_crystal():
    case = make(oversampling=2)
    beta = 1e-4 * np.arange(9.0).reshape(3, 3)
    fast = Engine(UniformGradient(beta), case.geometry, case.rays, case.acceptance)
    q, masked = fast.mean_q()
    change = np.linalg.inv(np.eye(3) + beta).T @ case.geometry.q0_sample - case.geometry.q0_sample
    expected = case.geometry.imaging_from_sample @ change
    assert masked == 0
    assert q.shape == (3, 12, 17)
    np.testing.assert_allclose(q, np.broadcast_to(expected[:, None, None], q.shape), atol=1e-15)


def test_any_field_may_offer_its_lines_to_the_rays():
    class OnlyAlongRays:
        """A field of a class that the engine does not know."""

        def __init__(self, lines):
            self.ray_constants = lines.ray_constants

        def add_to(self, gradient, points):
            raise AssertionError("asked point by point")

    case = make(lines=(MIXED,), slices=(7, 28))
    rock, roll, _ = shifts(case.geometry)
    images = []
    for field in (case.field, OnlyAlongRays(case.field), Superposition([case.field])):
        engine = Engine(field, case.geometry, case.rays, case.acceptance)
        images.append(engine.images(rock, roll))
    np.testing.assert_array_equal(images[1], images[0])
    np.testing.assert_allclose(images[2], images[0], rtol=1e-6, atol=1e-12)

"""Segments in anisotropic media against lines, the isotropic closed form, circuits and balance."""

import numpy as np
import pytest
from media import MEDIA, isotropic

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_segments import AnisotropicSegments, greens_derivative
from weakbeam.defects.field import evaluate
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.many import Bounds
from weakbeam.defects.many_segments import ManySegments
from weakbeam.defects.segments import IsotropicSegments, Segments

B = np.array([2.0e-4, 1.1e-4, -0.7e-4])
T, ORIGIN = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([0.1, 0.0, 0.2])


def beta(segments, points, medium):
    return evaluate(AnisotropicSegments(segments, medium), points)


def scattered(count=60, size=1.0, seed=1):
    return np.random.default_rng(seed).normal(scale=size, size=(count, 3))


def relative(found, expected):
    size = np.abs(expected).max(axis=(1, 2), keepdims=True)
    return np.abs((found - expected) / size).max()


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("core", [0.0, 0.05])
def test_pieces_of_an_infinite_line_add_up_to_it(name, core):
    medium, points = MEDIA[name], scattered()
    line = AnisotropicDislocations([StraightLine(B, T, ORIGIN, core)], medium)
    expected = evaluate(line, points)
    if core == 0.0:
        corners = ORIGIN + np.outer([-0.7, 0.1, 2.0], T)
        assert relative(beta(Segments.polyline(corners, B), points, medium), expected) < 1e-5
    graded = np.geomspace(0.01, 400.0, 30)
    graded = np.concatenate([-graded[::-1], graded, [400.0 + 1e-9]])
    corners = ORIGIN + np.outer(graded, T)
    if core == 0.0:
        found = beta(Segments.between(corners[:-1], corners[1:], B, core), points, medium)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    else:
        # Pieces spread their cores each about themselves, and not about the whole line.
        whole = Segments.between([ORIGIN - 400 * T], [ORIGIN + 400 * T], B, core)
        found = beta(whole, points, medium)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_an_isotropic_medium_is_no_special_case():
    segments, points = Segments.polygon(scattered(5, 1.5, 3), B), scattered()
    expected = evaluate(IsotropicSegments(segments, IsotropicMedium(0.3)), points)
    assert relative(beta(segments, points, isotropic(0.3)), expected) < 1e-5


@pytest.mark.parametrize("name", ["Cu", "quartz"])
def test_circuits_close_with_b_and_forces_balance(name):
    medium = MEDIA[name]
    corners = scattered(5, 1.5, 4)
    loop = Segments.polygon(corners, B)
    start, end = corners[0], corners[1]
    along = (end - start) / np.linalg.norm(end - start)
    u = np.cross(along, [0.0, 0.0, 1.0])
    u /= np.linalg.norm(u)
    v = np.cross(along, u)
    angle = 2.0 * np.pi * np.arange(512)[:, None] / 512
    points = 0.5 * (start + end) + 0.2 * (np.cos(angle) * u + np.sin(angle) * v)
    steps = 0.2 * (np.cos(angle) * v - np.sin(angle) * u) * (2.0 * np.pi / 512)
    closed = np.einsum("nij,nj->i", beta(loop, points, medium), steps)
    np.testing.assert_allclose(closed, B, atol=1e-5 * np.abs(B).max())
    places, step = scattered(10, 4.0, 6), 0.05
    change = [
        (beta(loop, places + step * e, medium) - beta(loop, places - step * e, medium)) / (2 * step)
        for e in np.eye(3)
    ]
    change = np.stack(change, axis=-1)
    forces = np.einsum("ijkl,nklj->ni", medium.stiffness, change)
    size = np.abs(medium.stiffness).max() * np.abs(change).max(axis=(1, 2, 3))
    assert (np.abs(forces).max(axis=1) / size).max() < 5e-3


def test_greens_function_is_differentiated_right():
    # Against the printed form of an isotropic medium with a shear modulus of 1.
    nu, medium = 0.3, isotropic(0.3, shear=1.0)
    directions = scattered(20)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = greens_derivative(directions, medium.stiffness, 64)
    delta, n = np.eye(3), directions
    expected = -(3 - 4 * nu) * np.einsum("ip,nq->nipq", delta, n)
    expected -= 3 * np.einsum("ni,np,nq->nipq", n, n, n)
    expected += np.einsum("iq,np->nipq", delta, n) + np.einsum("pq,ni->nipq", delta, n)
    np.testing.assert_allclose(found, expected / (16 * np.pi * (1 - nu)), atol=1e-12)


def test_thousands_are_boxed_as_well():
    random = np.random.default_rng(2)
    count = 150
    segments = Segments(
        random.normal(scale=2e-4, size=(count, 3)),
        random.uniform(-9, 9, (count, 3)),
        random.normal(size=(count, 3)),
        random.uniform(0.1, 2.0, count),
        2.5e-4,
    )
    axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
    bounds = Bounds([0.0, 0.0, 0.0], axes, [8.0, 7.0, 0.3])
    exact = AnisotropicSegments(segments, MEDIA["Cu"])
    many = ManySegments(exact, bounds, points=300_000, workers=1)
    assert many.boxes > 10
    assert many.near_lines < 0.5 * count
    points = random.uniform(-1, 1, (200, 3)) * bounds.half @ axes
    found, expected = evaluate(many, points), evaluate(exact, points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).mean() + 1e-8)

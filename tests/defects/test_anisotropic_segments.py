"""Segments in anisotropic media against lines, the isotropic closed form, circuits and balance."""

import numpy as np
import pytest
from media import MEDIA, isotropic, random_medium

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.anisotropic import AnisotropicDislocations
from weakbeam.defects.anisotropic_segments import AnisotropicSegments
from weakbeam.defects.field import evaluate
from weakbeam.defects.green import greens_derivative
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
        assert relative(beta(Segments.polyline(corners, B), points, medium), expected) < 2e-6
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
    assert relative(beta(segments, points, isotropic(0.3)), expected) < 1e-6


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


def by_quadrature(segments, points, medium, panels=10):
    """The field by plain Gauss and Legendre over the angle, Green's function at each node."""
    c = medium.stiffness / np.abs(medium.stiffness).max()
    levi_civita = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[i, j, k], levi_civita[i, k, j] = 1.0, -1.0
    nodes, weights = np.polynomial.legendre.leggauss(10)
    edges = np.arange(panels)[:, None] / panels
    places = (edges + 0.5 * (nodes + 1.0) / panels).ravel()
    weights = np.tile(0.5 * weights / panels, panels)
    total = np.zeros((len(points), 3, 3))
    for b, start, t, length, _ in zip(*vars(segments).values(), strict=True):
        tensor = np.einsum("jnh,pqmn,m,h->jpq", levi_civita, c, b, t)
        offset = points - start
        along = offset @ t
        x = offset - np.outer(along, t)
        d = np.linalg.norm(x, axis=1)
        first = np.arctan2(d, along)
        last = np.arctan2(d, along - length) if np.isfinite(length) else np.full(len(d), np.pi)
        angle = first[:, None] + (last - first)[:, None] * places
        e = np.cos(angle)[..., None] * t + np.sin(angle)[..., None] * (x / d[:, None])[:, None]
        g = greens_derivative(e.reshape(-1, 3), c, 80).reshape(*angle.shape, 3, 3, 3)
        mean = np.einsum("k,nkipq->nipq", weights, g)
        total += np.einsum("jpq,nipq,n->nij", tensor, mean, (last - first) / d)
    return total


@pytest.mark.parametrize(
    "medium",
    [MEDIA["Cu"], MEDIA["GaN"], MEDIA["W"], random_medium(2)],
    ids=["Cu", "GaN", "W", "random"],
)
def test_a_segment_is_the_quadrature_over_its_angle(medium):
    # Under wide and narrow angles, beyond the ends and beside the middle; half a line too.
    piece = Segments.between([[0.1, -0.2, 0.3]], [[0.7, 0.4, -0.1]], B)
    half = Segments(B[None], piece.starts, piece.directions, [np.inf], 0.0)
    random = np.random.default_rng(3)
    along = np.outer(random.uniform(-3.0, 4.0, 4), piece.directions[0])
    points = [s * random.normal(size=(4, 3)) for s in (0.3, 1.5, 6.0, 60.0)]
    points = np.concatenate([*points, piece.starts + along + 0.02 * random.normal(size=(4, 3))])
    for segments in (piece, half):
        expected = by_quadrature(segments, points, medium)
        assert relative(beta(segments, points, medium), expected) < 1.2e-6


def test_a_point_on_the_line_of_a_segment_is_no_special_case():
    segments = Segments.between([[0.0, 0.0, 0.0]], [[2.0, 0.0, 0.0]], B, 1e-3)
    beyond = np.array([[3.0, 0.0, 0.0], [-0.5, 0.0, 0.0], [1.0, 0.0, 0.0]])
    beside = beyond + np.array([0.0, 1e-9, 1e-9])
    found = beta(segments, beyond, MEDIA["Cu"])
    np.testing.assert_allclose(found, beta(segments, beside, MEDIA["Cu"]), rtol=1e-5, atol=1e-7)
    # In the middle of the core there is nothing.
    assert np.all(found[2] == 0.0)


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

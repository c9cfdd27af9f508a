"""Green's function: its printed form in an isotropic medium, and its integral over an angle."""

import numpy as np
import pytest
from media import MEDIA, isotropic, random_medium

from weakbeam.defects.green import greens_derivative, line_tensors, relative_stiffness

STEPS = 400


def unit(count=20):
    rows = np.random.default_rng(1).normal(size=(count, 3))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_derivative_is_the_printed_one_of_an_isotropic_medium():
    nu, n, delta = 0.3, unit(), np.eye(3)
    found = greens_derivative(n, isotropic(nu, shear=1.0).stiffness, 64)
    expected = -(3 - 4 * nu) * np.einsum("ip,nq->nipq", delta, n)
    expected -= 3 * np.einsum("ni,np,nq->nipq", n, n, n)
    expected += np.einsum("iq,np->nipq", delta, n) + np.einsum("pq,ni->nipq", delta, n)
    np.testing.assert_allclose(found, expected / (16 * np.pi * (1 - nu)), atol=1e-12)


@pytest.mark.parametrize("medium", [MEDIA["quartz"], random_medium(4)], ids=["quartz", "random"])
def test_the_derivative_balances_forces(medium):
    # C G,qj = 0 off the origin: by differences, of a function that falls as the square of distance.
    c, places, step = relative_stiffness(medium), 2.0 * unit(6), 1e-4

    def at(points):
        r = np.linalg.norm(points, axis=1)
        found = greens_derivative(points / r[:, None], c, STEPS)
        return found / (r**2)[:, None, None, None]

    second = [(at(places + step * e) - at(places - step * e)) / (2 * step) for e in np.eye(3)]
    forces = np.einsum("ijkl,jnkpl->nip", c, np.stack(second))
    np.testing.assert_allclose(forces, 0.0, atol=1e-6 * np.abs(second).max())


@pytest.mark.parametrize("medium", [MEDIA["Cu"], random_medium(4)], ids=["Cu", "random"])
def test_the_integral_over_an_angle_is_what_line_tensors_change_by(medium):
    c = relative_stiffness(medium)
    t, x, n = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    n = np.cross(t, x)
    low, high = 0.3, 2.4
    nodes, weights = np.polynomial.legendre.leggauss(80)
    angle = 0.5 * (low + high) + 0.5 * (high - low) * nodes[:, None]
    g = greens_derivative(np.cos(angle) * t + np.sin(angle) * x, c, STEPS)
    expected = 0.5 * (high - low) * np.einsum("k,kipq->ipq", weights, g)

    def end(angle):
        e, m = np.cos(angle) * t + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * t
        (q,), (s,) = line_tensors(e[None], c, STEPS)
        nn, nm = (np.einsum("i,ijkl,l->jk", n, c, other) for other in (n, m))
        return np.einsum("ip,q->ipq", np.linalg.solve(nn, nm @ q + s.T), n) - np.einsum(
            "ip,q->ipq", q, m
        )

    found = (end(high) - end(low)) / (4.0 * np.pi)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())

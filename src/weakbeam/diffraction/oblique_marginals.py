"""Projections of the acceptance of an oblique reflection: sums over the beam's divergences.

At given divergences ζ_v, ζ_h the three components of q are what energy and lens make of them, and a
projection on a grid is a matrix product over the nodes of the divergences.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.closed_form import horizontal_nodes
from weakbeam.diffraction.quadrature import normal_between
from weakbeam.diffraction.ray_map import AT_REST, ray_map
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.passage import Window, gaussian_moments, transmission

_NODES = 240


def oblique_projections(
    theta: float, eta: float, optics: Optics, rock: Floats, roll: Floats, two_theta: Floats
) -> tuple[Floats, Floats, Floats]:
    """As :meth:`.AcceptanceDensity.projections`, but that a motion is left out.

    Parameters
    ----------
    theta, eta : float
        Bragg angle and azimuth of the diffracted beam (rad).
    optics : Optics
        Beam, lens and stops.
    rock, roll, two_theta : (n1,), (n2,) and (n3,) ndarray
        Grid along q_rock', q_roll and q_2θ, dimensionless.
    """
    along, across, share = _divergences(theta, eta, optics)
    first = _rock_given(theta, optics, rock, along)
    rock_roll = np.zeros((rock.size, roll.size))
    roll_two_theta = np.zeros((roll.size, two_theta.size))
    rock_two_theta = np.zeros((rock.size, two_theta.size))
    for term in optics.products:
        second = _roll_given(theta, optics, roll, across, term.roll)
        third = _two_theta_given(theta, optics, two_theta, along, term.two_theta)
        passes_delta = gaussian_moments(term.two_theta, optics.lens)[0]
        passes_xi = gaussian_moments(term.roll, optics.lens)[0]
        rock_roll += term.weight * passes_delta * (first * share) @ second.T
        roll_two_theta += term.weight * (second * share) @ third.T
        rock_two_theta += (
            term.weight * passes_xi * _joint(theta, eta, optics, rock, two_theta, term.two_theta)
        )
    return rock_roll / optics.passed, rock_two_theta / optics.passed, roll_two_theta / optics.passed


def oblique_marginal(
    theta: float, eta: float, optics: Optics, component: int, values: ArrayLike
) -> Floats:
    """Density of one component of q, with the other two integrated over.

    A motion during the exposure is left out.

    Parameters
    ----------
    theta, eta, optics
        As for :func:`oblique_projections`.
    component, values
        As for :meth:`.AcceptanceDensity.marginal`.
    """
    at = np.asarray(values, dtype=np.float64).reshape(-1)
    along, across, share = _divergences(theta, eta, optics)
    if component == 0:
        return _rock_given(theta, optics, at, along) @ share
    total = np.zeros(at.size)
    for term in optics.products:
        if component == 1:
            passes = gaussian_moments(term.two_theta, optics.lens)[0]
            given = _roll_given(theta, optics, at, across, term.roll)
        else:
            passes = gaussian_moments(term.roll, optics.lens)[0]
            given = _two_theta_given(theta, optics, at, along, term.two_theta)
        total += term.weight * passes * (given @ share)
    return total / optics.passed


def _divergences(theta: float, eta: float, optics: Optics) -> tuple[Floats, Floats, Floats]:
    """Nodes (ζ_∥, ζ_⊥) of the divergences and their shares."""
    reach = min(optics.clip, 8.0 * optics.divergence_vertical)
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    vertical = reach * node
    if math.isfinite(optics.divergence_vertical):
        weight = weight * np.exp(-0.5 * (vertical / optics.divergence_vertical) ** 2)
    horizontal, share = np.zeros(1), np.ones(1)
    if optics.divergence_horizontal > 0.0:
        horizontal, share = horizontal_nodes(theta, eta, optics)
    v, h = (part.ravel() for part in np.meshgrid(vertical, horizontal, indexing="ij"))
    shares = np.outer(weight / weight.sum(), share).ravel()
    cosine, sine = math.cos(eta), math.sin(eta)
    return v * cosine - h * sine, v * sine + h * cosine, shares


def _rock_given(theta: float, optics: Optics, rock: Floats, along: Floats) -> Floats:
    """Density of q_rock' at every node, (n, nodes)."""
    energy = (rock[:, None] + math.cos(theta) * along) / math.sin(theta)
    return np.asarray(
        sum(
            share * _gauss(energy - centre, rms) / math.sin(theta)
            for share, centre, rms in optics.energies
        )
    )


def _roll_given(
    theta: float, optics: Optics, roll: Floats, across: Floats, windows: tuple[Window, ...]
) -> Floats:
    """Density of q_roll at every node, (n, nodes)."""
    xi = 2.0 * math.sin(theta) * roll[:, None] + across
    return 2.0 * math.sin(theta) * _gauss(xi, optics.lens) * transmission(windows, xi)


def _two_theta_given(
    theta: float, optics: Optics, two_theta: Floats, along: Floats, windows: tuple[Window, ...]
) -> Floats:
    """Density of q_2θ at every node, (n, nodes)."""
    total = np.zeros((two_theta.size, along.size))
    for share, centre, rms in optics.energies:
        # A Gaussian of the energy and one of the lens, which is cut by windows.
        y = 2.0 * math.sin(theta) * (two_theta - centre * math.cos(theta))
        x = y[:, None] + along * math.cos(2.0 * theta)
        smear = math.sin(2.0 * theta) * rms
        variance = smear**2 + optics.lens**2
        middle, width = x * optics.lens**2 / variance, smear * optics.lens / math.sqrt(variance)
        gauss = _gauss(x, math.sqrt(variance))
        for window in windows:
            inside = normal_between((window.low - middle) / width, (window.high - middle) / width)
            total += share * window.transmission * gauss * inside
    return 2.0 * math.sin(theta) * total


def _joint(
    theta: float,
    eta: float,
    optics: Optics,
    rock: Floats,
    two_theta: Floats,
    windows: tuple[Window, ...],
) -> Floats:
    """Joint density of (q_rock', q_2θ): that of the in-plane divergence, ζ_v cosη - ζ_h sinη."""
    projected = max(abs(math.cos(eta)), 1e-6)
    in_plane = replace(
        optics,
        divergence_vertical=optics.divergence_vertical * projected,
        clip=optics.clip * projected,
    )
    density = AcceptanceFactors(theta, in_plane).rock_two_theta
    nodes, shares = np.zeros(1), np.ones(1)
    if optics.divergence_horizontal > 0.0:
        nodes, shares = horizontal_nodes(theta, eta, optics)
    q1, q3 = rock[:, None], two_theta[None, :]
    per_angle = ray_map(theta, eta, AT_REST)[:, 2]
    return np.asarray(
        sum(
            share * density(q1 - node * per_angle[0], q3 - node * per_angle[2], windows)
            for node, share in zip(nodes, shares, strict=True)
        )
    )


def _gauss(x: Floats, sigma: float) -> Floats:
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (math.sqrt(2.0 * math.pi) * sigma))

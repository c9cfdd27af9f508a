"""Compiled loops of the ray tracing: random numbers, rays, counts in voxels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled
from weakbeam.core.random import STEP, mixed, normal_quantiles

ROUND, CENTRAL, WIRE = 0, 1, 2
"""Kinds of stop that rays are tried against."""

_PER_RAY = np.uint64(8)
_TRIAL, _LINE = 6, 7
_BLOCK = 1024
_LARGEST = 1.0 - 2.0**-53


class Rays(NamedTuple):
    """What the loops need to know of the instrument.

    A variable (ε, ζ_v, ζ_h, δ, ξ, or the moment of the exposure) is σ Φ⁻¹(start + span u), or
    start + span u where σ is zero, with u uniform between 0 and 1. A negative σ mirrors the
    Gaussian. ε is then moved to one of the lines of the spectrum.
    """

    key: np.uint64
    """Start of the sequence of random numbers."""
    lines: Floats
    """(m, 3): cumulated share, centre and rms of the Gaussians of the spectrum."""
    draws: Floats
    """(6, 3): σ, start and span of each variable."""
    ray_map: Floats
    """(3, 6): q in the imaging frame from the variables."""
    imaging_from_lab: Floats
    """(3, 3): rotation."""
    stops: Floats
    """(n, 5): kind, axis, position, size and optical depth of each stop."""
    exact: bool
    """Elastic kinematics instead of the linear map."""


@compiled
def uniforms(key: np.uint64, first: int, variable: int, u: Floats) -> None:
    """Fill u with the random numbers of a variable of the rays from `first` on, 0 < u < 1."""
    start = key + (np.uint64(first) * _PER_RAY + np.uint64(variable)) * STEP
    for i in range(len(u)):
        bits = mixed(start + np.uint64(i) * (_PER_RAY * STEP)) >> np.uint64(12)
        u[i] = (np.float64(bits) + 0.5) * 2.0**-52


@compiled
def transmission(stops: Floats, delta: float, xi: float) -> float:
    """Probability that a ray passes all stops."""
    share = 1.0
    for stop in range(len(stops)):
        kind, size = stops[stop, 0], stops[stop, 3]
        if kind == ROUND:
            if delta * delta + xi * xi >= size * size:
                return 0.0
        elif kind == CENTRAL:
            if abs(delta) < size and abs(xi) < size:
                return 0.0
        else:
            x = ((delta if stops[stop, 1] == 0.0 else xi) - stops[stop, 2]) / size
            if abs(x) < 1.0:
                share *= math.exp(-stops[stop, 4] * math.sqrt(1.0 - x * x))
    return share


@compiled
def draw(rays: Rays, first: int, variables: Floats) -> None:
    """Fill the rows of `variables`, (6, n), for the rays from `first` on."""
    n = variables.shape[1]
    u = np.empty(n)
    for variable in range(6):
        sigma, start, span = rays.draws[variable]
        row = variables[variable]
        if span == 0.0:
            row[:] = start
            continue
        uniforms(rays.key, first, variable, u)
        if sigma == 0.0:
            row[:] = start + span * u
            continue
        for i in range(n):
            u[i] = min(start + span * u[i], _LARGEST)
        normal_quantiles(u, row)
        for i in range(n):
            row[i] *= sigma
    energies = variables[0]
    if len(rays.lines) > 1:
        uniforms(rays.key, first, _LINE, u)
    else:
        u[:] = 0.0
    for i in range(n):
        line = 0
        while u[i] >= rays.lines[line, 0] and line + 1 < len(rays.lines):
            line += 1
        energies[i] = rays.lines[line, 1] + rays.lines[line, 2] * energies[i]


@compiled
def let_pass(rays: Rays, first: int, number: int, variables: Floats) -> int:
    """Move those of `number` rays that pass the stops to the front; how many they are."""
    if len(rays.stops) == 0:
        return number
    u = np.empty(number)
    uniforms(rays.key, first, _TRIAL, u)
    passed = 0
    for i in range(number):
        if u[i] < transmission(rays.stops, variables[3, i], variables[4, i]):
            for variable in range(6):
                variables[variable, passed] = variables[variable, i]
            passed += 1
    return passed


@compiled
def linear_q(ray_map: Floats, variables: Floats, number: int, q: Floats) -> None:
    """Fill q, (3, n), with the linear map of the first `number` rays."""
    for axis in range(3):
        m0, m1, m2 = ray_map[axis, 0], ray_map[axis, 1], ray_map[axis, 2]
        m3, m4, m5 = ray_map[axis, 3], ray_map[axis, 4], ray_map[axis, 5]
        for i in range(number):
            beam = m0 * variables[0, i] + m1 * variables[1, i] + m2 * variables[2, i]
            lens = m3 * variables[3, i] + m4 * variables[4, i] + m5 * variables[5, i]
            q[axis, i] = beam + lens


@compiled
def exact_q(rays: Rays, variables: Floats, number: int, q: Floats) -> None:
    """Fill q, (3, n), with the difference of wavevectors of equal length of `number` rays."""
    scale = rays.ray_map[2, 3]  # 1/(2 sinθ)
    for axis in range(3):
        along, across, up = rays.imaging_from_lab[axis]
        moved = rays.ray_map[axis, 5]
        for i in range(number):
            energy, vertical, horizontal = variables[0, i], variables[1, i], variables[2, i]
            delta, xi = variables[3, i], variables[4, i]
            incident = (1.0 + energy) / math.sqrt(1.0 + horizontal**2 + vertical**2)
            leaving = (1.0 + energy) / math.sqrt(1.0 + xi**2 + delta**2)
            k_in = along * (incident - 1.0) + incident * (across * horizontal + up * vertical)
            slope = delta if axis == 2 else xi
            k_out = leaving - 1.0 if axis == 0 else leaving * slope
            q[axis, i] = scale * (k_out - k_in) + moved * variables[5, i]


@compiled
def trace_block(rays: Rays, first: int, number: int, variables: Floats, q: Floats) -> int:
    """Fill q, (3, n), with the rays that pass, of `number` from `first` on; how many they are."""
    draw(rays, first, variables)
    passed = let_pass(rays, first, number, variables)
    if rays.exact:
        exact_q(rays, variables, passed, q)
    else:
        linear_q(rays.ray_map, variables, passed, q)
    return passed


@compiled
def collect(rays: Rays, first: int, number: int, q: Floats) -> int:
    """Write the rays that pass, of `number` from `first` on, to rows of q until it is full."""
    variables, block, taken = np.empty((6, _BLOCK)), np.empty((3, _BLOCK)), 0
    for start in range(first, first + number, _BLOCK):
        n = min(_BLOCK, first + number - start)
        passed = trace_block(rays, start, n, variables, block)
        for i in range(min(passed, len(q) - taken)):
            q[taken + i] = block[:, i]
        taken += min(passed, len(q) - taken)
    return taken


@compiled
def count_into(
    rays: Rays,
    first: int,
    number: int,
    low: Floats,
    per_step: Floats,
    counts: NDArray[np.integer[Any]],
) -> int:
    """Count `number` rays from `first` on in their voxels; how many passed the stops."""
    n0, n1, n2 = counts.shape
    flat = counts.reshape(-1)
    variables, q = np.empty((6, _BLOCK)), np.empty((3, _BLOCK))
    voxels, total = np.empty(_BLOCK, np.int64), 0
    for start in range(first, first + number, _BLOCK):
        n = min(_BLOCK, first + number - start)
        passed = trace_block(rays, start, n, variables, q)
        total += passed
        # Indices first: a plain loop of increments keeps many memory accesses in flight.
        for i in range(passed):
            x = (q[0, i] - low[0]) * per_step[0]
            y = (q[1, i] - low[1]) * per_step[1]
            z = (q[2, i] - low[2]) * per_step[2]
            inside = 0.0 <= x < n0 and 0.0 <= y < n1 and 0.0 <= z < n2
            voxels[i] = (int(x) * n1 + int(y)) * n2 + int(z) if inside else -1
        for i in range(passed):
            if voxels[i] >= 0:
                flat[voxels[i]] += 1
    return total

r"""The light of a point on the camera: a Fourier integral over the angles that the lens lets pass.

A row and a column of the image are steps across the beam, and their phases two angles, f and g. The
integral is taken over lines of equal f, on nodes that the stops choose: what a line crosses, and
where lines begin to cross it, are ends of pieces in which the transmission is smooth and
Gauss-Legendre nodes are exact to many digits. At rims of round apertures and wires, where pieces
end like a root, the nodes crowd.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.stops import (
    AXES,
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
    Stop,
)

_REACH = 5.5 * math.sqrt(2.0)
"""Where the amplitude of a Gaussian lens counts as over, in standard deviations of intensity."""

_NODES_PER_RADIAN = 0.6
_NODES = 32


@dataclass(frozen=True, eq=False)
class Pupil:
    """Nodes of an integral over the angles at which light passes the lens.

    Parameters
    ----------
    rows : (n,) ndarray
        Phases per row of the image (rad).
    columns : (n, m) ndarray
        Phases per column (rad) at each phase per row.
    amplitude : (n, m) ndarray
        Root of the transmission, times the weight of the node.
    light : float
        Integral of the transmission over the phases (rad²).
    """

    rows: Floats
    columns: Floats
    amplitude: Floats
    light: float

    def intensity(self, half: int, step: float) -> Floats:
        r"""Intensity about the middle of a point's image.

        Parameters
        ----------
        half : int
            Samples on either side.
        step : float
            From one sample to the next (pixels).

        Returns
        -------
        (2 half + 1, 2 half + 1) ndarray
            :math:`|\int A\,e^{i (f r + g c)} df\,dg|^2` at the row r and the column c.
        """
        turn = np.exp(1j * step * self.columns)
        wave = self.amplitude.astype(np.complex128)
        summed = np.empty((len(self.rows), half + 1), np.complex128)
        for column in range(half + 1):
            summed[:, column] = wave.sum(axis=1)
            wave *= turn
        places = step * np.arange(-half, half + 1)
        field = np.exp(1j * np.outer(places, self.rows)) @ summed
        intensity = np.abs(field) ** 2
        # The transmission is real: the field at the opposite place is the conjugate.
        return np.concatenate([intensity[::-1, :0:-1], intensity], axis=1)


def pupil(optics: Optics, phases: Floats, reach: float) -> Pupil:
    """Nodes for what lens, aperture and stops let pass.

    Parameters
    ----------
    optics : Optics
        What there is.
    phases : (2, 2) ndarray
        Phase per row (first column) and per column (second) of the image, of an angle of 1 rad
        along 2θ (first row) and along roll (second).
    reach : float
        How far from the middle the intensity will be asked for (pixels).

    Raises
    ------
    ValueError
        If nothing passes.
    """
    # (δ, ξ) = f first + g second.
    first, second = np.linalg.inv(phases)
    edge = passing_reach(optics)
    lines = [np.unique([-edge, edge, *_edges(optics.stops, axis)]) for axis in (0, 1)]
    lines = [line[np.abs(line) <= edge] for line in lines]
    radii = [stop.radius for stop in optics.stops if isinstance(stop, RoundOpening)]
    curved = any(isinstance(stop, RoundOpening | AbsorbingWire) for stop in optics.stops)
    corners = _corners(lines, radii, phases[:, 0])
    corners = corners[np.abs(corners).max(axis=1) <= edge * (1.0 + 1e-12)]
    f, along = _nodes(np.unique(corners @ phases[:, 0])[None, :], reach, curved)
    f, along = f[0], along[0]
    low, high = np.full(len(f), -np.inf), np.full(len(f), np.inf)
    ends = []
    for line, one, other in zip(lines, first, second, strict=True):
        if other != 0.0:
            crossings = (line - np.outer(f, one)) / other
            low = np.maximum(low, crossings.min(axis=1))
            high = np.minimum(high, crossings.max(axis=1))
            ends.append(crossings)
    square, mixed = second @ second, first @ second
    for radius in radii:
        across = radius**2 / square - f**2 * (first @ first / square - (mixed / square) ** 2)
        root = np.sqrt(np.maximum(across, 0.0))
        ends.append(np.stack([-f * mixed / square - root, -f * mixed / square + root], axis=1))
    limits = np.clip(np.concatenate(ends, axis=1), low[:, None], np.maximum(low, high)[:, None])
    g, across = _nodes(np.sort(limits, axis=1), reach, curved)
    delta, xi = (f[:, None] * one + g * other for one, other in zip(first, second, strict=True))
    transmission = np.exp(-(delta**2 + xi**2) / (2.0 * optics.lens**2))
    for stop in optics.stops:
        transmission = transmission * _transmission(stop, delta, xi)
    weight = along[:, None] * across
    light = float((weight * transmission).sum())
    if not light > 0.0:
        raise ValueError("the apertures and stops let nothing through")
    return Pupil(f, g, weight * np.sqrt(transmission), light)


def passing_reach(optics: Optics) -> float:
    """Largest angle (rad) along 2θ or roll that passes."""
    sizes = [stop.half_width for stop in optics.stops if isinstance(stop, SquareOpening)]
    sizes += [stop.radius for stop in optics.stops if isinstance(stop, RoundOpening)]
    return min(optics.aperture, _REACH * optics.lens, *sizes)


def _edges(stops: tuple[Stop, ...], axis: int) -> list[float]:
    """Where the transmission jumps or has a root along δ (0) or ξ (1), but for circles."""
    edges: list[float] = []
    for stop in stops:
        match stop:
            case SquareOpening() | CentralBlock():
                edges += [-stop.half_width, stop.half_width]
            case KnifeBlade() if stop.axis == AXES[axis]:
                edges.append(stop.position)
            case AbsorbingWire() if stop.axis == AXES[axis]:
                edges += [stop.position - stop.radius, stop.position + stop.radius]
    return edges


def _corners(lines: list[Floats], radii: list[float], normal: Floats) -> Floats:
    """Angles (n, 2) at which edges meet, or touch a line across `normal`."""
    delta, xi = lines
    corners = list(product(delta, xi))
    for radius in radii:
        corners += [
            (d, sign * math.sqrt(radius**2 - d**2))
            for d in delta
            if abs(d) < radius
            for sign in (-1.0, 1.0)
        ]
        corners += [
            (sign * math.sqrt(radius**2 - x**2), x)
            for x in xi
            if abs(x) < radius
            for sign in (-1.0, 1.0)
        ]
        corners += [tuple(sign * radius * normal / np.linalg.norm(normal)) for sign in (-1.0, 1.0)]
    return np.array(corners)


def _nodes(ends: Floats, reach: float, curved: bool) -> tuple[Floats, Floats]:
    """Nodes and weights on all pieces between ends (n, m), both (n, nodes); ends may coincide."""
    nodes, weights = [], []
    for low, high in zip(ends.T[:-1], ends.T[1:], strict=True):
        half, middle = 0.5 * (high - low), 0.5 * (high + low)
        widest = float(half.max())
        if widest == 0.0:
            continue
        turns = _NODES_PER_RADIAN * reach * widest * (0.5 * math.pi if curved else 1.0)
        place, weight = _rule(math.ceil(turns) + _NODES, curved)
        nodes.append(middle[:, None] + half[:, None] * place)
        weights.append(half[:, None] * weight)
    return np.concatenate(nodes, axis=1), np.concatenate(weights, axis=1)


@lru_cache(maxsize=64)
def _rule(number: int, curved: bool) -> tuple[Floats, Floats]:
    """Nodes and weights from -1 to 1; those that crowd at the ends integrate roots there, too."""
    place, weight = np.polynomial.legendre.leggauss(number)
    if curved:
        weight = weight * 0.5 * math.pi * np.cos(0.5 * math.pi * place)
        place = np.sin(0.5 * math.pi * place)
    return np.asarray(place), np.asarray(weight)


def _transmission(stop: Stop, delta: Floats, xi: Floats) -> Floats:
    match stop:
        case SquareOpening():
            passes = np.maximum(np.abs(delta), np.abs(xi)) < stop.half_width
        case RoundOpening():
            passes = np.hypot(delta, xi) < stop.radius
        case CentralBlock():
            passes = np.maximum(np.abs(delta), np.abs(xi)) >= stop.half_width
        case KnifeBlade():
            x = (delta, xi)[AXES.index(stop.axis)]
            passes = x > stop.position if stop.side == "above" else x < stop.position
        case AbsorbingWire():
            x = ((delta, xi)[AXES.index(stop.axis)] - stop.position) / stop.radius
            chord = np.sqrt(np.maximum(1.0 - x**2, 0.0))
            depth = np.where(chord > 0.0, stop.optical_depth * np.maximum(chord, 1e-300), 0.0)
            return np.asarray(np.exp(-depth))
    return np.asarray(passes, dtype=np.float64)

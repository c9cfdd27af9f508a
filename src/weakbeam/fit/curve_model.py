r"""The curves of a region that is nearly perfect, as a function of offsets and optics.

A perfect crystal shows the acceptance of the instrument itself: block b of the region has in frame
f, with the motors at :math:`x_f`, the counts

.. math:: \mu_{bf} = a_b \, \langle p(M^T (x_f + x_0 + t)) \rangle_b + d_b

with the motor vectors M, zero offsets :math:`x_0`, a slight tilt t of the lattice, a polynomial of
degree 2 over the region that is averaged over the block (two Gauss points along either edge), and
brightness and dark level of each block, in which the model is linear: they are eliminated exactly.
(docs/explanation/physics.md, C4 and A3.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.oblique_acceptance import ObliqueAcceptance
from weakbeam.instrument.optics import Optics

ANGLES = ("phi", "chi", "two_theta")
WIDTHS = ("clip", "divergence_vertical", "bandwidth", "lens", "aperture")
"""Widths of the optics that may be fitted, on a logarithmic scale."""

TILT_TERMS = 5
_STEPS = (5e-7, 5e-6, 5e-6)
"""Of φ, χ and 2θ (rad) for derivatives: small against the sharpest edges of p."""

_WIDTH_STEP = 1e-3
_GAUSS = 1.0 / math.sqrt(3.0)


@dataclass(frozen=True)
class Priors:
    """Standard deviations of what is known beforehand.

    Parameters
    ----------
    offset : float
        Zero offsets of the motors (rad); of one that moves, half of its range if that is more.
    clip, divergence_vertical, bandwidth, lens, aperture : float
        Relative, of the widths of the optics.
    tilt : float
        Of each term of the lattice's tilt over the region (rad).
    """

    offset: float = 20e-6
    clip: float = 0.2
    divergence_vertical: float = 0.2
    bandwidth: float = 0.3
    lens: float = 0.1
    aperture: float = 0.1
    tilt: float = 30e-6


@dataclass(frozen=True, eq=False)
class Blocks:
    """Curves of the blocks of a region.

    Parameters
    ----------
    counts : (blocks, frames) ndarray
        Mean counts of the pixels of each block.
    variance : (blocks, frames) ndarray
        Of these means.
    places : (blocks, 2) ndarray
        Where the middle of each block is, rows and columns, both from -1 to 1 over the region.
    size : (blocks, 2) ndarray
        Edges of the blocks in the same unit.
    pixels : (blocks,) ndarray
        How many pixels are in each.
    """

    counts: Floats
    variance: Floats
    places: Floats
    size: Floats
    pixels: Floats

    def kept(self, which: NDArray[np.bool_]) -> Blocks:
        """Some of them."""
        parts = (self.counts, self.variance, self.places, self.size, self.pixels)
        return Blocks(*(part[which] for part in parts))

    @property
    def tilt_terms(self) -> Floats:
        """Values of the terms of the tilt at four points of every block, (blocks, 4, 5).

        Legendre polynomials, so that none has a mean over the region: what is common to all of it
        belongs to the zero offsets.
        """
        corners = 0.5 * _GAUSS * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        u, v = np.moveaxis(self.places[:, None, :] + corners * self.size[:, None, :], -1, 0)
        return np.stack([u, v, 1.5 * u * u - 0.5, u * v, 1.5 * v * v - 0.5], axis=-1)


@dataclass(frozen=True, eq=False)
class CurveModel:
    """The curves of a perfect crystal as a function of parameters.

    All parameters are in units of the width of their prior, from its middle.

    Parameters
    ----------
    acceptance : SymmetricAcceptance or ObliqueAcceptance
        As it is given.
    motors : (3, 3) ndarray
        Change of q per rad of φ, χ and 2θ.
    positions : (frames, 3) ndarray
        Where these stand, from the Bragg setting (rad), as written.
    start : (3,) ndarray
        Offsets in the middle of their priors.
    moving : tuple of str
        Which of them move.
    priors : Priors
        The widths.
    """

    acceptance: SymmetricAcceptance | ObliqueAcceptance
    motors: Floats
    positions: Floats
    start: Floats
    moving: tuple[str, ...]
    priors: Priors

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: offsets, widths, and terms of the tilt along moving motors."""
        optics = self.acceptance.optics
        widths = [name for name in WIDTHS if math.isfinite(getattr(optics, name))]
        if optics.spectrum:
            widths.remove("bandwidth")
        tilts = [f"tilt_{motor}_{k}" for motor in self.moving for k in range(TILT_TERMS)]
        return (*(f"offset_{motor}" for motor in ANGLES), *widths, *tilts)

    @property
    def scales(self) -> Floats:
        """Widths of the priors: rad, of the optics' widths relative."""
        ranges = 0.5 * np.ptp(self.positions, axis=0)
        offsets = dict(zip(ANGLES, np.maximum(self.priors.offset, ranges), strict=True))
        return np.array([self._scale(name, offsets) for name in self.names])

    def _scale(self, name: str, offsets: dict[str, float]) -> float:
        if name.startswith("offset_"):
            return float(offsets[name.removeprefix("offset_")])
        return self.priors.tilt if name.startswith("tilt_") else float(getattr(self.priors, name))

    def offsets(self, z: Floats) -> Floats:
        """Zero offsets (rad) of parameters."""
        return self.start + (self.scales * z)[:3]

    def optics(self, z: Floats) -> Optics:
        """Optics of parameters."""
        given = self.acceptance.optics
        values = dict(zip(self.names, self.scales * z, strict=True))
        changed = {name: getattr(given, name) * math.exp(values[name]) for name in self._widths}
        return replace(given, **changed)

    @property
    def _widths(self) -> list[str]:
        return [name for name in self.names if name in WIDTHS]

    def with_aperture(self, aperture: float, prior: float) -> CurveModel:
        """The same with another aperture of the lens (rad), and the relative width of its prior."""
        optics = replace(self.acceptance.optics, aperture=aperture)
        return replace(
            self,
            acceptance=replace(self.acceptance, optics=optics),
            priors=replace(self.priors, aperture=prior),
        )

    def curves(self, z: Floats, terms: Floats) -> Floats:
        """Intensity relative to the peak of each block in each frame, (blocks, frames)."""
        return np.asarray(self._relative(self._q(z, terms), self.optics(z)).mean(axis=1))

    def _q(self, z: Floats, terms: Floats) -> Floats:
        """q at the points of the blocks in every frame, (blocks, points, frames, 3)."""
        values = self.scales * z
        angles = self.positions + self.start + values[:3]
        q = np.broadcast_to(angles @ self.motors, (*terms.shape[:2], *self.positions.shape))
        first = len(self.names) - TILT_TERMS * len(self.moving)
        for k, motor in enumerate(self.moving):
            some = slice(first + k * TILT_TERMS, first + (k + 1) * TILT_TERMS)
            tilt = terms @ values[some]
            q = q + tilt[..., None, None] * self.motors[ANGLES.index(motor)]
        return np.asarray(q)

    def _relative(self, q: Floats, optics: Optics) -> Floats:
        acceptance = replace(self.acceptance, optics=optics)
        return np.asarray(acceptance.density(q) / acceptance.peak)

    def derivatives(self, z: Floats, terms: Floats) -> tuple[Floats, Floats]:
        """Curves, and their derivatives by all parameters, (parameters, blocks, frames)."""
        q, optics, scales = self._q(z, terms), self.optics(z), self.scales
        here = self._relative(q, optics)
        columns: list[Floats] = []
        slopes = {}
        for motor, vector, step in zip(ANGLES, self.motors, _STEPS, strict=True):
            up, down = (self._relative(q + way * step * vector, optics) for way in (1, -1))
            slopes[motor] = (up - down) / (2.0 * step)
            columns.append(slopes[motor].mean(axis=1))
        for name in self._widths:
            columns.append(self._by_width(name, q, optics, here).mean(axis=1))
        for motor in self.moving:
            columns += [
                (slopes[motor] * terms[..., k, None]).mean(axis=1) for k in range(TILT_TERMS)
            ]
        return here.mean(axis=1), np.stack(columns) * scales[:, None, None]

    def _by_width(self, name: str, q: Floats, optics: Optics, here: Floats) -> Floats:
        """Derivative by the logarithm of a width.

        Where nothing blurs ξ the density jumps at the aperture along roll: no derivative tells of
        that, and one that met a frame by chance would tell falsely. It is taken on the axis.
        """
        share: Floats | float = 1.0
        if name == "aperture" and self.acceptance.factors is not None:
            axis = q * np.array([1.0, 0.0, 1.0])
            peak = self._relative(axis, optics)
            share = np.divide(here, peak, out=np.zeros_like(here), where=peak > 0.0)
            q = axis
        value = getattr(optics, name)
        up, down = (
            self._relative(q, replace(optics, **{name: value * math.exp(way * _WIDTH_STEP)}))
            for way in (1, -1)
        )
        return share * (up - down) / (2.0 * _WIDTH_STEP)

"""Where fits of types begin: the best whole-block shift and the best tilt of the whole lattice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from weakbeam.core.arrays import Floats, Floats32
from weakbeam.defects.types import DislocationType
from weakbeam.identify.nuisances.window_model import WindowModel
from weakbeam.identify.nuisances.windows import MARGIN

_OVERLAP = 0.5
"""Least share of a window's blocks that a shifted image must cover."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where the fit of a type begins."""

    type: DislocationType
    position_um: Floats
    nuisances: dict[str, float]
    gain: float
    """Log-likelihood above that of an even background."""


class StartFinder:
    """Compares images of types with those of a window at all shifts and tilts of the lattice.

    Parameters
    ----------
    model : WindowModel
        Window and nuisances.
    max_shift : int
        Largest shift (pixels) along rows and columns.
    reach : float
        Largest tilt of the whole lattice (rad).

    Notes
    -----
    An offset of φ changes images so much that no climb leads from one to the next one that fits:
    at φ = 0.15 mrad, 20 µrad off, half of the types end far from where they would explain the
    images best. So all offsets are tried, in steps as wide as the flanks of the acceptance. Images
    of one type at all of them are of one pass, and Fourier transforms compare them at all shifts,
    with free brightness and background.
    """

    def __init__(self, model: WindowModel, max_shift: int, reach: float) -> None:
        self.model = model
        window = model.window
        self._renderer = model.instrument(*model.told)
        self.most = math.ceil(max_shift / window.factor)
        self.shape = tuple(
            next_fast_len(n + self.most + MARGIN + 1, real=True) for n in window.shape
        )
        count = int(reach / model.step)
        self.tilts = model.step * np.arange(-count, count + 1)
        weight = np.where(window.number > 0, 1.0 / model.variance.reshape(window.counts.shape), 0.0)
        weight *= model.trust.reshape(weight.shape)
        # Of even brightness, so that single precision is enough.
        self._unit = float(np.abs(window.counts).max()) or 1.0
        weight *= self._unit**2
        data = window.counts / self._unit
        self._weight, self._weighted = self._turned(weight), self._turned(weight * data)
        box = np.ones(tuple(k + 2 * MARGIN for k in window.shape))
        covered = self._turned(box)
        self._total = self._lags(self._weight * covered.conj())
        self._sum = self._lags(self._weighted * covered.conj())
        self._enough = self._total >= _OVERLAP * weight.sum(axis=(1, 2))[:, None, None]
        lags = np.arange(-self.most, self.most + 1)
        self._rows, self._columns = lags, lags
        p = model.priors.offsets["phi"]
        self._prior = -0.5 * ((self.tilts - p.mean) / p.width) ** 2 if p.free else 0.0 * self.tilts

    def _turned(self, images: Floats | Floats32) -> NDArray[np.complex64]:
        return np.asarray(rfft2(np.asarray(images, np.float32), self.shape))

    def _lags(self, products: NDArray[np.complex64]) -> Floats32:
        """Sums at all shifts, (..., rows, columns) of them."""
        whole = irfft2(products, self.shape)
        lags = np.arange(-self.most, self.most + 1) - MARGIN
        return np.asarray(whole[..., lags[:, None], lags], dtype=np.float32)

    def start(self, type: DislocationType, position_um: Floats) -> Start:
        """The best start of a type.

        Parameters
        ----------
        type : DislocationType
            What is compared.
        position_um : (3,) ndarray
            Where its line is at no shift.
        """
        model = self.model
        renderer, offsets = self._renderer, model.priors.offsets
        lines = renderer.lines_of(type.plane, type.burgers, type.character_deg, position_um)
        shifts = {}
        for r in model.groups:
            v = model.vectors[r]
            arm = offsets["two_theta"].mean * v[2]
            shifts[r] = self.tilts[:, None] * v[0] + arm, offsets["chi"].mean * v[1][None]
        images = renderer.offset_images(lines, shifts)[0]
        best: tuple[float, int, int, int] = (-math.inf, 0, 0, 0)
        total, nuisances, first = 0.0, dict[str, float](), 0
        for r in model.groups:
            own = np.flatnonzero(model.of == r)
            gain = self._gains(images[:, own], own) + self._prior[:, None, None]
            k, row, column = (int(n) for n in np.unravel_index(int(gain.argmax()), gain.shape))
            highest = float(gain[k, row, column])
            total += highest
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            if offsets["phi"].free:
                nuisances[f"phi_offset{mark}"] = float(self.tilts[k])
            if highest > best[0]:
                best, first = (highest, k, row, column), r
        steps = np.stack(renderer.pixel_steps(first))
        way = np.array([self._rows[best[2]], self._columns[best[3]]]) @ steps
        place = position_um + renderer.turn(first).T @ way
        return Start(type, place, nuisances, total)

    def _gains(self, images: Floats32, own: NDArray[np.intp]) -> Floats:
        """Log-likelihood gained by images (tilts, conditions, rows, columns) at all shifts."""
        plain, squared = self._turned(images), self._turned(images**2)
        sums = self._lags(self._weight[own] * plain.conj())
        squares = self._lags(self._weight[own] * squared.conj())
        products = self._lags(self._weighted[own] * plain.conj())
        number = np.maximum(self._total[own], 1e-30)
        both = (products - sums * self._sum[own] / number).sum(axis=1)
        size = (squares - sums**2 / number).sum(axis=1)
        # Even images are nothing but rounding errors.
        uneven = size > 1e-3 * squares.sum(axis=1)
        fits = self._enough[own].all(axis=0) & uneven & (both > 0.0)
        return np.where(fits, 0.5 * both**2 / np.where(uneven, size, 1.0), -1e30)

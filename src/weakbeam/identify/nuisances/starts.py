"""Where fits of types begin: the best whole-block shift and the best tilt of the whole lattice."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    fields : sequence of (float, float)
        Tilts at the last row and the last column of a lattice that is bent evenly (rad), each of
        which is tried besides one that is not bent.

    Notes
    -----
    An offset of φ changes images so much that no climb leads from one to the next one that fits:
    at φ = 0.15 mrad, 20 µrad off, half of the types end far from where they would explain the
    images best. So all offsets are tried, in steps as wide as the flanks of the acceptance. Images
    of one type at all of them are of one pass, and Fourier transforms compare them at all shifts,
    with free brightness and background. A lattice that is bent evenly is tilted elsewhere in a
    shifted image by another amount, but everywhere by the same: another tilt of the whole.
    """

    def __init__(
        self,
        model: WindowModel,
        max_shift: int,
        reach: float,
        fields: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.model = model
        window = model.window
        self._renderer = model.instrument(*model.told)
        self.most = math.ceil(max_shift / window.factor)
        self.shape = tuple(
            next_fast_len(n + self.most + MARGIN + 1, real=True) for n in window.shape
        )
        count = int(reach / model.step)
        self.tilts = model.step * np.arange(-count, count + 1)
        self.fields = [(0.0, 0.0), *fields]
        self._bent = [self._field(*field) for field in self.fields]
        more = math.ceil(max(float(np.abs(field).max()) for field in self._bent))
        self._computed = model.step * np.arange(-count - more, count + more + 1)
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
        self._prior = [self._log_prior(number) for number in range(len(self.fields))]

    def _offsets(self, number: int) -> Floats:
        """Tilt of the whole lattice at all tilts of images and shifts, with one of the fields."""
        ways = []
        for amount, lags, n in zip(
            self.fields[number], (self._rows, self._columns), self.model.window.shape, strict=True
        ):
            ways.append(amount * lags * 2.0 / n)
        return np.asarray(self.tilts[:, None, None] - np.add.outer(*ways), dtype=np.float64)

    def _log_prior(self, number: int) -> Floats:
        p, tilt = self.model.priors.offsets["phi"], self.model.priors.tilt
        total = np.zeros((len(self.tilts), len(self._rows), len(self._columns)))
        if p.free:
            total -= 0.5 * ((self._offsets(number) - p.mean) / p.width) ** 2
        if number > 0:
            total -= 0.5 * sum(amount**2 for amount in self.fields[number]) / tilt**2
        return total

    def _field(self, row: float, column: float) -> Floats:
        """Tilts of all pixels of an image with its margin, in steps."""
        tilts = []
        for amount, n in zip((row, column), self.model.window.shape, strict=True):
            tilts.append(amount * ((np.arange(-MARGIN, n + MARGIN) + 0.5) * 2.0 / n - 1.0))
        return np.add.outer(*tilts) / self.model.step

    def _with_field(self, images: Floats32, field: Floats) -> Floats32:
        """Images at all tilts of the whole lattice, (tilts, conditions, rows, columns)."""
        more = (len(images) - len(self.tilts)) // 2
        if not field.any():
            return images[more : more + len(self.tilts)]
        low = np.floor(field).astype(np.intp)
        share = (field - low).astype(np.float32)
        rows, columns = np.indices(field.shape)
        first = np.arange(len(self.tilts))[:, None, None] + more + low
        above = np.minimum(first + 1, len(images) - 1)
        # Indices about a slice come first in what they choose.
        lower, upper = images[first, :, rows, columns], images[above, :, rows, columns]
        return np.moveaxis(lower + share[..., None] * (upper - lower), -1, 1)

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
            shifts[r] = self._computed[:, None] * v[0] + arm, offsets["chi"].mean * v[1][None]
        images = renderer.offset_images(lines, shifts)[0]
        best: tuple[float, int, int] = (-math.inf, 0, 0)
        total, nuisances, first = 0.0, dict[str, float](), 0
        for r in model.groups:
            own = np.flatnonzero(model.of == r)
            highest, number, k, row, column = max(
                self._highest(images[:, own], own, number) for number in range(len(self.fields))
            )
            total += highest
            mark = f"[{r}]" if len(model.groups) > 1 else ""
            if offsets["phi"].free:
                nuisances[f"phi_offset{mark}"] = float(self._offsets(number)[k, row, column])
            for name, value in zip(("[1]", "[2]"), self.fields[number], strict=True):
                if value:
                    nuisances[f"tilt_phi{mark}{name}"] = value
            if highest > best[0]:
                best, first = (highest, row, column), r
        steps = np.stack(renderer.pixel_steps(first))
        way = np.array([self._rows[best[1]], self._columns[best[2]]]) @ steps
        place = position_um + renderer.turn(first).T @ way
        return Start(type, place, nuisances, total)

    def _highest(
        self, images: Floats32, own: NDArray[np.intp], number: int
    ) -> tuple[float, int, int, int, int]:
        """The largest gain with one field: it, the field, and the numbers of tilt, row, column."""
        bent = self._with_field(images, self._bent[number])
        gain = self._gains(bent, own) + self._prior[number]
        k, row, column = (int(n) for n in np.unravel_index(int(gain.argmax()), gain.shape))
        return float(gain[k, row, column]), number, k, row, column

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

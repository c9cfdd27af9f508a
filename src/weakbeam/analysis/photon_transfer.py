r"""Gain and noise of a camera from the scan itself: the variance of its counts against their mean.

Two neighbouring pixels of a nearly perfect region see the same curve but for their sensitivity, a
constant and a slight turn of the lattice from one to the other. What is left of their difference
over the frames of a scan is noise, of twice the variance of one pixel, which grows with the counts
by the gain (J. R. Janesick, Photon Transfer, SPIE 2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Ints

_DARKEST = 0.05

_ROUNDS = 4
_LEAST = 0.01
_FAR = 6.0
"""Deviations beyond which a difference is no noise: rays of other origin, pixels that fail."""

_NONE, _NONE_OF_COUNTS = 1e-5, 1e-12
"""Share of the largest signal, squared, below which a variance is none; of whole numbers too."""


@dataclass(frozen=True)
class PhotonTransfer:
    """Variance of a pixel as gain · signal + floor.

    The signal is what the pixel has above the least light of its own curve (:func:`above_least`):
    the dark levels of pixels differ, and tell nothing of their noise.

    Parameters
    ----------
    gain, gain_error : float
        Counts per photon.
    floor, floor_error : float
        Variance at the least light.
    covariance : float
        Of gain and floor.
    least : float
        Variances are never less than this: a hundredth of their mean.
    noiseless : bool
        Whether the frames hold no noise at all; gain and floor are then 0.
    """

    gain: float
    gain_error: float
    floor: float
    floor_error: float
    covariance: float
    least: float = 0.0
    noiseless: bool = False

    def variance(self, signal: Floats) -> Floats:
        """Variance of single pixels."""
        return np.asarray(np.maximum(self.gain * signal + self.floor, self.least))

    def read_noise(self, least: float) -> tuple[float, float]:
        """Standard deviation without light, and its error, where the least signal is known."""
        variance = self.floor - self.gain * least
        error = self.floor_error**2 - 2.0 * least * self.covariance + (least * self.gain_error) ** 2
        sigma = float(np.sqrt(max(variance, 0.0)))
        return sigma, float(np.sqrt(max(error, 0.0))) / (2.0 * max(sigma, 1e-15))


def darkest_frames(curve: Floats) -> Ints:
    """The frames, a twentieth of them or three, in which a curve over the scan has least light."""
    few = max(3, round(_DARKEST * len(curve)))
    return np.asarray(np.argsort(curve, kind="stable")[:few])


def above_least(curves: Floats, darkest: Ints, axis: int) -> Floats:
    """Curves above their mean in the darkest frames; these are along an axis."""
    return np.asarray(curves - curves.take(darkest, axis=axis).mean(axis=axis, keepdims=True))


def photon_transfer(pairs: Floats, curves: Floats, changes: Floats) -> PhotonTransfer:
    """Fit the variance of the differences of neighbouring pixels against their counts.

    Parameters
    ----------
    pairs : (frames, 2, n) ndarray
        Counts of the pixels of each pair.
    curves : (frames, n) ndarray
        Curve of the crystal where each pair is, above its least light, with much less noise.
    changes : (k, frames, n) ndarray
        What else may tell the pixels of a pair apart, such as the derivatives of the curve by the
        motors; k may be 0.

    Returns
    -------
    PhotonTransfer
    """
    design = np.stack([curves, np.ones_like(curves), *changes], axis=-1).transpose(1, 0, 2)
    design = design / np.maximum(np.abs(design).max(axis=(0, 1)), 1e-300)
    difference = (pairs[:, 0] - pairs[:, 1]).T
    counts = 0.5 * (pairs[:, 0] + pairs[:, 1]).T
    deviation = np.ones_like(difference)
    line, covariance = np.zeros(2), np.zeros((2, 2))
    none = _NONE_OF_COUNTS if (pairs == np.rint(pairs)).all() else _NONE
    for _ in range(_ROUNDS):
        # Whitened, so that no noise of bright frames gets into the residuals of dark ones.
        fitted, _, freedom = _fitted(difference, design, deviation)
        square = 0.5 * (difference - fitted) ** 2
        _, share, _ = _fitted(counts, design, deviation)
        mean = share[:, :1] * design[..., 0]
        if float(np.median(square.mean(axis=1))) <= none * float(mean.max()) ** 2:
            return PhotonTransfer(0.0, 0.0, 0.0, 0.0, 0.0, noiseless=True)
        least = _LEAST * float(np.mean(square))
        line, covariance = _straight_line(mean, square, freedom, line, least)
        deviation = np.sqrt(np.maximum(line[0] * mean + line[1], least))
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return PhotonTransfer(
        float(line[0]),
        float(errors[0]),
        float(line[1]),
        float(errors[1]),
        float(covariance[0, 1]),
        _LEAST * float(np.mean(square)),
    )


def _fitted(values: Floats, design: Floats, deviation: Floats) -> tuple[Floats, Floats, Floats]:
    """Linear fit with weights of values (n, frames), its coefficients, and what it leaves.

    Of values with these standard deviations the residuals have the variance of the last,
    (n, frames), times theirs.
    """
    whitened = design / deviation[..., None]
    normal = np.einsum("nfj,nfk->njk", whitened, whitened, optimize=True)
    right = np.einsum("nfj,nf->nj", whitened, values / deviation, optimize=True)
    inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    shares = np.einsum("njk,nk->nj", inverse, right)
    taken = (np.matmul(whitened, inverse) * whitened).sum(axis=-1)
    return np.einsum("nfj,nj->nf", design, shares), shares, 1.0 - taken


def _straight_line(
    x: Floats, square: Floats, freedom: Floats, line: Floats, least: float
) -> tuple[Floats, Floats]:
    """Line through squares, that have twice their square as variance, and its covariance."""
    kept = np.ones(x.shape, bool)
    covariance = np.zeros((2, 2))
    for _ in range(_ROUNDS):
        expected = np.maximum(line[0] * x + line[1], least) if line.any() else np.mean(square)
        if line.any():
            kept = square < _FAR**2 * expected
        weight = kept / (2.0 * expected**2)
        columns = np.stack([(x * freedom).ravel(), freedom.ravel()])
        weighted = columns * weight.ravel()
        covariance = np.linalg.pinv(weighted @ columns.T, hermitian=True)
        line = covariance @ (weighted @ square.ravel())
    return line, covariance

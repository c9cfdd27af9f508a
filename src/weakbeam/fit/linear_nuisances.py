"""Nuisances in which a model is linear: eliminated exactly, with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats


@dataclass(frozen=True, eq=False)
class LinearFit:
    """The best coefficients of a linear model, and what is left.

    Parameters
    ----------
    coefficients : (k,) ndarray
        Their values.
    covariance : (k, k) ndarray
        Of them, the prior being part of it.
    chi_square : float
        Weighted squares of what is left, and of the way from the prior's mean in its widths.
    """

    coefficients: Floats
    covariance: Floats
    chi_square: float


class LinearSums:
    """Sums over pixels from which linear coefficients follow; images may come one by one.

    Parameters
    ----------
    count : int
        Number of coefficients.
    """

    def __init__(self, count: int) -> None:
        self.matrix: Floats = np.zeros((count, count))
        self.vector: Floats = np.zeros(count)
        self.squares = 0.0

    def add(
        self, data: Floats, weight: Floats, columns: Floats, own: slice | Floats = slice(None)
    ) -> None:
        """Add pixels.

        Parameters
        ----------
        data, weight : (n,) ndarray
            What is to be explained, and one over its variance; 0 where a pixel does not count.
        columns : (m, n) ndarray
            What the model is a linear combination of.
        own : slice or (m,) ndarray of int
            Which of the coefficients these are of.
        """
        weighted = columns * weight
        place = np.arange(len(self.vector))[own]
        self.matrix[np.ix_(place, place)] += weighted @ columns.T
        self.vector[place] += weighted @ data
        self.squares += float(np.sum(weight * data * data))

    def solved(self, mean: Floats | None = None, precision: Floats | None = None) -> LinearFit:
        """The best coefficients.

        Parameters
        ----------
        mean, precision : (k,) ndarray, optional
            Means of normal priors, and one over their variances: 0 where nothing is known.
        """
        count = len(self.vector)
        middle = np.zeros(count) if mean is None else mean
        stiff = np.zeros(count) if precision is None else precision
        matrix = self.matrix + np.diag(stiff)
        vector = self.vector + stiff * middle
        size = np.sqrt(np.diag(matrix))
        size[size == 0.0] = 1.0
        scaled = np.linalg.pinv(matrix / np.outer(size, size), rcond=1e-13, hermitian=True)
        covariance = scaled / np.outer(size, size)
        found = covariance @ vector
        chi_square = self.squares + float(stiff @ (middle * middle)) - float(found @ vector)
        return LinearFit(found, covariance, max(chi_square, 0.0))

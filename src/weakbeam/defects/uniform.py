"""The displacement gradient of a crystal that is strained and turned alike everywhere."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


def uniform_gradient(strain: ArrayLike, rotation: ArrayLike) -> Floats:
    """Displacement gradient of a crystal that is strained and then turned.

    F = R (1 + ε), with R = 1 + (sin ω / ω) W + ((1 − cos ω) / ω²) W² (Rodrigues), W r = ω × r. Thus
    R alone turns the lattice, and ε alone changes its spacings, however large they are
    (docs/explanation/physics.md, D7).

    Parameters
    ----------
    strain : (3, 3) array_like
        ε, symmetric.
    rotation : (3,) array_like
        Rotation vector ω (rad), right-handed.

    Returns
    -------
    (3, 3) ndarray
        β = F − 1.
    """
    small = np.array(strain, dtype=np.float64).reshape(3, 3)
    x, y, z = np.array(rotation, dtype=np.float64).reshape(3).tolist()
    turn = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = float(np.sqrt(x * x + y * y + z * z))
    # R − 1 as such: taken from R it would keep the digits of 1 only.
    half = 0.5 * np.sinc(angle / (2.0 * np.pi)) ** 2
    change = np.sinc(angle / np.pi) * turn + half * (turn @ turn)
    return np.asarray(change + small + change @ small)

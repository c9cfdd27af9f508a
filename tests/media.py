"""Elastic media for tests, and Stroh's eigenvalue form as an oracle of their lines."""

import numpy as np

from weakbeam.crystal.elasticity import AnisotropicMedium


def cubic(c11, c12, c44):
    """Cubic medium along its cube axes, GPa."""
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    matrix[:3, :3] += c12
    return AnisotropicMedium(matrix)


def trigonal(c11, c12, c13, c14, c33, c44):
    """Trigonal medium, x along a and z along c; hexagonal without c14, GPa."""
    return AnisotropicMedium(
        [
            [c11, c12, c13, c14, 0, 0],
            [c12, c11, c13, -c14, 0, 0],
            [c13, c13, c33, 0, 0, 0],
            [c14, -c14, 0, c44, 0, 0],
            [0, 0, 0, 0, c44, c14],
            [0, 0, 0, 0, c14, (c11 - c12) / 2],
        ]
    )


def isotropic(poisson_ratio, shear=50.0):
    """An isotropic medium by all its constants."""
    c12 = 2 * shear * poisson_ratio / (1 - 2 * poisson_ratio)
    return cubic(c12 + 2 * shear, c12, shear)


MEDIA = {
    "Cu": cubic(168.4, 121.4, 75.4),
    "Al": cubic(108.2, 61.3, 28.5),
    "Fe": cubic(231.0, 135.0, 116.0),
    "W": cubic(522.0, 204.0, 160.8),
    "quartz": trigonal(86.8, 7.04, 11.91, -18.04, 105.75, 58.2),
    "GaN": trigonal(390.0, 145.0, 106.0, 0.0, 398.0, 105.0),
}


def random_medium(seed):
    """Constants without any symmetry, positive definite."""
    factor = np.random.default_rng(seed).normal(size=(6, 6))
    return AnisotropicMedium(20.0 * factor @ factor.T + 30.0 * np.eye(6))


def stroh(points, line, medium):
    """β (n, 3, 3) of a line without core, from the eigenvectors of Stroh's matrix.

    After A. N. Stroh (1958); Hirth & Lothe (1982), 13-3. It fails where eigenvalues coincide.
    """
    m, n, _ = line.axes

    def contracted(a, b):
        return np.einsum("i,ijkl,l->jk", a, medium.stiffness, b)

    inverse = np.linalg.inv(contracted(n, n))
    turned = inverse @ contracted(n, m)
    matrix = np.block(
        [
            [-turned, -inverse],
            [contracted(m, m) - contracted(m, n) @ turned, -contracted(m, n) @ inverse],
        ]
    )
    roots, vectors = np.linalg.eig(matrix)
    offset = points - line.position
    beta = np.zeros((len(points), 3, 3), complex)
    for p, vector in zip(roots, vectors.T, strict=True):
        a, force = vector[:3], vector[3:]
        strength = (force @ line.burgers_vector) / (2 * a @ force)
        z = offset @ m + p * (offset @ n)
        beta += np.sign(p.imag) * strength * np.einsum("k,l,p->pkl", a, m + p * n, 1 / z)
    beta /= 2j * np.pi
    assert np.abs(beta.imag).max() < 1e-9 * np.abs(beta.real).max()
    return beta.real

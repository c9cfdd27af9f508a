"""Mura's line integral of the Green's function, written out and summed by quadrature.

It shares nothing with the package: the Green's function of an isotropic medium is differentiated
here, contracted with the stiffness, and integrated along each segment.
"""

import numpy as np

LEVI_CIVITA = np.zeros((3, 3, 3))
for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    LEVI_CIVITA[i, j, k], LEVI_CIVITA[i, k, j] = 1.0, -1.0


def isotropic_stiffness(nu):
    """C_ijkl for a shear modulus of 1."""
    delta = np.eye(3)
    lame = 2.0 * nu / (1.0 - 2.0 * nu)
    shear = np.einsum("ik,jl->ijkl", delta, delta) + np.einsum("il,jk->ijkl", delta, delta)
    return lame * np.einsum("ij,kl->ijkl", delta, delta) + shear


def greens_derivative(r, nu, core):
    """G_ip,q at (n, 3) distances for a shear modulus of 1, with R_a² = R² + a² in place of R²."""
    delta = np.eye(3)
    square = np.sum(r * r, axis=-1) + core**2
    cubed, fifth = square[:, None] ** -1.5, square[:, None] ** -2.5
    # ∇² R_a = 2 / R_a + a² / R_a³, and the third derivatives of R_a.
    laplacian = -2.0 * r * cubed - 3.0 * core**2 * r * fifth
    third = 3.0 * np.einsum("ni,np,nq->nipq", r, r, r * fifth)
    for one in ("ip,nq->nipq", "iq,np->nipq", "pq,ni->nipq"):
        third -= np.einsum(one, delta, r * cubed)
    full = np.einsum("ip,nq->nipq", delta, laplacian) - third / (2.0 * (1.0 - nu))
    return full / (8.0 * np.pi)


def anisotropic_derivative(directions, stiffness, steps=96):
    """G_ip,q (n, 3, 3, 3) at unit distance in any medium: the integral over a circle (Barnett)."""
    least = np.eye(3)[np.argmin(np.abs(directions), axis=1)]
    first = np.cross(directions, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(directions, first)
    total = np.zeros((len(directions), 3, 3, 3))
    for angle in np.pi * np.arange(steps) / steps:
        z = np.cos(angle) * first + np.sin(angle) * second
        inverse = np.linalg.inv(np.einsum("nj,ijkl,nl->nik", z, stiffness, z, optimize=True))
        mixed = np.einsum("nj,ijkl,nl->nik", z, stiffness, directions, optimize=True)
        f = inverse @ (mixed + mixed.transpose(0, 2, 1)) @ inverse
        total += f[..., None] * z[:, None, None] - inverse[..., None] * directions[:, None, None]
    return total / (4.0 * np.pi * steps)


def gradient_by_quadrature(points, starts, ends, burgers, nu, core=0.0, nodes=400):
    """β (n, 3, 3) at points (n, 3) of segments between rows of `starts` and `ends`."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    stiffness = isotropic_stiffness(nu)
    beta = np.zeros((len(points), 3, 3))
    for start, end, b in zip(starts, ends, np.broadcast_to(burgers, np.shape(starts)), strict=True):
        tensor = np.einsum("jnh,pqmn,m,h->jpq", LEVI_CIVITA, stiffness, b, end - start)
        for share, weight in zip(0.5 * (x + 1.0), 0.5 * weights, strict=True):
            r = points - (start + share * (end - start))
            beta += weight * np.einsum("jpq,nipq->nij", tensor, greens_derivative(r, nu, core))
    return beta

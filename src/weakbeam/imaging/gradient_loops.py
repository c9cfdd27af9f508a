"""Compiled loop from the deformation to q, at many points at once."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled, inlined

_TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""

NOWHERE = 1e3
"""Value of q given to points that do not diffract: far outside any acceptance."""


@inlined
def change_of_q(
    x_row: tuple[float, float, float],
    y_row: tuple[float, float, float],
    z_row: tuple[float, float, float],
    q0x: float,
    q0y: float,
    q0z: float,
) -> tuple[float, float, float, bool]:
    r"""Change :math:`-F^{-T} \beta^T \hat q_0`, in the frame of β, and whether there is one.

    Parameters
    ----------
    x_row, y_row, z_row : tuple of 3 float
        The rows of β.
    q0x, q0y, q0z : float
        Unit diffraction vector.
    """
    bxx, bxy, bxz = x_row
    byx, byy, byz = y_row
    bzx, bzy, bzz = z_row
    fxx, fyy, fzz = 1.0 + bxx, 1.0 + byy, 1.0 + bzz
    # Rows of the cofactor matrix, which is F^-T det F.
    cxx, cxy, cxz = fyy * fzz - byz * bzy, byz * bzx - byx * fzz, byx * bzy - fyy * bzx
    cyx, cyy, cyz = bxz * bzy - bxy * fzz, fxx * fzz - bxz * bzx, bxy * bzx - fxx * bzy
    czx, czy, czz = bxy * byz - bxz * fyy, bxz * byx - fxx * byz, fxx * fyy - bxy * byx
    det = fxx * cxx + bxy * cxy + bxz * cxz
    px = q0x * bxx + q0y * byx + q0z * bzx
    py = q0x * bxy + q0y * byy + q0z * bzy
    pz = q0x * bxz + q0y * byz + q0z * bzz
    scale = -1.0 / det
    x = scale * (cxx * px + cxy * py + cxz * pz)
    y = scale * (cyx * px + cyy * py + cyz * pz)
    z = scale * (czx * px + czy * py + czz * pz)
    # Infinite or undefined components fail this comparison too.
    return x, y, z, det > 0.0 and abs(x) + abs(y) + abs(z) < NOWHERE


@compiled
def q_from_gradient(gradient: Floats, q0: Floats, rotation: Floats, q: Floats) -> int:
    r"""Change of the diffraction vector, :math:`-R F^{-T} \beta^T \hat q_0`, at many points.

    Parameters
    ----------
    gradient : (9, n) ndarray
        β, rows xx, xy, xz, yx, ...
    q0 : (3,) ndarray
        Unit diffraction vector in the frame of β.
    rotation : (3, 3) ndarray
        R, from the frame of β to that of the result.
    q : (3, n) ndarray
        Filled in; NOWHERE where β is not finite or det F ≤ 0.

    Returns
    -------
    int
        Number of points that do not diffract.
    """
    q0x, q0y, q0z = q0[0], q0[1], q0[2]
    r00, r01, r02 = rotation[0, 0], rotation[0, 1], rotation[0, 2]
    r10, r11, r12 = rotation[1, 0], rotation[1, 1], rotation[1, 2]
    r20, r21, r22 = rotation[2, 0], rotation[2, 1], rotation[2, 2]
    # Loops over a tile of known width become vector instructions, as it is clear to the compiler
    # that nothing written overlaps with what is read.
    b, out = np.empty((9, _TILE)), np.empty((3, _TILE))
    masked = 0
    for start in range(0, gradient.shape[1], _TILE):
        stop = min(start + _TILE, gradient.shape[1])
        for k in range(9):
            row = gradient[k, start:stop]
            for p in range(row.size):
                b[k, p] = row[p]
        for p in range(stop - start):
            row_x, row_y = (b[0, p], b[1, p], b[2, p]), (b[3, p], b[4, p], b[5, p])
            x, y, z, good = change_of_q(row_x, row_y, (b[6, p], b[7, p], b[8, p]), q0x, q0y, q0z)
            out[0, p] = r00 * x + r01 * y + r02 * z if good else NOWHERE
            out[1, p] = r10 * x + r11 * y + r12 * z if good else NOWHERE
            out[2, p] = r20 * x + r21 * y + r22 * z if good else NOWHERE
        for k in range(3):
            row = q[k, start:stop]
            for p in range(row.size):
                row[p] = out[k, p]
        for p in range(stop - start):
            masked += 1 if out[0, p] == NOWHERE else 0
    return masked

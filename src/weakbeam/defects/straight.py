"""Displacement gradient of straight dislocations in an isotropic medium.

Two routes to the same numbers: :func:`displacement_gradient` follows the printed formulas with
plain numpy, and :class:`StraightDislocations` sums any number of lines over blocks of points in
compiled code. The first is the oracle of the second.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Complexes, Floats, Ints
from weakbeam.core.compiled import compiled, inlined
from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.chebyshev import ISOTROPIC, Shares
from weakbeam.defects.lines import StraightLine, StraightLines


def displacement_gradient(
    points: ArrayLike, dislocation: StraightLine, medium: IsotropicMedium
) -> Floats:
    r"""Displacement gradient :math:`\beta_{ij} = \partial u_i / \partial x_j` of one dislocation.

    Parameters
    ----------
    points : (..., 3) array_like
        Where to evaluate, in µm, in the frame of the dislocation's vectors.
    dislocation : StraightLine
        The line; its edge and screw parts share it.
    medium : IsotropicMedium
        What it lies in.

    Returns
    -------
    (..., 3, 3) ndarray
        Dimensionless, in the same frame.

    Notes
    -----
    Volterra dislocation after Hirth & Lothe (1982), with the sign of :math:`\beta_{yy}` that
    satisfies force balance (Borgi et al. 2024, appendix A), and the non-singular core obtained by
    :math:`R \to \sqrt{R^2 + a^2}` (Cai et al. 2006). Formulas: docs/explanation/physics.md, D2, D3.
    """
    x_axis, y_axis, z_axis = dislocation.axes
    frame = np.stack([x_axis, y_axis, z_axis], axis=-1)
    offset = np.asarray(points, dtype=np.float64) - dislocation.position
    x, y = offset @ x_axis, offset @ y_axis
    nu, a2 = medium.poisson_ratio, dislocation.core_radius**2
    k = dislocation.edge_part / (4 * np.pi * (1 - nu))
    s = dislocation.screw_part / (2 * np.pi)
    q = x * x + y * y + a2
    common = 2 * nu * (q + a2)
    beta = np.zeros((*x.shape, 3, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        beta[..., 0, 0] = -k * y * (3 * x**2 + y**2 + 3 * a2 - common) / q**2
        beta[..., 0, 1] = k * x * (3 * x**2 + y**2 + 5 * a2 - common) / q**2
        beta[..., 1, 0] = -k * x * (x**2 + 3 * y**2 + 3 * a2 - common) / q**2
        beta[..., 1, 1] = k * y * (x**2 - y**2 - a2 + common) / q**2
        beta[..., 2, 0] = -s * y * (q + a2) / q**2
        beta[..., 2, 1] = s * x * (q + a2) / q**2
    return np.asarray(frame @ beta @ frame.T)


TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""


class StraightDislocations:
    r"""The summed field of many straight dislocations, in compiled code.

    Each line contributes six scalar functions of the coordinates :math:`x, y` across it,

    .. math:: \frac{y}{q}, \frac{x}{q}, \frac{2x^2y}{q^2}, \frac{2x^3}{q^2},
              \frac{a^2y}{q^2}, \frac{a^2x}{q^2}, \qquad q = x^2 + y^2 + a^2,

    each times a constant 3×3 matrix, which is the formula of :func:`displacement_gradient` with
    its terms collected.

    Parameters
    ----------
    dislocations : sequence of StraightLine, or StraightLines
        The lines, all in one frame.
    medium : IsotropicMedium
        What they lie in.
    """

    def __init__(
        self, dislocations: Sequence[StraightLine] | StraightLines, medium: IsotropicMedium
    ) -> None:
        lines = (
            dislocations
            if isinstance(dislocations, StraightLines)
            else StraightLines.of(dislocations)
        )
        self.lines = lines
        self.ray_constants = constants(lines, medium)

    @property
    def box_constants(self) -> tuple[Floats, Floats, Floats, Floats, Complexes]:
        """What the loops over boxes need to know; see :class:`weakbeam.defects.boxes.Lines`."""
        count = len(self.lines)
        return *self.ray_constants, np.empty((count, 0)), np.empty((count, 0), np.complex128)

    def shares(self, order: int) -> Shares:
        """What poles have in the fields, for `error_bound` at this number of nodes."""
        return ISOTROPIC

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        every = np.arange(len(self.lines))
        add_lines(gradient, points, *self.ray_constants, every)


def constants(lines: StraightLines, medium: IsotropicMedium) -> tuple[Floats, Floats, Floats]:
    """Return what the compiled sum needs to know of each line.

    Returns
    -------
    across : (n, 2, 4) ndarray
        The coordinates x, y across the line are ``across @ (px, py, pz, 1)``.
    core_squared : (n,) ndarray
        Squared core radius (µm²).
    matrices : (n, 6, 9) ndarray
        Coefficients of the six functions.
    """
    axes = lines.axes[:, :2]
    offsets = -np.einsum("nij,nj->ni", axes, lines.positions)
    return (
        np.concatenate([axes, offsets[:, :, None]], axis=2),
        lines.core_radii**2,
        lines.matrices(medium),
    )


@inlined
def add_functions(
    gradient: Floats, start: int, stop: int, functions: Floats, matrices: Floats, i: int
) -> None:
    """Add six functions of the place, (6, stop - start), times the matrices of a line to β."""
    # Short loops over a tile of known width, here over the three components of each row of β, are
    # what the compiler turns into vector instructions.
    for k in range(0, 9, 3):
        u, v, w = matrices[i, :, k], matrices[i, :, k + 1], matrices[i, :, k + 2]
        u0, u1, u2, u3, u4, u5 = u[0], u[1], u[2], u[3], u[4], u[5]
        v0, v1, v2, v3, v4, v5 = v[0], v[1], v[2], v[3], v[4], v[5]
        w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
        x_part, y_part = gradient[k, start:stop], gradient[k + 1, start:stop]
        z_part = gradient[k + 2, start:stop]
        for p in range(x_part.size):
            g0, g1, g2 = functions[0, p], functions[1, p], functions[2, p]
            g3, g4, g5 = functions[3, p], functions[4, p], functions[5, p]
            x_part[p] += u0 * g0 + u1 * g1 + u2 * g2 + u3 * g3 + u4 * g4 + u5 * g5
            y_part[p] += v0 * g0 + v1 * g1 + v2 * g2 + v3 * g3 + v4 * g4 + v5 * g5
            z_part[p] += w0 * g0 + w1 * g1 + w2 * g2 + w3 * g3 + w4 * g4 + w5 * g5


@compiled
def add_lines(
    gradient: Floats,
    points: Floats,
    across: Floats,
    core_squared: Floats,
    matrices: Floats,
    chosen: Ints,
) -> None:
    """Add the field of the `chosen` lines at `points` (3, n) to `gradient` (9, n)."""
    n = points.shape[1]
    functions = np.empty((6, TILE))
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        px, py, pz = points[0, start:stop], points[1, start:stop], points[2, start:stop]
        for i in chosen:
            a2 = core_squared[i]
            x0, x1, x2, x3 = across[i, 0, 0], across[i, 0, 1], across[i, 0, 2], across[i, 0, 3]
            y0, y1, y2, y3 = across[i, 1, 0], across[i, 1, 1], across[i, 1, 2], across[i, 1, 3]
            for p in range(px.size):
                x = x0 * px[p] + x1 * py[p] + x2 * pz[p] + x3
                y = y0 * px[p] + y1 * py[p] + y2 * pz[p] + y3
                inverse = 1.0 / (x * x + y * y + a2)
                x_q, y_q = x * inverse, y * inverse
                t, a = 2.0 * x * x_q, a2 * inverse
                functions[0, p], functions[1, p] = y_q, x_q
                functions[2, p], functions[3, p] = y_q * t, x_q * t
                functions[4, p], functions[5, p] = y_q * a, x_q * a
            add_functions(gradient, start, stop, functions, matrices, i)

r"""Displacement gradient of straight dislocations in a medium of any elastic symmetry.

Two routes to the same numbers: :func:`displacement_gradient` follows the printed integral formalism
(Barnett & Lothe 1973; Bacon, Barnett & Scattergood 1980; docs/explanation/physics.md, D8) with
plain numpy, point by point, and :class:`AnisotropicDislocations` sums lines in compiled code.

The fast route rests on the form that the field has in every medium. With x, y across the line and
:math:`p_\alpha` the roots with positive imaginary part of Stroh's sextic equation, it is

.. math:: \beta = \mathrm{Re}\,\frac{Q_0 x^2 + Q_1 xy + Q_2 y^2}{P}, \qquad
          P = \prod_\alpha (x + p_\alpha y),

with complex 3×3 matrices :math:`Q_i`. Stroh's sum of three simple poles is the same over the common
denominator; but P depends on the roots only through the coefficients of their polynomial, which
stay accurate where roots coincide, and so do the :math:`Q_i`. Isotropic media and lines along the
axis of hexagonal crystals, where Stroh's eigenvectors do not suffice, are no special cases. The
:math:`Q_i` are those that give the integral formalism's field on a circle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from weakbeam.core.arrays import ArrayLike, Complexes, Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.chebyshev import Shares
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.straight import TILE, add_functions

_FEWEST_STEPS, _MOST_STEPS = 16, 2048
_AT_ONCE = 1024
"""Lines whose constants are prepared together."""

_NOTHING = 1e-300
"""Added to a denominator, so that the field on a line of spread core is 0 and not 0/0."""


def displacement_gradient(
    points: ArrayLike, dislocation: StraightLine, medium: AnisotropicMedium
) -> Floats:
    r"""Displacement gradient :math:`\beta_{ij} = \partial u_i / \partial x_j` of one dislocation.

    Parameters
    ----------
    points : (..., 3) array_like
        Where to evaluate, in µm, in the frame of the dislocation and of the medium.
    dislocation : StraightLine
        The line.
    medium : AnisotropicMedium
        What it lies in.

    Returns
    -------
    (..., 3, 3) ndarray
        Dimensionless, in the same frame.

    Notes
    -----
    At the distance r, with m along r and n = t × m,

    .. math:: \beta_{kl} = \frac{1}{2\pi r} \{ -(S b)_k m_l
              + [(nn)^{-1} (B b + (nm) S b)]_k n_l \} \frac{r^2}{r^2 + a^2}

    where :math:`(ab)_{jk} = a_i C_{ijkl} b_l`, and S and B are averages over all directions across
    the line of :math:`-(nn)^{-1}(nm)` and :math:`(mm) - (mn)(nn)^{-1}(nm)`. The last factor spreads
    the core, which for an isotropic medium is not the spread core of D3; they differ within about
    2 a of the line.
    """
    lines = StraightLines.of([dislocation])
    x_axis, y_axis, _ = dislocation.axes
    offset = np.asarray(points, dtype=np.float64) - dislocation.position
    x, y = offset @ x_axis, offset @ y_axis
    contracted = Contracted.of(x_axis[None], y_axis[None], medium)
    s, b = _barnett_lothe(contracted, _steps(contracted.poles()))
    angle = np.arctan2(y, x)
    m = np.cos(angle)[..., None] * x_axis + np.sin(angle)[..., None] * y_axis
    n = np.cos(angle)[..., None] * y_axis - np.sin(angle)[..., None] * x_axis
    along_m, along_n = _around(contracted, s, b, lines.burgers_vectors, angle.reshape(1, -1))
    along_n = along_n.reshape(*x.shape, 3)
    beta = along_m[0, :, None] * m[..., None, :] + along_n[..., :, None] * n[..., None, :]
    squared = x * x + y * y
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.sqrt(squared) / (squared + dislocation.core_radius**2)
    return np.asarray(beta * size[..., None, None])


class AnisotropicDislocations:
    """The summed field of many straight dislocations, in compiled code.

    Parameters
    ----------
    dislocations : sequence of StraightLine, or StraightLines
        The lines, all in one frame.
    medium : AnisotropicMedium
        What they lie in, in the same frame.
    """

    def __init__(
        self, dislocations: Sequence[StraightLine] | StraightLines, medium: AnisotropicMedium
    ) -> None:
        lines = (
            dislocations
            if isinstance(dislocations, StraightLines)
            else StraightLines.of(dislocations)
        )
        self.lines = lines
        self.box_constants = constants(lines, medium)

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        every = np.arange(len(self.lines))
        add_lines(gradient, points, *self.box_constants[:4], every)

    def shares(self, order: int) -> Shares:
        """What poles have in the fields, for `error_bound` at this number of nodes."""
        _, _, matrices, _, poles = self.box_constants
        most = np.zeros(3)
        for start in range(0, len(self.lines), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            burgers = self.lines.burgers_vectors[part]
            most = np.maximum(most, _shares(burgers, matrices[part], poles[part], order))
        simple, double, triple = most.tolist()
        return simple, double, triple


def constants(
    lines: StraightLines, medium: AnisotropicMedium
) -> tuple[Floats, Floats, Floats, Floats, Complexes]:
    """Return what the compiled sums need to know of each line.

    Parameters
    ----------
    lines : StraightLines
        In the frame of the medium.
    medium : AnisotropicMedium
        What they lie in.

    Returns
    -------
    across : (n, 2, 4) ndarray
        The coordinates x, y across the line are ``across @ (px, py, pz, 1)``.
    core_squared : (n,) ndarray
        Squared core radius (µm²).
    matrices : (n, 6, 9) ndarray
        Coefficients of the real and imaginary parts of x²/P, xy/P and y²/P (µm).
    cubic : (n, 6) ndarray
        Real and imaginary parts of the coefficients of x²y, xy² and y³ in P.
    poles : (n, 3) ndarray of complex
        The roots p of Stroh's equation.
    """
    count = len(lines)
    axes = lines.axes
    offsets = -np.einsum("nij,nj->ni", axes[:, :2], lines.positions)
    across = np.concatenate([axes[:, :2], offsets[:, :, None]], axis=2)
    poles = np.empty((count, 3), np.complex128)
    matrices = np.empty((count, 6, 9))
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        chosen = lines.chosen(np.arange(count)[part])
        contracted = Contracted.of(axes[part, 0], axes[part, 1], medium)
        poles[part] = contracted.poles()
        matrices[part] = _matrices(contracted, chosen, poles[part])
    e = _elementary(poles)
    cubic = np.stack([e.real, e.imag], axis=-1).reshape(count, 6)
    return across, lines.core_radii**2, matrices, cubic, poles


@compiled
def add_lines(
    gradient: Floats,
    points: Floats,
    across: Floats,
    core_squared: Floats,
    matrices: Floats,
    cubic: Floats,
    chosen: Ints,
) -> None:
    """Add the field of the `chosen` lines at `points` (3, n) to `gradient` (9, n)."""
    # Laid out as the isotropic `weakbeam.defects.straight.add_lines`, for the same reasons.
    n = points.shape[1]
    functions = np.empty((6, TILE))
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        px, py, pz = points[0, start:stop], points[1, start:stop], points[2, start:stop]
        for i in chosen:
            a2, c = core_squared[i], cubic[i]
            x0, x1, x2, x3 = across[i, 0, 0], across[i, 0, 1], across[i, 0, 2], across[i, 0, 3]
            y0, y1, y2, y3 = across[i, 1, 0], across[i, 1, 1], across[i, 1, 2], across[i, 1, 3]
            c0, c1, c2, c3, c4, c5 = c[0], c[1], c[2], c[3], c[4], c[5]
            for p in range(px.size):
                x = x0 * px[p] + x1 * py[p] + x2 * pz[p] + x3
                y = y0 * px[p] + y1 * py[p] + y2 * pz[p] + y3
                xx, xy, yy = x * x, x * y, y * y
                real = x * (xx + c0 * xy + c2 * yy) + c4 * yy * y
                imaginary = y * (c1 * xx + c3 * xy + c5 * yy)
                r2 = xx + yy
                size = r2 / ((real * real + imaginary * imaginary) * (r2 + a2) + _NOTHING)
                re, im = real * size, -imaginary * size
                functions[0, p], functions[1, p] = xx * re, xx * im
                functions[2, p], functions[3, p] = xy * re, xy * im
                functions[4, p], functions[5, p] = yy * re, yy * im
            add_functions(gradient, start, stop, functions, matrices, i)


class Contracted(NamedTuple):
    """The matrices (ab) of the directions x and y across each line, (n, 3, 3), without unit."""

    xx: Floats
    xy: Floats
    yy: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats, medium: AnisotropicMedium) -> Contracted:
        """Contract the stiffness, relative to its largest component."""
        c = medium.stiffness / np.abs(medium.stiffness).max()
        return cls(*(np.einsum("ni,ijkl,nl->njk", a, c, b) for a, b in ((x, x), (x, y), (y, y))))

    def at(self, angle: Floats) -> tuple[Floats, Floats, Floats]:
        """Matrices (mm), (nm) and (nn) with m and n turned from x and y by angles (n, k)."""
        c, s = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
        xx, xy, yy = self.xx[:, None], self.xy[:, None], self.yy[:, None]
        yx = np.swapaxes(xy, -1, -2)
        mm = c * c * xx + c * s * (xy + yx) + s * s * yy
        nm = c * s * (yy - xx) + c * c * yx - s * s * xy
        nn = s * s * xx - c * s * (xy + yx) + c * c * yy
        return mm, nm, nn

    def poles(self) -> Complexes:
        """Roots p (n, 3) with positive imaginary parts of Stroh's sextic equation."""
        yx = np.swapaxes(self.xy, -1, -2)
        inverse = np.linalg.inv(self.yy)
        turned = inverse @ yx
        stroh = np.concatenate(
            [
                np.concatenate([-turned, -inverse], axis=2),
                np.concatenate([self.xx - self.xy @ turned, -np.swapaxes(turned, -1, -2)], axis=2),
            ],
            axis=1,
        )
        roots = np.linalg.eigvals(stroh).astype(np.complex128)
        upper = np.argsort(-roots.imag, axis=1)[:, :3]
        return np.take_along_axis(roots, upper, axis=1)


def _steps(poles: Complexes) -> int:
    """Equal steps over half a turn after which averages are exact to double precision.

    The integrands, as functions of exp(2iψ), have poles at the modulus (1 + ip)/(1 − ip).
    """
    modulus = float(np.abs((1.0 + 1j * poles) / (1.0 - 1j * poles)).max(initial=0.0))
    needed = math.log(1e-17) / math.log(max(modulus, 1e-3)) if modulus < 1.0 else _MOST_STEPS
    return int(min(max(8 * math.ceil(needed / 8), _FEWEST_STEPS), _MOST_STEPS))


def _barnett_lothe(contracted: Contracted, steps: int) -> tuple[Floats, Floats]:
    """The averages S and B, (n, 3, 3) each."""
    angle = np.pi * np.arange(steps) / steps
    mm, nm, nn = contracted.at(np.broadcast_to(angle, (len(contracted.xx), steps)))
    turned = np.linalg.solve(nn, nm)
    return -turned.mean(axis=1), (mm - np.swapaxes(nm, -1, -2) @ turned).mean(axis=1)


def on_circle(
    contracted: Contracted, burgers: Floats, poles: Complexes
) -> tuple[Floats, Floats, Floats]:
    """The fields of lines on half a circle of radius 1 µm, at enough places to tell them all.

    Parameters
    ----------
    contracted : Contracted
        Of the medium, for the axes x, y of each line.
    burgers : (n, 3) ndarray
        Burgers vectors (µm).
    poles : (n, 3) ndarray of complex
        Roots of Stroh's equation.

    Returns
    -------
    x, y : (n, k) ndarray
        Places across each line.
    field : (n, k, 6) ndarray
        Components of β along the line's x, then those along its y; it has no others.
    """
    steps = _steps(poles)
    s, b = _barnett_lothe(contracted, steps)
    angle = np.broadcast_to(np.pi * np.arange(steps) / steps, (len(burgers), steps))
    along_m, along_n = _around(contracted, s, b, burgers, angle)
    x, y = np.cos(angle), np.sin(angle)
    m_part = np.broadcast_to(along_m[:, None], along_n.shape)
    field = np.concatenate(
        [
            m_part * x[..., None] - along_n * y[..., None],
            m_part * y[..., None] + along_n * x[..., None],
        ],
        axis=2,
    )
    return x, y, field


def _around(
    contracted: Contracted, s: Floats, b: Floats, burgers: Floats, angle: Floats
) -> tuple[Floats, Floats]:
    """The vectors (n, 3) and (n, k, 3) that r β has along m and along n, at angles (n, k)."""
    s_b = np.einsum("nij,nj->ni", s, burgers)
    b_b = np.einsum("nij,nj->ni", b, burgers)
    _, nm, nn = contracted.at(angle)
    right = b_b[:, None] + np.einsum("nkij,nj->nki", nm, s_b)
    along_n = np.linalg.solve(nn, right[..., None])[..., 0]
    return -s_b / (2.0 * np.pi), along_n / (2.0 * np.pi)


def _matrices(contracted: Contracted, lines: StraightLines, poles: Complexes) -> Floats:
    """Coefficients (n, 6, 9) of the six functions, by the field on a circle."""
    count = len(lines)
    x, y, field = on_circle(contracted, lines.burgers_vectors, poles)
    inverse = 1.0 / np.prod(x[..., None] + poles[:, None] * y[..., None], axis=2)
    forms = [form * inverse for form in (x * x, x * y, y * y)]
    functions = np.stack([part for f in forms for part in (f.real, f.imag)], axis=2)
    q, r = np.linalg.qr(functions)
    fitted = np.linalg.solve(r, np.swapaxes(q, 1, 2) @ field).reshape(count, 6, 2, 3)
    axes = lines.axes[:, :2]
    return np.asarray(np.einsum("nfak,nal->nfkl", fitted, axes).reshape(count, 6, 9))


def _shares(burgers: Floats, matrices: Floats, poles: Complexes, order: int) -> Floats:
    """What poles of each order have in the fields of lines, as multiples of |b|/2πd.

    Q/P is either Σ D/(x + p y), or, with divided differences instead of the first powers,
    C₁/(x + p₁y) + C₂ y/(x + p₁y)(x + p₂y) + C₃ y²/P; the one where roots are apart, the other where
    they are close. A pole at x + p y = 0 is nearer than the line by the factor λ, the least
    |cos ω + p sin ω|.
    """
    q = (matrices[:, ::2] - 1j * matrices[:, 1::2]) * 2.0 * np.pi
    q /= np.linalg.norm(burgers, axis=1)[:, None, None]
    p1, p2, p3 = poles.T[:, :, None]
    squared = 0.5 * (1.0 + np.abs(poles) ** 2)
    least = np.sqrt(squared - np.sqrt(np.maximum(squared**2 - poles.imag**2, 0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        simple = sum(
            np.linalg.norm((q[:, 0] * p**2 - q[:, 1] * p + q[:, 2]) / ((r - p) * (s - p)), axis=1)
            / least[:, k]
            for k, (p, r, s) in enumerate(((p1, p2, p3), (p2, p3, p1), (p3, p1, p2)))
        )
    lowest = least.min(axis=1)
    c1 = q[:, 0]
    c2 = q[:, 1] - c1 * (p2 + p3)
    c3 = q[:, 2] - c1 * p2 * p3 - c2 * p3
    k1, k2, k3 = (np.linalg.norm(c, axis=1) / lowest for c in (c1, c2, c3))
    first, square = 1.0 / lowest, 1.0 / lowest**2
    confluent = np.stack(
        [
            k1 + k2 * first + k3 * first**2,
            k2 * square + 2.0 * k3 * first * square,
            k3 * square**2,
        ]
    )
    step = 1.5 * order
    nothing = np.zeros_like(lowest)
    better = simple < confluent[0] + step * (confluent[1] + step * confluent[2])
    chosen = np.where(better, np.stack([simple, nothing, nothing]), confluent)
    return np.asarray(chosen.max(axis=1))


def _elementary(poles: Complexes) -> Complexes:
    """Coefficients (n, 3) of x²y, xy² and y³ in the product of all x + p y."""
    p, q, r = poles.T
    return np.stack([p + q + r, p * q + q * r + r * p, p * q * r], axis=1)

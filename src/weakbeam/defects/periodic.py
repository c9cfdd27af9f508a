"""What is missing when a network that repeats for ever is cut off after a few boxes.

The field of some boxes around the central one, with everything that leads out of them running on
straight, differs inside of the central box from that of the endless network by a field without
sources there: a smooth one. It is found as a polynomial that balances forces and makes opposite
faces of the box agree. Its mean is such that the mean distortion of the box is zero: a crystal
without load, whose orientation is that of its mean lattice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations_with_replacement, product

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.core.compiled import compiled
from weakbeam.core.preparing import tell_preparing
from weakbeam.crystal.elasticity import AnisotropicMedium, Medium
from weakbeam.defects.field import DisplacementGradientField, Superposition, evaluate
from weakbeam.defects.field_of import field_of
from weakbeam.defects.green import LEVI_CIVITA
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.many_segments import ManySegments
from weakbeam.defects.network import DislocationNetwork
from weakbeam.defects.segments import Segments

DEGREE = 6
"""Of the displacement whose gradient is the correction."""

_POWERS = DEGREE
"""Powers of a variable that occur in the correction, with the zeroth."""

_FACE, _GRID = 7, 10
"""Points along each edge of a face at which opposite faces are compared, and of the box that its
mean distortion is taken over.
"""

_ANISOTROPIC_FACE, _ANISOTROPIC_GRID = 4, 8
"""The same in an anisotropic medium, where a point costs forty times as much: β changes by two
or three thousandths of its size (root mean square).
"""

_MOST_PARTS = 64
"""A region that the box is repeated in more often asks for all of it."""

_FEW_POINTS = 1000
"""About how often the field is asked for to find what is missing."""

_SMEARED_TOLERANCE = 0.1
"""Of far segments in the worst direction, for that mean: what is left of all is a thousandth of
that.
"""

SMEARED = 0.125
"""Core radius, in edges of the box, for that mean: it leaves the mean as it is."""


class PolynomialGradient:
    """A displacement gradient that is a polynomial of the place.

    Parameters
    ----------
    centre : (3,) ndarray
        Where its variables are zero (µm).
    scale : float
        Their unit (µm).
    powers : (n, 3) ndarray of int
        Of the variables in each term.
    coefficients : (9, n) ndarray
        Of the components xx, xy, xz, yx ... of β.
    """

    def __init__(self, centre: Floats, scale: float, powers: Ints, coefficients: Floats) -> None:
        self.centre = centre
        self.scale = scale
        self.powers = powers
        self.coefficients = coefficients

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        _add_polynomial(gradient, points, self.centre, self.scale, self.powers, self.coefficients)


@dataclass(frozen=True, eq=False)
class RepeatedField:
    """A field that is known in a box and repeats with it.

    Parameters
    ----------
    field : DisplacementGradientField
        Asked inside of the box only.
    periods : (3, 3) ndarray
        Edges of the box, one a row (µm).
    centre : (3,) ndarray
        Its centre (µm).
    """

    field: DisplacementGradientField
    periods: Floats
    centre: Floats

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        self.field.add_to(gradient, self.folded(points))

    def folded(self, points: Floats) -> Floats:
        """The place inside of the box that each of the points (3, n) repeats."""
        inverse = np.asarray(np.linalg.inv(self.periods), np.float64)
        return _folded(points, self.periods, inverse, self.centre)


_TILE = 256
"""Points at once: what compiled loops keep of them fits in the fastest memory."""


@compiled
def _folded(points: Floats, periods: Floats, inverse: Floats, centre: Floats) -> Floats:
    """The place inside of a box with edges `periods`, one a row, that each point (3, n) repeats."""
    found = np.empty(points.shape)
    for p in range(points.shape[1]):
        x, y, z = points[0, p], points[1, p], points[2, p]
        u, v, w = x - centre[0], y - centre[1], z - centre[2]
        for k in range(3):
            turns = np.rint(u * inverse[0, k] + v * inverse[1, k] + w * inverse[2, k])
            x, y, z = (
                x - turns * periods[k, 0],
                y - turns * periods[k, 1],
                z - turns * periods[k, 2],
            )
        found[0, p], found[1, p], found[2, p] = x, y, z
    return found


@compiled
def _add_polynomial(
    gradient: Floats,
    points: Floats,
    centre: Floats,
    scale: float,
    powers: Ints,
    coefficients: Floats,
) -> None:
    """Add polynomials (9, terms) of (r - centre) / scale to `gradient` (9, n)."""
    # Powers of each variable, one table after the other, in tiles of known width.
    table, total = np.ones((3 * _POWERS, _TILE)), np.empty((9, _TILE))
    product = np.empty(_TILE)
    for start in range(0, points.shape[1], _TILE):
        width = min(_TILE, points.shape[1] - start)
        for axis in range(3):
            first = _POWERS * axis
            for p in range(width):
                table[first + 1, p] = (points[axis, start + p] - centre[axis]) / scale
            for k in range(2, _POWERS):
                for p in range(width):
                    table[first + k, p] = table[first + k - 1, p] * table[first + 1, p]
        total[:] = 0.0
        for term in range(powers.shape[0]):
            i, j, k = powers[term, 0], powers[term, 1], powers[term, 2]
            for p in range(width):
                product[p] = table[i, p] * table[_POWERS + j, p] * table[2 * _POWERS + k, p]
            for component in range(9):
                share = coefficients[component, term]
                for p in range(width):
                    total[component, p] += share * product[p]
        for component in range(9):
            for p in range(width):
                gradient[component, start + p] += total[component, p]


class RepeatedNetwork:
    """The field of a network that repeats for ever, with no mean distortion.

    Parameters
    ----------
    network : DislocationNetwork
        With three periods.
    images : int
        Boxes on each side of the central one that are summed as they are.
    medium : Medium
        What it lies in.
    """

    def __init__(self, network: DislocationNetwork, images: int, medium: Medium) -> None:
        self.network = network
        self.medium = medium
        self.segments = network.piece(images)
        self._last: tuple[object, RepeatedField] | None = None

    def __len__(self) -> int:
        """How many segments are summed."""
        return len(self.segments)

    @cached_property
    def correction(self) -> tuple[PolynomialGradient, float]:
        """See :func:`correction`."""
        tell_preparing(f"making a box of {len(self.network.arms):,} segments repeat")
        smallest = float(np.linalg.norm(self.network.periods, axis=1).min())
        smeared = replace(self.segments, core_radii=np.full(len(self.segments), SMEARED * smallest))
        return correction(
            self._whole,
            self._boxed(smeared, _SMEARED_TOLERANCE),
            self.network.periods,
            self.network.centre,
            self.network.nye_tensor,
            stiffness_of(self.medium),
            *self._points,
        )

    @property
    def _points(self) -> tuple[int, int]:
        if isinstance(self.medium, AnisotropicMedium):
            return _ANISOTROPIC_FACE, _ANISOTROPIC_GRID
        return _FACE, _GRID

    def add_to(self, gradient: Floats, points: Floats) -> None:
        """See :meth:`.DisplacementGradientField.add_to`."""
        self._repeated(self._whole).add_to(gradient, points)

    def prepared(
        self, bounds: Bounds, points: int, workers: int | None
    ) -> DisplacementGradientField:
        """See :meth:`.PreparedField.prepared`."""
        asked = self._folded(bounds)
        if asked is None:
            return self
        key = points, tuple((part.centre.tobytes(), part.half.tobytes()) for part in asked)
        if self._last is None or self._last[0] != key:
            whole = self._whole
            if isinstance(whole, ManySegments):
                whole = whole.for_part(asked, points, workers)
            self._last = key, self._repeated(whole)
        return self._last[1]

    @cached_property
    def _whole(self) -> DisplacementGradientField:
        """The field in all of the box, from which that in parts of it is made."""
        return self._boxed(self.segments)

    def _boxed(
        self, segments: Segments, tolerance: float | None = None
    ) -> DisplacementGradientField:
        periods = self.network.periods
        signs = np.array(list(product((-1.0, 1.0), repeat=3)))
        axes = np.linalg.qr(periods.T)[0].T
        box = Bounds.of(self.network.centre + 0.5 * signs @ periods, axes)
        none = StraightLines.of([])
        return field_of(none, self.medium, (), box, _FEW_POINTS, None, segments, (), tolerance)

    def _folded(self, bounds: Bounds) -> list[Bounds] | None:
        """The parts of the box that a region repeats, each as large as the region.

        None of a region so much larger than the box that all of the box is asked for.
        """
        periods, centre = self.network.periods, self.network.centre
        signs = np.array(list(product((-1.0, 1.0), repeat=3)))
        corners = bounds.centre + (signs * bounds.half) @ bounds.axes
        shares = (corners - centre) @ np.linalg.inv(periods)
        first = np.floor(shares.min(axis=0) + 0.5).astype(int)
        last = np.ceil(shares.max(axis=0) - 0.5).astype(int)
        if math.prod((last - first + 1).tolist()) > _MOST_PARTS:
            return None
        turns = product(*(range(low, high + 1) for low, high in zip(first, last, strict=True)))
        return [replace(bounds, centre=bounds.centre - np.array(turn) @ periods) for turn in turns]

    def _repeated(self, field: DisplacementGradientField) -> RepeatedField:
        both = Superposition([field, self.correction[0]])
        return RepeatedField(both, self.network.periods, self.network.centre)


def stiffness_of(medium: Medium) -> Floats:
    """C_ijkl (3, 3, 3, 3) of a medium, in a unit of its own."""
    if isinstance(medium, AnisotropicMedium):
        return medium.stiffness
    delta, nu = np.eye(3), medium.poisson_ratio
    shear = np.einsum("ik,jl->ijkl", delta, delta) + np.einsum("il,jk->ijkl", delta, delta)
    lame = 2.0 * nu / (1.0 - 2.0 * nu)
    return np.asarray(lame * np.einsum("ij,kl->ijkl", delta, delta) + shear)


def correction(
    field: DisplacementGradientField,
    smeared: DisplacementGradientField,
    periods: Floats,
    centre: Floats,
    nye_tensor: Floats,
    stiffness: Floats,
    face: int = _FACE,
    grid: int = _GRID,
) -> tuple[PolynomialGradient, float]:
    """What a few boxes lack of the endless network.

    Parameters
    ----------
    field : DisplacementGradientField
        Of the boxes.
    smeared : DisplacementGradientField
        The same with cores of `SMEARED` edges, whose mean over a box is the same.
    periods, centre
        Edges of the box, one a row, and its centre (µm).
    nye_tensor : (3, 3) ndarray
        Mean of b_i t_j over the box (1/µm). An endless network with a mean has no field that
        repeats: the crystal bends. The bending is taken away.
    stiffness : (3, 3, 3, 3) ndarray
        C_ijkl of the medium, in any unit.
    face, grid : int
        Points along each edge of a face that is compared, and of the box.

    Returns
    -------
    PolynomialGradient
        To be added to `field` inside of the box.
    float
        By how much β still differs between opposite faces, root mean square.
    """
    scale = 0.5 * float(np.linalg.norm(periods, axis=1).max())
    powers = _powers(DEGREE - 1)
    linear = _bending(nye_tensor * scale, stiffness)
    basis = _balanced(stiffness)
    low, high = _face_points(periods / scale, face)
    design = _values(basis, high, powers) - _values(basis, low, powers)

    def fitted(of: DisplacementGradientField) -> tuple[Floats, Floats]:
        gap = evaluate(of, centre + scale * high) - evaluate(of, centre + scale * low)
        gap += np.einsum("ilk,nk->nil", linear, high - low)
        rows = gap.reshape(-1)
        shares, *_ = np.linalg.lstsq(design, -rows, rcond=None)
        coefficients = np.tensordot(shares, basis, 1)
        for k, power in enumerate(np.eye(3, dtype=np.int64)):
            coefficients[:, _place(powers, power)] += linear[:, :, k].reshape(9)
        return coefficients, rows + design @ shares

    coefficients, left = fitted(field)
    for_mean, _ = fitted(smeared)
    even = (np.arange(grid) + 0.5) / grid - 0.5
    places = np.stack(np.meshgrid(even, even, even, indexing="ij"), axis=-1).reshape(-1, 3)
    places = centre + places @ periods
    mean = evaluate(smeared, places) + evaluate(
        PolynomialGradient(centre, scale, powers, for_mean), places
    )
    coefficients[:, _place(powers, np.zeros(3, np.int64))] -= mean.mean(axis=0).reshape(9)
    found = PolynomialGradient(centre, scale, powers, coefficients)
    return found, float(np.sqrt(np.mean(left**2)))


@cache
def _power_list(degree: int) -> tuple[tuple[int, int, int], ...]:
    found = []
    for total in range(degree + 1):
        for axes in combinations_with_replacement(range(3), total):
            found.append((axes.count(0), axes.count(1), axes.count(2)))
    return tuple(found)


def _powers(degree: int) -> Ints:
    """Powers (n, 3) of all monomials up to a degree."""
    return np.array(_power_list(degree), dtype=np.int64)


def _place(powers: Ints, power: Ints) -> int:
    return int(np.flatnonzero((powers == power).all(axis=1))[0])


def _terms(variables: Floats, powers: Ints) -> Floats:
    """Monomials (m, n) at points (3, n)."""
    most = int(powers.max(initial=0))
    table = np.ones((most + 1, *variables.shape))
    for k in range(1, most + 1):
        table[k] = table[k - 1] * variables
    x, y, z = powers.T
    return np.asarray(table[x, 0] * table[y, 1] * table[z, 2])


def _bending(nye_tensor: Floats, stiffness: Floats) -> Floats:
    """The least linear field β_il = c_ilk x_k with curl −α and without forces."""
    rows, right = [], []
    for i in range(3):
        for j in range(3):
            row = np.zeros((3, 3, 3))
            # ε_jkl ∂_k β_il
            row[i] = LEVI_CIVITA[j].T
            rows.append(row.ravel())
            right.append(-nye_tensor[i, j])
        # C_ijkl ∂_j β_kl
        rows.append(np.einsum("jkl->klj", stiffness[i] / np.abs(stiffness).max()).ravel())
        right.append(0.0)
    found, *_ = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)
    return np.asarray(found.reshape(3, 3, 3))


def _balanced(stiffness: Floats) -> Floats:
    """Gradients (m, 9, n) of all polynomial displacements of degree 2 and more without forces."""
    displacement = _powers(DEGREE)
    displacement = displacement[displacement.sum(axis=1) >= 2]
    gradient, force = _powers(DEGREE - 1), _powers(DEGREE - 2)
    count = len(displacement)
    at = {tuple(power): k for k, power in enumerate(gradient.tolist())}
    at_force = {tuple(power): k for k, power in enumerate(force.tolist())}
    # First derivatives of each monomial as (3, n) coefficients, and second ones.
    first = np.zeros((count, 3, len(gradient)))
    second = np.zeros((count, 3, 3, len(force)))
    for m, power in enumerate(displacement.tolist()):
        for j in range(3):
            if not power[j]:
                continue
            once = list(power)
            once[j] -= 1
            first[m, j, at[tuple(once)]] = power[j]
            for k in range(3):
                if once[k]:
                    twice = list(once)
                    twice[k] -= 1
                    second[m, j, k, at_force[tuple(twice)]] = power[j] * once[k]
    forces = np.einsum("ijkl,mjlf->ifkm", stiffness / np.abs(stiffness).max(), second)
    matrix = forces.reshape(3 * len(force), 3 * count)
    _, sizes, vectors = np.linalg.svd(matrix)
    rank = int(np.sum(sizes > 1e-10 * sizes[0]))
    free = vectors[rank:].reshape(-1, 3, count)
    gradients = np.einsum("skm,mjg->skjg", free, first)
    return np.asarray(gradients.reshape(len(free), 9, len(gradient)))


def _face_points(periods: Floats, count: int) -> tuple[Floats, Floats]:
    """Points of three faces, and those across the box from them; the centre is the origin."""
    even = (np.arange(count) + 0.5) / count - 0.5
    across = np.stack(np.meshgrid(even, even, indexing="ij"), axis=-1).reshape(-1, 2)
    low, high = [], []
    for axis in range(3):
        shares = np.insert(across, axis, -0.5, axis=1)
        low.append(shares @ periods)
        shares[:, axis] = 0.5
        high.append(shares @ periods)
    return np.concatenate(low), np.concatenate(high)


def _values(basis: Floats, points: Floats, powers: Ints) -> Floats:
    """Values (9 n, m) of fields (m, 9, terms) at points (n, 3)."""
    values = basis @ _terms(points.T, powers)
    return np.asarray(np.moveaxis(values, 0, -1).transpose(1, 0, 2).reshape(-1, len(basis)))

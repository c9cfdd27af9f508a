"""Elastic constants of a crystal: tensor and Voigt's matrix, what symmetry asks of them, averages.

Voigt's indices 1 to 6 stand for xx, yy, zz, yz, xz, xy of the Cartesian crystal frame of
:class:`~weakbeam.crystal.lattice.UnitCell`: x along a, y in the plane of a and b. For hexagonal
axes that is the frame in which tables give their constants (x along a, z along c); of trigonal
crystals the sign of c14 belongs to a choice of axes (Nye, Physical Properties of Crystals, 1957).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import find_space_group

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""Pairs of Cartesian indices that Voigt's indices stand for."""

SYMMETRY_TOLERANCE = 0.01
"""How far given constants may be from what symmetry asks for, relative to the largest of them."""

_PLACES = tuple((i, j) for i in range(6) for j in range(i, 6))
CONSTANTS = tuple(f"c{i + 1}{j + 1}" for i, j in _PLACES)
"""Names of the 21 constants, c11 to c66."""

_USUAL = ("c11", "c12", "c13", "c22", "c23", "c33", "c44", "c55", "c66")
"""The constants in the order in which those that are free are named; the others follow."""

_ROW = np.array([row for row, _ in VOIGT])
_COLUMN = np.array([column for _, column in VOIGT])
_INDEX = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
_MANDEL = np.array([1.0, 1.0, 1.0, np.sqrt(2.0), np.sqrt(2.0), np.sqrt(2.0)])


def tensor_of(matrix: ArrayLike) -> Floats:
    """The tensor C_ijkl (3, 3, 3, 3) of Voigt's matrix (6, 6), both in GPa."""
    return np.asarray(np.asarray(matrix, dtype=np.float64)[_INDEX[:, :, None, None], _INDEX])


def voigt_matrix(tensor: ArrayLike) -> Floats:
    """Voigt's matrix (6, 6) of the tensor C_ijkl (3, 3, 3, 3), both in GPa."""
    c = np.asarray(tensor, dtype=np.float64)
    return np.asarray(c[_ROW[:, None], _COLUMN[:, None], _ROW, _COLUMN])


def turned_tensor(tensor: Floats, rotation: ArrayLike) -> Floats:
    """The tensor (3, 3, 3, 3) in a frame, or of a crystal, that is turned by `rotation` (3, 3)."""
    bond = _bond(np.asarray(rotation, dtype=np.float64))
    # Rounding must not leave a tensor less symmetric than it was.
    return tensor_of(_symmetric(bond @ voigt_matrix(tensor) @ bond.T))


def check_positive(matrix: ArrayLike) -> None:
    """Refuse constants with which some strain would cost no energy.

    Parameters
    ----------
    matrix : (6, 6) array_like
        Voigt's matrix, in GPa.

    Raises
    ------
    ValueError
        If it has numbers that are not finite, is not symmetric, or is not positive definite.
    """
    c = np.asarray(matrix, dtype=np.float64)
    if c.shape != (6, 6) or not np.all(np.isfinite(c)):
        raise ValueError("must be 6 rows of 6 finite numbers")
    wrong = np.abs(c - c.T)
    if wrong.max() > 1e-6 * np.abs(c).max():
        i, j = np.unravel_index(np.argmax(wrong), wrong.shape)
        raise ValueError(
            f"must be symmetric; c{i + 1}{j + 1} is {c[i, j]:g} and c{j + 1}{i + 1} {c[j, i]:g}"
        )
    least, strains = np.linalg.eigh(_symmetric(c) * np.outer(_MANDEL, _MANDEL))
    if least[0] <= 1e-9 * np.abs(c).max():
        strain = strains[:, 0] * np.sign(strains[np.argmax(np.abs(strains[:, 0])), 0])
        parts = ", ".join(f"{part:.2g}" for part in strain / _MANDEL + 0.0)
        raise ValueError(
            "must be positive definite (cubic: c11 > |c12|, c11 + 2 c12 > 0, c44 > 0); the strain "
            f"xx, yy, zz, yz, xz, xy = {parts} has a modulus of {least[0]:.4g} GPa"
        )


def completed(constants: Mapping[str, float], space_group: str, cell: UnitCell) -> Floats:
    """Voigt's matrix of a crystal from the constants that its symmetry leaves free.

    Parameters
    ----------
    constants : mapping of str to float
        In GPa, by names such as "c11"; more of them than are free must agree with them.
    space_group : str
        Hermann-Mauguin symbol.
    cell : UnitCell
        The cell, which tells how the group's axes lie in the Cartesian crystal frame.

    Returns
    -------
    (6, 6) ndarray
        In GPa.

    Raises
    ------
    ValueError
        For unknown names, constants that are missing, or that symmetry does not allow.
    """
    for name in constants:
        if name not in CONSTANTS:
            raise ValueError(
                f"has no constant {name!r}: names are c11, c12 ... c66, indices rising"
            )
    basis = _invariants(space_group, cell)
    rows = basis[[CONSTANTS.index(name) for name in constants]]
    missing = _missing(tuple(constants), basis)
    if missing:
        free = ", ".join(free_constants(space_group, cell))
        raise ValueError(f"lacks {', '.join(missing)}; the constants of {space_group} are {free}")
    values = np.array(list(constants.values()), dtype=np.float64)
    solution = np.linalg.lstsq(rows, values, rcond=1e-9)[0]
    wrong = np.abs(rows @ solution - values)
    if wrong.max() > SYMMETRY_TOLERANCE * np.abs(values).max():
        raise ValueError(_asymmetry(values, rows @ solution, tuple(constants), space_group))
    full = basis @ solution
    full[np.abs(full) < 1e-12 * np.abs(full).max()] = 0.0
    return _matrix(full)


def free_constants(space_group: str, cell: UnitCell) -> list[str]:
    """Names of the constants that a crystal's symmetry leaves free."""
    return _missing((), _invariants(space_group, cell))


def symmetrised(matrix: ArrayLike, space_group: str, cell: UnitCell) -> Floats:
    """Voigt's matrix with the symmetry of a crystal, from one that has it to rounding.

    Parameters
    ----------
    matrix : (6, 6) array_like
        In GPa, in the Cartesian crystal frame.
    space_group, cell
        As for :func:`completed`.

    Returns
    -------
    (6, 6) ndarray
        In GPa.

    Raises
    ------
    ValueError
        If the crystal's symmetry changes a constant by more than `SYMMETRY_TOLERANCE`.
    """
    given = _symmetric(np.asarray(matrix, dtype=np.float64))
    bond = _bond(point_group(space_group, cell))
    wanted = _symmetric((bond @ given @ np.swapaxes(bond, -1, -2)).mean(axis=0))
    if np.abs(wanted - given).max() > SYMMETRY_TOLERANCE * np.abs(given).max():
        places = tuple(zip(*_PLACES, strict=True))
        raise ValueError(_asymmetry(given[places], wanted[places], CONSTANTS, space_group))
    return wanted


@dataclass(frozen=True)
class Averages:
    """Moduli of an aggregate of crystals without texture, after Hill (1952).

    Hill's value is the mean of Voigt's bound, where all grains have one strain, and Reuss's, where
    they have one stress.

    Parameters
    ----------
    bulk_bounds, shear_bounds : tuple of 2 float
        Voigt's and Reuss's moduli, in GPa.
    """

    bulk_bounds: tuple[float, float]
    shear_bounds: tuple[float, float]

    @property
    def bulk(self) -> float:
        """Bulk modulus K (GPa)."""
        return 0.5 * sum(self.bulk_bounds)

    @property
    def shear(self) -> float:
        """Shear modulus G (GPa)."""
        return 0.5 * sum(self.shear_bounds)

    @property
    def young(self) -> float:
        """Young's modulus E (GPa)."""
        return 9.0 * self.bulk * self.shear / (3.0 * self.bulk + self.shear)

    @property
    def poisson_ratio(self) -> float:
        """Poisson's ratio ν."""
        return (3.0 * self.bulk - 2.0 * self.shear) / (2.0 * (3.0 * self.bulk + self.shear))

    @property
    def universal_anisotropy(self) -> float:
        """5 G_V/G_R + K_V/K_R − 6, 0 of an isotropic crystal (Ranganathan & Ostoja-Starzewski)."""
        (k_voigt, k_reuss), (g_voigt, g_reuss) = self.bulk_bounds, self.shear_bounds
        return 5.0 * g_voigt / g_reuss + k_voigt / k_reuss - 6.0


def averages(matrix: ArrayLike) -> Averages:
    """Voigt's and Reuss's moduli of Voigt's matrix (6, 6), in GPa."""
    stiff = np.asarray(matrix, dtype=np.float64)
    bounds = []
    for m, shear in ((stiff, 1.0), (np.linalg.inv(stiff), 0.25)):
        # C_iijj and C_ijij; a shear of Voigt's compliances is twice that of the tensor.
        full = float(m[:3, :3].sum())
        crossed = float(np.trace(m[:3, :3]) + 2.0 * shear * np.trace(m[3:, 3:]))
        bounds.append((full, crossed))
    (full, crossed), (s_full, s_crossed) = bounds
    return Averages(
        (full / 9.0, 1.0 / s_full),
        ((3.0 * crossed - full) / 30.0, 7.5 / (3.0 * s_crossed - s_full)),
    )


def zener_ratio(matrix: ArrayLike) -> float | None:
    """2 c44 / (c11 − c12) of a cubic crystal, 1 of an isotropic one; None for other symmetries.

    Parameters
    ----------
    matrix : (6, 6) array_like
        Voigt's matrix along the cube axes.
    """
    c = np.asarray(matrix, dtype=np.float64)
    cubic = np.zeros((6, 6))
    cubic[:3, :3] = c[0, 1]
    np.fill_diagonal(cubic, [c[0, 0]] * 3 + [c[3, 3]] * 3)
    if np.abs(c - cubic).max() > 1e-6 * np.abs(c).max():
        return None
    return float(2.0 * c[3, 3] / (c[0, 0] - c[0, 1]))


def _bond(rotation: Floats) -> Floats:
    """Matrices (..., 6, 6) that turn Voigt's stresses by rotations (..., 3, 3), after Bond."""
    i, j = _ROW[:, None], _COLUMN[:, None]
    straight = rotation[..., i, _ROW] * rotation[..., j, _COLUMN]
    crossed = rotation[..., i, _COLUMN] * rotation[..., j, _ROW]
    return np.asarray(straight + np.where(_ROW == _COLUMN, 0.0, crossed))


def _symmetric(matrix: Floats) -> Floats:
    return np.asarray(0.5 * (matrix + matrix.T))


def _matrix(constants: Floats) -> Floats:
    """Voigt's matrix of the 21 constants."""
    matrix = np.empty((6, 6))
    for (i, j), value in zip(_PLACES, constants, strict=True):
        matrix[i, j] = matrix[j, i] = value
    return matrix


@lru_cache(maxsize=32)
def point_group(space_group: str, cell: UnitCell) -> Floats:
    """Rotations of the crystal class (n, 3, 3) in the Cartesian crystal frame.

    A tensor of fourth rank does not tell a rotation from its product with the inversion.
    """
    operations = find_space_group(space_group).operations().sym_ops
    rotations = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    u, _, v = np.linalg.svd(cell.direct @ rotations @ np.linalg.inv(cell.direct))
    # Of a cell with rounded edges they would not quite be rotations.
    return np.asarray(u @ v)


@lru_cache(maxsize=32)
def _invariants(space_group: str, cell: UnitCell) -> Floats:
    """Basis (21, n) of the constants that are unchanged by the crystal's symmetry."""
    bond = _bond(point_group(space_group, cell))
    images = np.empty((21, 21))
    places = tuple(zip(*_PLACES, strict=True))
    for k, unit in enumerate(np.eye(21)):
        images[:, k] = (bond @ _matrix(unit) @ np.swapaxes(bond, -1, -2)).mean(axis=0)[places]
    u, size, _ = np.linalg.svd(images)
    return np.asarray(u[:, size > 0.5])


def _missing(given: tuple[str, ...], basis: Floats) -> list[str]:
    """Names of the constants that have to be given besides."""
    taken = list(given)
    rank, missing = _rank(basis, taken), []
    for name in (*_USUAL, *(name for name in CONSTANTS if name not in _USUAL)):
        if rank < basis.shape[1] and _rank(basis, [*taken, name]) > rank:
            taken.append(name)
            missing.append(name)
            rank += 1
    return sorted(missing)


def _rank(basis: Floats, names: list[str]) -> int:
    rows = basis[[CONSTANTS.index(name) for name in names]]
    return int(np.linalg.matrix_rank(rows, tol=1e-3)) if names else 0


def _asymmetry(given: Floats, wanted: Floats, names: tuple[str, ...], space_group: str) -> str:
    worst = int(np.argmax(np.abs(given - wanted)))
    return (
        f"does not have the symmetry of {space_group}: {names[worst]} is {given[worst]:g}, with "
        f"the others it would be about {wanted[worst]:.4g} (axes: x along a, y in the plane of a "
        "and b)"
    )

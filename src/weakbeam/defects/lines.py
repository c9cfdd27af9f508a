"""Many straight dislocations as arrays, and the constants of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.defects.dislocation import Dislocation, axes_across


@dataclass(frozen=True)
class StraightLines:
    """Straight dislocations, one a row, all vectors in one Cartesian frame.

    Parameters
    ----------
    burgers_vectors : (n, 3) array_like
        In µm: closures of right-handed circuits about the lines.
    lines : (n, 3) array_like
        Directions of any length, stored as unit vectors.
    positions : (n, 3) array_like
        A point on each line, in µm.
    poisson_ratios, core_radii : (n,) array_like or float
        As of a single :class:`~weakbeam.defects.dislocation.Dislocation`.

    Raises
    ------
    ValueError
        For shapes that do not belong together, numbers that are not finite, a zero Burgers vector
        or line, an impossible Poisson ratio or core radius.
    """

    burgers_vectors: Floats
    lines: Floats
    positions: Floats
    poisson_ratios: Floats
    core_radii: Floats

    def __post_init__(self) -> None:
        """Normalise the lines and check every value."""
        count = len(np.atleast_1d(np.asarray(self.positions)))
        for name in ("burgers_vectors", "lines", "positions"):
            object.__setattr__(self, name, _rows(name, getattr(self, name), (count, 3)))
        for name in ("poisson_ratios", "core_radii"):
            value = np.broadcast_to(np.asarray(getattr(self, name), dtype=np.float64), (count,))
            object.__setattr__(self, name, np.array(value))
        if not np.all(np.any(self.burgers_vectors != 0.0, axis=1)):
            raise ValueError("a Burgers vector is zero: every dislocation needs one")
        lengths = np.linalg.norm(self.lines, axis=1, keepdims=True)
        if np.any(lengths == 0.0):
            raise ValueError("a line is zero: every dislocation needs a direction")
        # Vectors that are unit vectors already keep every digit.
        lengths[np.abs(lengths - 1.0) < 1e-15] = 1.0
        object.__setattr__(self, "lines", self.lines / lengths)
        if not np.all((self.poisson_ratios > -1.0) & (self.poisson_ratios < 0.5)):
            raise ValueError("a Poisson ratio is not between -1 and 0.5")
        if not np.all((self.core_radii >= 0.0) & (self.core_radii < np.inf)):
            raise ValueError("a core radius is negative or not finite")

    @classmethod
    def of(cls, dislocations: Sequence[Dislocation]) -> StraightLines:
        """Gather single dislocations."""
        return cls(
            np.array([d.burgers_vector for d in dislocations]).reshape(-1, 3),
            np.array([d.line for d in dislocations]).reshape(-1, 3),
            np.array([d.position for d in dislocations]).reshape(-1, 3),
            np.array([d.poisson_ratio for d in dislocations]),
            np.array([d.core_radius for d in dislocations]),
        )

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Dislocation]:
        for row in zip(
            self.burgers_vectors,
            self.lines,
            self.positions,
            self.poisson_ratios.tolist(),
            self.core_radii.tolist(),
            strict=True,
        ):
            yield Dislocation(*row)

    def turned(self, rotation: Floats) -> StraightLines:
        """Return the same lines in a frame, or a crystal, that is turned."""
        return StraightLines(
            self.burgers_vectors @ rotation.T,
            self.lines @ rotation.T,
            self.positions @ rotation.T,
            self.poisson_ratios,
            self.core_radii,
        )

    def chosen(self, which: ArrayLike) -> StraightLines:
        """Return some of the lines, given by a mask or by indices."""
        rows = np.asarray(which)
        return StraightLines(
            self.burgers_vectors[rows],
            self.lines[rows],
            self.positions[rows],
            self.poisson_ratios[rows],
            self.core_radii[rows],
        )

    @property
    def axes(self) -> Floats:
        """Unit vectors x (edge part of b), y = t × x and z = t of each line, (n, 3, 3), as rows.

        A pure screw leaves x free: any unit vector across the line then serves.
        """
        x, y = axes_across(self.burgers_vectors, self.lines)
        return np.stack([x, y, self.lines], axis=1)

    @property
    def matrices(self) -> Floats:
        """Coefficients (n, 6, 9) of the six scalar functions of which each field is made.

        The functions are those of :class:`~weakbeam.defects.straight.StraightDislocations`; each
        row is a 3×3 matrix in the order xx, xy, xz, yx, ...
        """
        x, y, z = np.moveaxis(self.axes, 1, 0)
        nu = self.poisson_ratios[:, None, None]
        edge = np.linalg.norm(self.burgers_vectors - self._screw[:, None] * self.lines, axis=1)
        k = edge[:, None, None] / (4 * np.pi * (1 - nu))
        s = self._screw[:, None, None] / (2 * np.pi)
        xx, xy, yx, yy = _outer(x, x), _outer(x, y), _outer(y, x), _outer(y, y)
        zx, zy = _outer(z, x), _outer(z, y)
        functions = [
            -k * (1 - 2 * nu) * (xx + yy) - s * zx,
            k * ((1 - 2 * nu) * xy - (3 - 2 * nu) * yx) + s * zy,
            k * (yy - xx),
            k * (xy + yx),
            k * (2 * nu * yy - 2 * (1 - nu) * xx) - s * zx,
            k * ((4 - 2 * nu) * xy + 2 * nu * yx) + s * zy,
        ]
        return np.stack(functions, axis=1).reshape(-1, 6, 9)

    @property
    def _screw(self) -> Floats:
        return np.asarray(np.sum(self.burgers_vectors * self.lines, axis=1))


def _outer(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, :, None] * b[:, None, :])


def _rows(name: str, value: ArrayLike, shape: tuple[int, int]) -> Floats:
    rows = np.array(value, dtype=np.float64)
    if rows.shape != shape or not np.all(np.isfinite(rows)):
        raise ValueError(f"{name} must be {shape[0]} rows of three finite numbers")
    return rows

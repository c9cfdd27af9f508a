"""How a crystal answers to what strains it: the medium that dislocations are embedded in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.stiffness import (
    Averages,
    averages,
    check_positive,
    tensor_of,
    turned_tensor,
    voigt_matrix,
    zener_ratio,
)


@dataclass(frozen=True)
class IsotropicMedium:
    """An isotropic linear elastic medium; displacements need no more of it than Poisson's ratio.

    Parameters
    ----------
    poisson_ratio : float
        ν, between -1 and 0.5.

    Raises
    ------
    ValueError
        For an impossible Poisson ratio.
    """

    poisson_ratio: float

    def __post_init__(self) -> None:
        """Check the value."""
        if not -1.0 < self.poisson_ratio < 0.5:
            raise ValueError(f"poisson_ratio {self.poisson_ratio} is not between -1 and 0.5")

    def turned(self, rotation: ArrayLike) -> IsotropicMedium:
        """Return the same medium: no direction is special."""
        return self


@dataclass(frozen=True, eq=False)
class AnisotropicMedium:
    """A linear elastic medium of any symmetry, in the frame of what is embedded in it.

    Media are equal if all their constants are, to the last bit.

    Parameters
    ----------
    stiffness : (3, 3, 3, 3) or (6, 6) array_like
        C_ijkl or Voigt's matrix, in GPa; stored as the tensor.

    Raises
    ------
    ValueError
        For constants that are not finite, not symmetric or not positive definite.
    """

    stiffness: Floats

    def __post_init__(self) -> None:
        """Check the constants, and make the tensor of a matrix."""
        given = np.array(self.stiffness, dtype=np.float64)
        matrix = given if given.ndim == 2 else None
        if matrix is None:
            if given.shape != (3, 3, 3, 3):
                raise ValueError("stiffness must have the shape (3, 3, 3, 3) or (6, 6)")
            matrix = voigt_matrix(given)
            if not np.allclose(tensor_of(matrix), given, rtol=0.0, atol=1e-9 * np.abs(given).max()):
                raise ValueError("stiffness must not change when indices of a pair are exchanged")
        try:
            check_positive(matrix)
        except ValueError as error:
            raise ValueError(f"stiffness {error}") from None
        tensor = tensor_of(0.5 * (matrix + matrix.T))
        tensor.flags.writeable = False
        object.__setattr__(self, "stiffness", tensor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AnisotropicMedium):
            return NotImplemented
        return np.array_equal(self.stiffness, other.stiffness)

    def __hash__(self) -> int:
        # Adding zero makes one of the two zeros, which are equal.
        return hash((self.stiffness + 0.0).tobytes())

    def turned(self, rotation: ArrayLike) -> AnisotropicMedium:
        """Return the medium in a frame, or of a crystal, that is turned by `rotation` (3, 3).

        With ``sample_from_crystal``, the medium of the crystal frame becomes that of the sample's.
        """
        return AnisotropicMedium(turned_tensor(self.stiffness, rotation))

    @property
    def matrix(self) -> Floats:
        """Voigt's matrix (6, 6), in GPa."""
        return voigt_matrix(self.stiffness)

    @cached_property
    def averages(self) -> Averages:
        """Moduli of the isotropic aggregate."""
        return averages(self.matrix)

    @property
    def zener_ratio(self) -> float | None:
        """2 c44 / (c11 − c12) of a cubic medium along its cube axes; None of any other."""
        return zener_ratio(self.matrix)


Medium = IsotropicMedium | AnisotropicMedium
"""Any medium whose fields :func:`weakbeam.defects.field_of.field_of` knows."""

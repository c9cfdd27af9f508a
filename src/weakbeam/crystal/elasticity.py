"""How a crystal answers to what strains it: the medium that dislocations are embedded in."""

from __future__ import annotations

from dataclasses import dataclass


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


Medium = IsotropicMedium
"""Any medium whose fields :func:`weakbeam.defects.field_of.field_of` knows."""

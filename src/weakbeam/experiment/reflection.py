"""The reflection in the experiment file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.indices import IndicesOrFour, check_four_indices
from weakbeam.experiment.tables import Table
from weakbeam.experiment.values import Allowed, between, integer, number

Geometry = Literal["symmetric", "oblique", "goniometer"]
Tilt = Annotated[StrictFloat, number(-90, 90)]
Turn = Annotated[StrictFloat, number(-360, 360)]

_KEYS: dict[Geometry, tuple[str, ...]] = {
    "symmetric": ("x_axis",),
    "oblique": ("solution",),
    "goniometer": ("solution", "mu_deg", "omega_deg", "chi_deg", "phi_deg"),
}
"""The keys that belong to each geometry, beside hkl."""


def three_of(hkil: tuple[int, ...]) -> tuple[int, int, int]:
    """Three indices of a plane (hkl) or (hkil), whose third one follows from the first two."""
    h, k, *_, last = hkil
    return h, k, last


class Reflection(Table):
    """The reflection that forms the image."""

    hkl: IndicesOrFour = Field((-1, 1, -1), description="Miller indices")
    geometry: Geometry = Field(
        "symmetric",
        description='planes flat; "oblique": omega solved; "goniometer": any setting',
    )
    x_axis: IndicesOrFour | None = Field(
        None, description="symmetric: in place of crystal.x_axis for this reflection"
    )
    solution: Annotated[StrictInt, integer(1, 2)] | None = Field(
        None, description="which of the two omega that diffract, the smaller first; default: 1"
    )
    mu_deg: Tilt | None = Field(None, description="goniometer: outermost tilt; default: 0")
    omega_deg: Turn | None = Field(
        None, description="goniometer: rotation that mu carries; default: solved"
    )
    chi_deg: Turn | None = Field(
        None, description="goniometer: tilt that omega carries; default: 0"
    )
    phi_deg: Turn | None = Field(None, description="goniometer: innermost tilt; default: 0")

    @model_validator(mode="after")
    def _has_the_keys_of_its_geometry(self) -> Self:
        for geometry, keys in _KEYS.items():
            for key in keys:
                value = getattr(self, key)
                if value is not None and key not in _KEYS[self.geometry]:
                    shown = list(value) if isinstance(value, tuple) else value
                    raise InputError(key, shown, f'needs geometry = "{geometry}"')
        if self.solution is not None and self.omega_deg is not None:
            raise InputError("solution", self.solution, "give either solution or omega_deg")
        check_four_indices(self, "hkl", "x_axis")
        return self

    @property
    def plane(self) -> tuple[int, int, int]:
        """The Miller indices, three of them also where four were written."""
        return three_of(self.hkl)


Reflections = Annotated[
    tuple[Reflection, ...],
    Allowed("one or more tables, each written [[reflections]]", lambda v: len(v) > 0),
]


class AllReflections(Table):
    """Every reflection of a kind that the crystal reaches on its mount, in the oblique geometry."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = (("theta_max_deg", "in_group_of"),)

    theta_max_deg: Annotated[StrictFloat, between(0, 45)] | None = Field(
        None, description="all up to this Bragg angle ..."
    )
    in_group_of: IndicesOrFour | None = Field(
        None, description="... or those with the theta and |eta| of this one"
    )
    solutions: Literal["one", "both"] = Field(
        "one",
        description='"one" of both omega (the first; in a group, that at its eta) or "both"',
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.theta_max_deg is None and self.in_group_of is None:
            raise InputError("theta_max_deg", None, "missing; give theta_max_deg or in_group_of")
        check_four_indices(self, "in_group_of")
        return self

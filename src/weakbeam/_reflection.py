"""The reflection in the experiment file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weakbeam._fields import Indices, Table


class Reflection(Table):
    """The reflection that forms the image."""

    hkl: Indices = Field((-1, 1, -1), description="Miller indices")
    geometry: Literal["symmetric"] = Field(
        "symmetric", description="the diffraction vector lies in the plane of beam and vertical"
    )

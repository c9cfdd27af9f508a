"""Ways of other programs in the experiment file, for comparisons with their images."""

from __future__ import annotations

from pydantic import Field, StrictBool

from weakbeam._fields import Table


class Compatibility(Table):
    """What is done as another program does it, to compare with its images."""

    dfxm_geo_projection: StrictBool = Field(
        False, description="points of a pixel stand above each other, on the grid of dfxm-geo 3.0"
    )

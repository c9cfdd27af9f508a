"""A uniform deformation of the whole crystal, in the sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble.placed import Column, Host, ShownLines, Sources
from weakbeam.core.arrays import Floats
from weakbeam.defects.field import UniformGradient
from weakbeam.defects.uniform import uniform_gradient
from weakbeam.experiment.uniform import Uniform


@dataclass(frozen=True, eq=False)
class PlacedUniform:
    """A displacement gradient that is the same everywhere.

    Parameters
    ----------
    gradient : (3, 3) ndarray
        β, sample frame.
    kind : str
        What the table is called.
    """

    gradient: Floats
    kind: str = "uniform"

    @property
    def sources(self) -> Sources:
        """The field."""
        return Sources(fields=(UniformGradient(self.gradient),))

    def turned(self, rotation: Floats) -> PlacedUniform:
        """The same deformation in a sample that is turned."""
        return replace(self, gradient=rotation @ self.gradient @ rotation.T)

    def rows(self) -> dict[str, Column]:
        """One row."""
        return {"gradient": (self.gradient[None], "um/um")}

    def shown(self, centre: Floats, reach: float) -> ShownLines:
        """Nothing: it is the same wherever one looks."""
        return ShownLines()


def place_uniform(table: Uniform, key: str, host: Host) -> tuple[PlacedUniform]:
    """A uniform deformation in the sample frame."""
    rotation = 1e-3 * np.array(table.rotation_mrad or (0.0, 0.0, 0.0))
    placed = PlacedUniform(uniform_gradient(table.strain_rows, rotation))
    return (placed.turned(host.sample_from_crystal) if table.axes == "crystal" else placed,)

"""The experiment: crystal, defects, instrument, reflection, scan. One validated description.

The defaults stand here and nowhere else; templates and the reference page are made from these
models. Every number is in the unit that its name ends with. The classes check each value by itself;
what needs physics (is the reflection reachable, does the Burgers vector lie in the plane) is
checked where the physics is.
"""

from __future__ import annotations

from weakbeam.experiment.camera import Camera
from weakbeam.experiment.crystal import Cell, Crystal
from weakbeam.experiment.curved import Loop, Polyline
from weakbeam.experiment.defects import Dislocation
from weakbeam.experiment.experiment import Compatibility, Experiment, Output
from weakbeam.experiment.gridded import Grid
from weakbeam.experiment.identify import Identify
from weakbeam.experiment.instrument import (
    Acceptance,
    Beam,
    CentralStop,
    KnifeEdge,
    Lens,
    Objective,
    RoundAperture,
    SpectralLine,
    SquareAperture,
    Wire,
)
from weakbeam.experiment.network import Network
from weakbeam.experiment.populations import (
    Boundary,
    BoundarySet,
    LineTable,
    RandomDislocations,
    StoredDislocations,
    Wall,
)
from weakbeam.experiment.reflection import AllReflections, Reflection
from weakbeam.experiment.scan import AngleAxis, Axis, HeightAxis, Scan
from weakbeam.experiment.uniform import Uniform

__all__ = [
    "Acceptance",
    "AllReflections",
    "AngleAxis",
    "Axis",
    "Beam",
    "Boundary",
    "BoundarySet",
    "Camera",
    "Cell",
    "CentralStop",
    "Compatibility",
    "Crystal",
    "Dislocation",
    "Experiment",
    "Grid",
    "HeightAxis",
    "Identify",
    "KnifeEdge",
    "Lens",
    "LineTable",
    "Loop",
    "Network",
    "Objective",
    "Output",
    "Polyline",
    "RandomDislocations",
    "Reflection",
    "RoundAperture",
    "Scan",
    "SpectralLine",
    "SquareAperture",
    "StoredDislocations",
    "Uniform",
    "Wall",
    "Wire",
]

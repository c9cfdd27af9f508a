"""weakbeam: a geometrical-optics forward model of dark-field X-ray microscopy.

>>> import weakbeam as wb
>>> run = wb.simulate(wb.Experiment())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weakbeam.batch.sweep import sweep
    from weakbeam.errors import InputError, RunError
    from weakbeam.experiment import (
        AngleAxis,
        Beam,
        Boundary,
        Camera,
        Crystal,
        Dislocation,
        Experiment,
        Grid,
        HeightAxis,
        LineTable,
        Loop,
        Network,
        Objective,
        Polyline,
        RandomDislocations,
        Reflection,
        Scan,
        StoredDislocations,
        Uniform,
        Wall,
    )
    from weakbeam.fit.calibrate import calibrate
    from weakbeam.identify.fit_scan import fit_scan
    from weakbeam.io.foreign import read_scan
    from weakbeam.measured.distortion import distortion
    from weakbeam.measured.maps import map_scan
    from weakbeam.measured.side_by_side import compare
    from weakbeam.run.labelled import LabelledArray
    from weakbeam.run.lens_quantities import optics
    from weakbeam.run.pictures import montage
    from weakbeam.run.planning import Timing, plan
    from weakbeam.run.record import Record, record
    from weakbeam.run.reflection_search import find_reflections
    from weakbeam.run.simulate import Maps, Run, center_of_mass, q_field, simulate
    from weakbeam.viewer.live import live

__version__ = "0.1.0"

_HOMES = {
    "AngleAxis": "weakbeam.experiment",
    "Beam": "weakbeam.experiment",
    "Boundary": "weakbeam.experiment",
    "Camera": "weakbeam.experiment",
    "Crystal": "weakbeam.experiment",
    "Dislocation": "weakbeam.experiment",
    "Experiment": "weakbeam.experiment",
    "Grid": "weakbeam.experiment",
    "HeightAxis": "weakbeam.experiment",
    "InputError": "weakbeam.errors",
    "LabelledArray": "weakbeam.run.labelled",
    "LineTable": "weakbeam.experiment",
    "Loop": "weakbeam.experiment",
    "Maps": "weakbeam.run.simulate",
    "Network": "weakbeam.experiment",
    "Objective": "weakbeam.experiment",
    "Polyline": "weakbeam.experiment",
    "RandomDislocations": "weakbeam.experiment",
    "Record": "weakbeam.run.record",
    "Reflection": "weakbeam.experiment",
    "Run": "weakbeam.run.simulate",
    "RunError": "weakbeam.errors",
    "Scan": "weakbeam.experiment",
    "StoredDislocations": "weakbeam.experiment",
    "Timing": "weakbeam.run.planning",
    "Uniform": "weakbeam.experiment",
    "Wall": "weakbeam.experiment",
    "calibrate": "weakbeam.fit.calibrate",
    "center_of_mass": "weakbeam.run.simulate",
    "compare": "weakbeam.measured.side_by_side",
    "distortion": "weakbeam.measured.distortion",
    "find_reflections": "weakbeam.run.reflection_search",
    "fit_scan": "weakbeam.identify.fit_scan",
    "live": "weakbeam.viewer.live",
    "map_scan": "weakbeam.measured.maps",
    "montage": "weakbeam.run.pictures",
    "optics": "weakbeam.run.lens_quantities",
    "plan": "weakbeam.run.planning",
    "q_field": "weakbeam.run.simulate",
    "read_scan": "weakbeam.io.foreign",
    "record": "weakbeam.run.record",
    "simulate": "weakbeam.run.simulate",
    "sweep": "weakbeam.batch.sweep",
}

__all__ = [
    "AngleAxis",
    "Beam",
    "Boundary",
    "Camera",
    "Crystal",
    "Dislocation",
    "Experiment",
    "Grid",
    "HeightAxis",
    "InputError",
    "LabelledArray",
    "LineTable",
    "Loop",
    "Maps",
    "Network",
    "Objective",
    "Polyline",
    "RandomDislocations",
    "Record",
    "Reflection",
    "Run",
    "RunError",
    "Scan",
    "StoredDislocations",
    "Timing",
    "Uniform",
    "Wall",
    "calibrate",
    "center_of_mass",
    "compare",
    "distortion",
    "find_reflections",
    "fit_scan",
    "live",
    "map_scan",
    "montage",
    "optics",
    "plan",
    "q_field",
    "read_scan",
    "record",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import weakbeam`` itself stays light."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'weakbeam' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

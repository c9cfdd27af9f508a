"""weakbeam: a geometrical-optics forward model of dark-field X-ray microscopy, and the way back.

>>> import weakbeam as wb
>>> run = wb.simulate(wb.Experiment())

What most scripts need is here: tables of the description (`Experiment`, `Crystal`, `Dislocation`,
…), verbs (`simulate`, `record`, `find_reflections`, `map_scan`, `fit`, …) and what they return.
The rooms below take and return numbers and arrays; none imports a later one:

- ``core``, ``experiment`` (the description), ``crystal``, ``instrument``, ``defects``,
  ``diffraction``, ``imaging``: the physics;
- ``analysis``, ``io`` (files), ``assemble`` (from description to physics), ``plot``, ``run``: from
  an experiment to images and maps;
- ``measured``, ``fit``, ``identify``: the way back; ``batch`` (sweeps), ``compat`` (files of
  dfxm-geo), ``viewer`` (the browser), ``cli``.

``fit`` and ``identify`` are rooms and verbs: ``wb.fit(scan)`` fits, and ``from weakbeam.fit
import …`` has the parts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weakbeam.batch.sweep import sweep
    from weakbeam.errors import InputError, RunError
    from weakbeam.experiment import (
        AngleAxis,
        Axis,
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
    from weakbeam.identify.fit_scan import fit_scan as fit
    from weakbeam.identify.identification import Identification, identify
    from weakbeam.io.foreign import read_scan
    from weakbeam.measured.distortion import distortion
    from weakbeam.measured.maps import map_scan
    from weakbeam.measured.side_by_side import compare
    from weakbeam.run.deformation import displacement_gradient
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
    "Axis": "weakbeam.experiment",
    "Beam": "weakbeam.experiment",
    "Boundary": "weakbeam.experiment",
    "Camera": "weakbeam.experiment",
    "Crystal": "weakbeam.experiment",
    "Dislocation": "weakbeam.experiment",
    "Experiment": "weakbeam.experiment",
    "Grid": "weakbeam.experiment",
    "HeightAxis": "weakbeam.experiment",
    "Identification": "weakbeam.identify.identification",
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
    "displacement_gradient": "weakbeam.run.deformation",
    "distortion": "weakbeam.measured.distortion",
    "find_reflections": "weakbeam.run.reflection_search",
    "fit": "weakbeam.identify.fit_scan:fit_scan",
    "fit_scan": "weakbeam.identify.fit_scan",
    "identify": "weakbeam.identify.identification",
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
"""Module of each public name, with the name that it has there where that is another one."""

_ROOMS = ("fit", "identify")
"""Verbs that share their name with a room, which does what they do when it is called."""

__all__ = [
    "AngleAxis",
    "Axis",
    "Beam",
    "Boundary",
    "Camera",
    "Crystal",
    "Dislocation",
    "Experiment",
    "Grid",
    "HeightAxis",
    "Identification",
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
    "displacement_gradient",
    "distortion",
    "find_reflections",
    "fit",
    "fit_scan",
    "identify",
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
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return _home(name)
    raise AttributeError(f"module 'weakbeam' has no attribute {name!r}")


def _home(name: str) -> Any:
    """What a public name stands for; of a room that is a verb, the function."""
    module, _, own = _HOMES[name].partition(":")
    return getattr(import_module(module), own or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

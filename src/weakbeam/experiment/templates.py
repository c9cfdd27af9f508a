"""Experiments to start from, and their commented files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from weakbeam.experiment import (
    AllReflections,
    AngleAxis,
    Beam,
    Boundary,
    Camera,
    Experiment,
    Identify,
    RandomDislocations,
    Scan,
    Wall,
)

__all__ = ["TEMPLATES", "Template"]


@dataclass(frozen=True)
class Template:
    """A named experiment to start from.

    Parameters
    ----------
    name : str
        Also the name of its file, without ``.toml``.
    description : str
        What it simulates, in one line.
    experiment : Experiment
        The experiment itself.
    keys : tuple of str
        The keys that one would change first.
    command : str
        The command that takes it.
    """

    name: str
    description: str
    experiment: Experiment
    keys: tuple[str, ...]
    command: str = "forward"

    @property
    def text(self) -> str:
        """The commented file; reading it gives `experiment`."""
        return (
            f"# {self.description}\n"
            f"# Simulate it:  weakbeam {self.command} -c {self.name}.toml -o {self.name}\n"
            f"# Change first: {', '.join(self.keys)}\n"
            "# A section or key that is left out has the value of the default template.\n"
            "\n"
            f"{self.experiment.to_toml(comments=True)}"
        )


_ALL = (
    Template(
        "default",
        "One image of an edge dislocation in aluminium, at the top of the rocking curve.",
        Experiment(),
        ("defects[0].line", "reflection.hkl", "scan.phi.value_mrad"),
    ),
    Template(
        "weak-beam",
        "A weak-beam image: the crystal is turned off its peak, the dislocation lights up.",
        Experiment(
            beam=Beam(height_fwhm_um=0.6),
            scan=Scan(phi=AngleAxis(value_mrad=0.15)),
        ),
        ("scan.phi.value_mrad", "beam.height_fwhm_um"),
    ),
    Template(
        "rocking",
        "A rocking scan: 61 images over phi.",
        Experiment(scan=Scan(phi=AngleAxis(half_range_mrad=0.6, steps=61))),
        ("scan.phi.half_range_mrad", "scan.phi.steps"),
    ),
    Template(
        "mosaicity",
        "A mosaicity scan: 61 x 61 images over phi and chi, for maps of the lattice rotation.",
        Experiment(
            scan=Scan(
                phi=AngleAxis(half_range_mrad=0.6, steps=61),
                chi=AngleAxis(half_range_mrad=2.0, steps=61),
            )
        ),
        ("scan.phi.steps", "scan.chi.steps", "scan.chi.half_range_mrad"),
    ),
    Template(
        "strain",
        "A strain scan: 61 images over the detector arm with phi along, for maps of the strain.",
        Experiment(scan=Scan(strain=AngleAxis(half_range_mrad=1.0, steps=61))),
        ("scan.strain.half_range_mrad", "scan.strain.steps"),
    ),
    Template(
        "reflections",
        "One defect in the four reflections {113} at one azimuth, two of them in the weak beam.",
        Experiment(
            preset="id06-oblique",
            all_reflections=AllReflections(in_group_of=(-1, -1, 3)),
            beam=Beam(height_fwhm_um=0.6),
            scan=Scan(phi=AngleAxis(value_mrad=0.1)),
        ),
        ("all_reflections.in_group_of", "crystal.mount", "scan.phi.value_mrad"),
    ),
    Template(
        "wall",
        "A low-angle tilt wall: five edge dislocations, one above the other in their slip planes.",
        Experiment(
            beam=Beam(height_fwhm_um=0.6),
            defects=(
                Wall(
                    plane=(1, 1, 1),
                    burgers=(1, 0, -1),
                    line=(1.0, -2.0, 1.0),
                    spacing_um=2.0,
                    count=5,
                ),
            ),
            scan=Scan(phi=AngleAxis(value_mrad=0.15)),
        ),
        ("defects[0].spacing_um", "defects[0].count", "scan.phi.value_mrad"),
    ),
    Template(
        "random",
        "Thirty dislocations of all slip systems, drawn at random, in the weak beam.",
        Experiment(
            beam=Beam(height_fwhm_um=0.6),
            defects=(RandomDislocations(count=30, seed=1),),
            scan=Scan(phi=AngleAxis(value_mrad=0.15)),
        ),
        ("defects[0].count", "defects[0].seed", "scan.phi.value_mrad"),
    ),
    Template(
        "boundary",
        "A rocking scan of two subgrains with a low-angle boundary between them, by Frank's law.",
        Experiment(
            beam=Beam(height_fwhm_um=0.6),
            defects=(Boundary(recipe="leds_eq11", angle_deg=0.02),),
            scan=Scan(phi=AngleAxis(half_range_mrad=0.6, steps=61)),
        ),
        ("defects[0].recipe", "defects[0].angle_deg", "scan.phi.half_range_mrad"),
    ),
    Template(
        "library",
        "A library of all types of dislocations in the weak beam, on both sides of the peak.",
        Experiment(
            beam=Beam(height_fwhm_um=0.6),
            camera=Camera(model="pco_edge"),
            scan=Scan(phi=AngleAxis(values_mrad=(-0.15, 0.15))),
            identify=Identify(),
        ),
        ("identify.character_step_deg", "reflection.hkl", "scan.phi.values_mrad"),
        "identify generate",
    ),
    Template(
        "training",
        "A training set: images of two dislocations each, with counts, masks and end points.",
        Experiment(
            camera=Camera(model="pco_edge", pixels=(128, 128)),
            scan=Scan(phi=AngleAxis(value_mrad=0.15)),
            identify=Identify(mode="multi"),
        ),
        ("identify.images", "identify.dislocations", "identify.seed", "camera.pixels"),
        "identify generate",
    ),
)

TEMPLATES: Mapping[str, Template] = MappingProxyType({t.name: t for t in _ALL})
"""The templates by name; each differs from the default in what its description tells."""

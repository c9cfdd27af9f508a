"""From the experiment's description to the objects of the physics.

What only physics can tell is checked here, before anything is computed or written: whether the
reflection exists and can be reached, whether a Burgers vector lies in its plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from weakbeam.assemble.camera import detector_of, upright
from weakbeam.assemble.crystal import CrystalModel, crystal_of, orientation_of
from weakbeam.assemble.defects import Defects, defects_of, visible_bounds
from weakbeam.assemble.instrument import acceptance_of, motion_of, profile_of, vignetting_of
from weakbeam.assemble.placed import PlacedDislocation
from weakbeam.assemble.populations import FieldOfView
from weakbeam.assemble.reflection import geometry_of, reflections_of
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.symmetry import Site
from weakbeam.defects.field import DisplacementGradientField, Superposition
from weakbeam.diffraction.acceptance import Acceptance
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.kernel import Kernel, conditions, differences
from weakbeam.diffraction.oblique_acceptance import ObliqueAcceptance, oblique_acceptance
from weakbeam.diffraction.strength import DiffractionStrength, diffraction_strength
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment, Reflection
from weakbeam.experiment.populations import StoredDislocations
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.motors import MOTORS
from weakbeam.imaging.rays import RayGrid, ray_grid
from weakbeam.imaging.sampling import MOST_SAMPLES
from weakbeam.imaging.scan import DetectorScan, detector_scans
from weakbeam.instrument.detector import Detector
from weakbeam.io.provenance import file_sha256, text_sha256

COARSE_SLICES = 15
"""Fewest depth samples of a pixel's ray ..."""

SMOOTH_CUT = 3
"""... and how many times fewer it has where q hardly varies along it."""

SLICE_UM = 0.06
"""Thickest slice of the beam that one depth sample stands for (µm)."""

PHI_PER_ARM = -0.5
"""What φ turns for each angle of the arm in a strain scan: q moves along the diffraction vector."""

REFINEMENTS = 3
"""How often the depth samples of a ray may become four times as many near a defect."""


@dataclass(frozen=True)
class Setup:
    """Everything that the route from crystal to image needs, in the units of the physics."""

    experiment: Experiment
    """The experiment, with one reflection."""
    whole: Experiment
    """The experiment as it was described, perhaps with several reflections."""
    reflection: Reflection
    """The reflection."""
    cell: UnitCell
    space_group: str
    sites: tuple[Site, ...] | None
    """Atoms of the asymmetric unit; None where they are not known."""
    sample_from_crystal: Floats
    geometry: DiffractionGeometry
    motors: Mapping[str, float]
    """Setting of the goniometer, ``mu``, ``omega``, ``chi`` and ``phi`` (rad)."""
    optics: Acceptance
    """Beam, lens and stops."""
    acceptance: Acceptance | ObliqueAcceptance
    """What they let through for this reflection."""
    defects: Defects
    grids: tuple[RayGrid, ...]
    """From coarse to fine; rays take finer ones near defects."""
    smooth_grid: RayGrid | None
    """A still coarser one, for rays that pass far from all defects."""
    positions: Mapping[str, Floats]
    scans: tuple[DetectorScan, ...]
    vignetting: float
    detector: Detector
    """What makes frames of the images."""
    notes: tuple[str, ...]
    """What was corrected in the description."""

    @property
    def factorises(self) -> bool:
        """Whether frames are products of factors of the acceptance."""
        return isinstance(self.acceptance, Acceptance) and self.experiment.acceptance.method == (
            "closed-form"
        )

    @property
    def dislocations(self) -> tuple[PlacedDislocation, ...]:
        """The dislocations that the experiment describes one by one."""
        return self.defects.dislocations

    @property
    def field(self) -> DisplacementGradientField:
        """The deformation of the crystal, in the sample frame, at the first height of the scan."""
        return self.field_at(float(self.positions["z"][0]))

    def field_at(self, z: float, workers: int | None = None) -> DisplacementGradientField:
        """The deformation of the crystal, made for what is seen with the sample at height `z` (µm).

        The same object for the same height: the last one is kept.
        """
        if self._fields.get("z") != z:
            grids = [replace(grid, lift=z) for grid in self.grids]
            corners = np.array([0, self.grids[0].columns - 1])
            corners = np.concatenate([corners, corners + (grids[0].pixels - grids[0].columns)])
            bounds = visible_bounds(
                [grid.points(corners).reshape(-1, 3) for grid in grids],
                self.geometry.lab_from_sample,
            )
            # As many as refinement near many defects asks for.
            points = grids[0].pixels * max(MOST_SAMPLES, len(grids[0].sample_weights))
            self._fields["field"] = self.defects.field(bounds, points, workers)
            self._fields["z"] = z
        field: DisplacementGradientField = self._fields["field"]
        return field

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return {}

    def engine(
        self,
        z: float = 0.0,
        workers: int | None = None,
        perfect: bool = False,
        tolerance: float = 1.0,
    ) -> Engine:
        """The engine for the sample at height `z` (µm), with its defects or without.

        `tolerance` tells how many times larger than usual steps of q along a ray may be.
        """
        grids = [replace(grid, lift=z) for grid in self.grids]
        field = Superposition() if perfect else self.field_at(z, workers)
        return Engine(
            field,
            self.geometry,
            grids,
            self.acceptance,
            workers,
            kernel=self.kernel,
            vignetting=self.vignetting,
            smooth=None if self.smooth_grid is None else replace(self.smooth_grid, lift=z),
            tolerance=tolerance,
        )

    @cached_property
    def strength(self) -> DiffractionStrength | None:
        """How strongly the crystal diffracts; None where its atoms are not known."""
        if self.sites is None:
            return None
        energy, eta = self.experiment.beam.energy_keV, self.geometry.eta
        return diffraction_strength(
            self.cell, self.space_group, self.sites, self.reflection.hkl, energy, eta
        )

    @property
    def conditions(self) -> dict[str, Any]:
        """What a kernel of this experiment belongs to.

        See `weakbeam.diffraction.kernel.conditions`.
        """
        return conditions(
            self.optics,
            self.geometry,
            self.reflection.hkl,
            self.experiment.beam.energy_keV,
        )

    @cached_property
    def kernel(self) -> Kernel | None:
        """The tabulated acceptance that the experiment asks for; None for the closed form.

        Raises
        ------
        InputError
            If its file cannot be read, or belongs to another reflection, energy or optics.
        """
        table = self.experiment.acceptance
        if table.method == "closed-form":
            return None
        belongs_to = self.conditions
        if table.method == "ray-trace":
            from weakbeam.diffraction.raytrace import RayOptics, trace

            rays = RayOptics(self.optics, self.geometry)
            return trace(rays, table.rays, table.bins, seed=table.seed, conditions=belongs_to)
        from weakbeam.io.kernel_file import read_kernel

        kernel = read_kernel(str(table.file))
        if found := differences(kernel.conditions, belongs_to):
            more = f" (and {len(found) - 3} more keys)" if len(found) > 3 else ""
            raise InputError(
                "acceptance.file",
                table.file,
                "does not belong here: " + "; ".join(found[:3]) + more,
            )
        return kernel

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the images depend on: the experiment and the files that it names."""
        inputs = self.inputs
        if not inputs:
            return self.whole.digest
        return text_sha256(self.whole.digest + "".join(inputs.values()))

    @cached_property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of every file that the experiment names."""
        return {file: file_sha256(file) for file in input_files(self.experiment)}


def input_files(experiment: Experiment) -> list[str]:
    """The files that an experiment names, by which its images change."""
    e = experiment
    stored = [table.file for table in e.defects if isinstance(table, StoredDislocations)]
    files = (e.crystal.cif, e.acceptance.file, e.camera.file, *stored)
    return [file for file in files if file is not None]


def assemble(experiment: Experiment) -> Setup:
    """Build the objects of the physics from an experiment; of several reflections, the first.

    Parameters
    ----------
    experiment : Experiment
        The description.

    Returns
    -------
    Setup

    Raises
    ------
    InputError
        If the description contradicts physics: the message names the key, the value and what would
        be right.
    """
    return next(_assembled(experiment))


def assemble_all(experiment: Experiment) -> tuple[Setup, ...]:
    """Build the objects of the physics for every reflection of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The description.

    Returns
    -------
    tuple of Setup
        In the order of the description. All have the same defects in the same places of the
        crystal: in the symmetric geometry positions are given in the sample frame of the first
        reflection, and a remount carries them along.

    Raises
    ------
    InputError
        As for :func:`assemble`.
    """
    return tuple(_assembled(experiment))


def _assembled(experiment: Experiment) -> Iterator[Setup]:
    crystal = crystal_of(experiment)
    found = reflections_of(experiment, crystal)
    for key, reflection in found:
        reason = crystal.extinction_reason(reflection.hkl)
        if reason is not None:
            raise InputError(f"{key}.hkl", list(reflection.hkl), f"extinct ({reason})")
    first = found[0]
    reference = orientation_of(experiment, crystal, first.reflection, first.key)
    geometry, _, _ = geometry_of(
        first.reflection, reference, crystal.cell, experiment.beam.energy_keV, first.key
    )
    defects = defects_of(experiment, crystal, reference, _view(experiment, geometry))
    for key, reflection in found:
        part = experiment
        if experiment.reflection is None:
            part = experiment.model_copy(update={"reflection": reflection})
        yield _one(part, experiment, key, reflection, crystal, reference, defects)


def _view(experiment: Experiment, geometry: DiffractionGeometry) -> FieldOfView:
    """What the camera sees of the sample in a reflection."""
    rows, columns = experiment.camera.pixels
    pixel = experiment.camera.pixel_um
    normal = geometry.lab_from_sample.T @ np.array([0.0, 0.0, 1.0])
    return FieldOfView(normal, max(rows * pixel / math.sin(2.0 * geometry.theta), columns * pixel))


def _one(
    experiment: Experiment,
    whole: Experiment,
    key: str,
    reflection: Reflection,
    crystal: CrystalModel,
    reference: Floats,
    defects: Defects,
) -> Setup:
    orientation = orientation_of(experiment, crystal, reflection, key)
    geometry, motors, notes = geometry_of(
        reflection, orientation, crystal.cell, experiment.beam.energy_keV, key
    )
    optics = acceptance_of(experiment, geometry.theta, motion_of(experiment, geometry))
    symmetric = reflection.geometry == "symmetric"
    positions, strained = _positions(experiment), experiment.scan.strain.moving
    with naming(f"{key}.hkl", list(reflection.hkl)):
        smooth, grids = _ray_grids(experiment, geometry)
    if experiment.compatibility is not None and experiment.compatibility.dfxm_geo_projection:
        smooth, grids = None, [upright(experiment, reflection, grids[0])]
    setup = Setup(
        experiment=experiment,
        whole=whole,
        reflection=reflection,
        cell=crystal.cell,
        space_group=crystal.space_group,
        sites=crystal.sites,
        sample_from_crystal=orientation,
        geometry=geometry,
        motors=motors,
        optics=optics,
        acceptance=optics if symmetric else oblique_acceptance(optics, geometry),
        defects=defects.turned(orientation @ reference.T),
        grids=tuple(grids),
        smooth_grid=smooth,
        positions=positions,
        scans=tuple(
            detector_scans(
                positions, PHI_PER_ARM if strained else 0.0, experiment.scan.order == "zigzag"
            )
        ),
        vignetting=vignetting_of(experiment),
        detector=detector_of(experiment, geometry, optics),
        notes=notes,
    )
    # A kernel that does not fit is a mistake to be told before anything is written.
    if experiment.acceptance.method == "kernel":
        setup.kernel  # noqa: B018
    return setup


def _ray_grids(
    experiment: Experiment, geometry: DiffractionGeometry
) -> tuple[RayGrid | None, list[RayGrid]]:
    """The grid of rays far from all defects, unless samples are given, and those of the others."""
    camera, profile = experiment.camera, profile_of(experiment)

    def grid(samples: int) -> RayGrid:
        return ray_grid(
            geometry,
            camera.pixels,
            camera.pixel_um,
            *profile.samples(samples),
            plane=camera.plane,
            oversampling=camera.oversampling,
        )

    if camera.depth_samples != "auto":
        return None, [grid(camera.depth_samples)]
    slices = max(COARSE_SLICES, math.ceil(2.0 * profile.half_reach / SLICE_UM))
    smooth = math.ceil(slices / SMOOTH_CUT)
    cuts = [SMOOTH_CUT * 4**k for k in range(REFINEMENTS + 1)]
    return grid(smooth), [grid(smooth * cut) for cut in cuts]


def _positions(experiment: Experiment) -> dict[str, Floats]:
    """Positions of every motor: rad, µm for z."""
    scan = experiment.scan
    return {
        name: MOTORS[name].inner(axis.positions)
        for name, axis in (
            ("z", scan.z),
            ("two_theta", scan.arm),
            ("chi", scan.chi),
            ("phi", scan.phi),
        )
    }

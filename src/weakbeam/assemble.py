"""From the experiment's description to the objects of the physics.

What only physics can tell is checked here, before anything is computed or written: whether the
reflection exists and can be reached, whether a Burgers vector lies in its plane.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from weakbeam._typing import Floats
from weakbeam.assemble_crystal import crystal_of
from weakbeam.assemble_defects import PlacedDislocation, dislocations_of
from weakbeam.assemble_instrument import acceptance_of, profile_of, vignetting_of
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.crystal.symmetry import absence_reason
from weakbeam.defects.field import DisplacementGradientField, Superposition
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.acceptance import Acceptance
from weakbeam.diffraction.frames import DiffractionGeometry, symmetric_geometry
from weakbeam.diffraction.kernel import Kernel, conditions, differences
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.rays import RayGrid, ray_grid
from weakbeam.imaging.scan import DetectorScan, detector_scans
from weakbeam.io.provenance import file_sha256, text_sha256

COARSE_SLICES = 15
"""Fewest depth samples of a pixel's ray."""

SLICE_UM = 0.06
"""Thickest slice of the beam that one depth sample stands for (µm)."""

REFINEMENTS = 3
"""How often the depth samples of a ray may become four times as many near a defect."""


@dataclass(frozen=True)
class Setup:
    """Everything that the route from crystal to image needs, in the units of the physics."""

    experiment: Experiment
    cell: UnitCell
    space_group: str
    sample_from_crystal: Floats
    geometry: DiffractionGeometry
    acceptance: Acceptance
    dislocations: tuple[PlacedDislocation, ...]
    grids: tuple[RayGrid, ...]
    positions: Mapping[str, Floats]
    scans: tuple[DetectorScan, ...]
    vignetting: float

    @property
    def field(self) -> DisplacementGradientField:
        """The deformation of the crystal, in the sample frame."""
        lines = [placed.line for placed in self.dislocations]
        return Superposition([StraightDislocations(lines)] if lines else [])

    def engine(self, z: float = 0.0, workers: int | None = None, perfect: bool = False) -> Engine:
        """The engine for the sample at height `z` (µm), with its defects or without."""
        grids = [replace(grid, lift=z) for grid in self.grids]
        field = Superposition() if perfect else self.field
        return Engine(
            field,
            self.geometry,
            grids,
            self.acceptance,
            workers,
            kernel=self.kernel,
            vignetting=self.vignetting,
        )

    @property
    def conditions(self) -> dict[str, Any]:
        """What a kernel of this experiment belongs to.

        See `weakbeam.diffraction.kernel.conditions`.
        """
        return conditions(
            self.acceptance,
            self.geometry,
            self.experiment.reflection.hkl,
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

            rays = RayOptics(self.acceptance, self.geometry)
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
            return self.experiment.digest
        return text_sha256(self.experiment.digest + "".join(inputs.values()))

    @cached_property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of every file that the experiment names."""
        file = self.experiment.acceptance.file
        return {} if file is None else {file: file_sha256(file)}


def assemble(experiment: Experiment) -> Setup:
    """Build the objects of the physics from an experiment.

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
    crystal = crystal_of(experiment)
    hkl = experiment.reflection.hkl
    named, cell = crystal.named, crystal.cell
    reason = named.extinction_reason(hkl) if named else absence_reason(crystal.space_group, hkl)
    if reason is not None:
        raise InputError("reflection.hkl", list(hkl), f"extinct ({reason})")
    energy = experiment.beam.energy_keV
    with naming("reflection.hkl", list(hkl)):
        theta = bragg_angle(float(cell.d_spacing(hkl)), energy)
    if theta >= math.pi / 4:
        raise InputError(
            "reflection.hkl",
            list(hkl),
            f"scatters backwards at {energy:g} keV (2θ = {math.degrees(2 * theta):.4g} deg); "
            "the objective stands downstream, so 2θ must be less than 90 deg",
        )
    with naming("crystal.x_axis", list(experiment.crystal.x_axis)):
        orientation = symmetric_orientation(cell, hkl, experiment.crystal.x_axis)
    geometry = symmetric_geometry(theta)
    positions = _positions(experiment)
    setup = Setup(
        experiment=experiment,
        cell=cell,
        space_group=crystal.space_group,
        sample_from_crystal=orientation,
        geometry=geometry,
        acceptance=acceptance_of(experiment, theta),
        dislocations=dislocations_of(experiment, crystal, orientation),
        grids=_ray_grids(experiment, geometry),
        positions=positions,
        scans=tuple(detector_scans(positions)),
        vignetting=vignetting_of(experiment),
    )
    # A kernel that does not fit is a mistake to be told before anything is written.
    if experiment.acceptance.method == "kernel":
        setup.kernel  # noqa: B018
    return setup


def _ray_grids(experiment: Experiment, geometry: DiffractionGeometry) -> tuple[RayGrid, ...]:
    camera, profile = experiment.camera, profile_of(experiment)
    if camera.depth_samples == "auto":
        coarse = max(COARSE_SLICES, math.ceil(2.0 * profile.half_reach / SLICE_UM))
        counts = [coarse * 4**k for k in range(REFINEMENTS + 1)]
    else:
        counts = [camera.depth_samples]
    return tuple(
        ray_grid(
            geometry,
            camera.pixels,
            camera.pixel_um,
            *profile.samples(count),
            plane=camera.plane,
            oversampling=camera.oversampling,
        )
        for count in counts
    )


def _positions(experiment: Experiment) -> dict[str, Floats]:
    """Positions of every motor: rad, µm for z."""
    scan = experiment.scan
    return {
        "z": np.array(scan.z.positions),
        "two_theta": 1e-3 * np.array(scan.two_theta.positions),
        "chi": 1e-3 * np.array(scan.chi.positions),
        "phi": 1e-3 * np.array(scan.phi.positions),
    }

"""From the experiment's description to the objects of the physics.

What only physics can tell is checked here, before anything is computed or written: whether the
reflection exists and can be reached, whether a Burgers vector lies in its plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weakbeam.assemble.camera import detector_of, upright
from weakbeam.assemble.crystal import CrystalModel
from weakbeam.assemble.defects import Defects, defects_of, visible_bounds
from weakbeam.assemble.indices import plane_of
from weakbeam.assemble.instrument import acceptance_of, motion_of, profile_of, vignetting_of
from weakbeam.assemble.placed import PlacedDislocation
from weakbeam.assemble.rays import field_of_view, rays_of
from weakbeam.assemble.resolved import Resolved, ResolvedReflection, resolve
from weakbeam.assemble.x_axis import x_axis_notes
from weakbeam.core.arrays import Floats
from weakbeam.crystal.lattice import Miller
from weakbeam.defects.field import DisplacementGradientField, Superposition
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.depletion import Depletion
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.diffraction.kernel import Kernel, conditions, differences
from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.diffraction.strength import (
    DiffractionStrength,
    absorption_length,
    diffraction_strength,
)
from weakbeam.diffraction.turned import AT_BRAGG, Reference, perfect_q, turned_reflection
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment
from weakbeam.imaging import depth_planning, pixel_planning
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.contract import ImagingEngine
from weakbeam.imaging.engines import CPU, engine_builder
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.scan import DetectorScan, Layer, detector_scans
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.detector import Detector
from weakbeam.instrument.optics import Optics

PHI_PER_ARM = -0.5
"""What φ turns for each angle of the arm in a strain scan: q moves along the diffraction vector."""


@dataclass(frozen=True)
class Tracing:
    """How many rays tabulate an acceptance, and how.

    Parameters
    ----------
    rays : int
        Number of rays that are drawn.
    bins : tuple of 3 int
        Bins of (q_rock', q_roll, q_2θ).
    seed : int
        Of the rays.
    """

    rays: int
    bins: tuple[int, int, int]
    seed: int


@dataclass(frozen=True, eq=False)
class Setup:
    """The microscope set up for one reflection: all that leads from the crystal to its images.

    It holds objects of the physics and arrays, in the units of the physics (µm, rad, keV, 1/Å), and
    nothing that changes: who makes images keeps the engine that it makes them with
    (:class:`weakbeam.run.engines.Engines`).
    """

    hkl: Miller
    """Miller indices of the reflection."""
    geometry_name: str
    """How its Bragg setting was found: ``symmetric``, ``oblique`` or ``goniometer``."""
    energy_kev: float
    """Photon energy."""
    crystal: CrystalModel
    """Unit cell, space group and, where they are known, atoms."""
    sample_from_crystal: Floats
    """How the crystal is mounted: a rotation, (3, 3)."""
    geometry: DiffractionGeometry
    """Bragg angle, azimuth and the frames of crystal, laboratory and image."""
    motors: Mapping[str, float]
    """Setting of the goniometer, ``mu``, ``omega``, ``chi`` and ``phi`` (rad)."""
    beam: BeamProfile
    """Intensity of the line beam over its height."""
    optics: Optics
    """Beam, lens and stops."""
    acceptance: AcceptanceDensity
    """What they let through for this reflection, in closed form."""
    kernel: Kernel | None
    """The acceptance as a table that was read, or has been traced; None for the closed form."""
    tracing: Tracing | None
    """The rays that are still to be traced for that table; None where there are none."""
    vignetting: float
    """Angle by which the centre of the acceptance moves across the field of view (rad/µm)."""
    defects: Defects
    """The defects in the sample frame of this reflection."""
    grids: tuple[RayGrid, ...]
    """Sampling points of the rays, from coarse to fine; rays take finer ones near defects."""
    smooth_grid: RayGrid | None
    """A still coarser grid, for rays that pass far from all defects."""
    averaging: Averaging | None
    """How accurate averages over pixels shall be; None where pixels stand for points."""
    positions: Mapping[str, Floats]
    """Offsets of each motor from the Bragg setting over the whole scan: rad, µm for z."""
    scans: tuple[DetectorScan, ...]
    """The scans of at most two motors that the whole scan is made of, in their order."""
    detector: Detector
    """What makes frames of the images."""
    notes: tuple[str, ...]
    """What was corrected in the description."""

    @property
    def factorises(self) -> bool:
        """Whether frames are products of factors of the acceptance."""
        tabulated = self.kernel is not None or self.tracing is not None
        return self.acceptance.factors is not None and not tabulated

    @property
    def dislocations(self) -> tuple[PlacedDislocation, ...]:
        """The dislocations that the experiment describes one by one."""
        return self.defects.dislocations

    @property
    def strength(self) -> DiffractionStrength | None:
        """How strongly the crystal diffracts; None where its atoms are not known."""
        atoms = self.crystal.atomic_structure
        if atoms is None:
            return None
        return diffraction_strength(atoms, self.hkl, self.energy_kev, self.geometry.eta)

    @property
    def depletion(self) -> Depletion | None:
        """What the incident beam loses on its way through the field; None without atoms."""
        atoms, strength = self.crystal.atomic_structure, self.strength
        if atoms is None or strength is None:
            return None
        return Depletion(
            strength,
            self.optics,
            self.geometry.eta,
            self.beam.height,
            self.grids[0].length_along(self.geometry.lab_from_sample[0]),
            absorption_length(atoms, self.energy_kev),
        )

    @property
    def nearest_to_peak(self) -> float:
        """Least angle of the scan off the peak of the rocking curve (rad), in its plane."""
        phi, chi, two_theta = (self.positions[name] for name in ("phi", "chi", "two_theta"))
        phi = np.add.outer(phi, self.scans[0].phi_per_two_theta * two_theta)
        turns = np.meshgrid(phi, chi, indexing="ij")
        rock = perfect_q(self.geometry, np.stack([*turns, np.zeros_like(turns[0])], axis=-1))
        return float(np.abs(rock[..., 0]).min()) / math.cos(self.geometry.theta)

    @property
    def conditions(self) -> dict[str, Any]:
        """What a kernel of this setup belongs to.

        See `weakbeam.diffraction.kernel.conditions`.
        """
        return conditions(self.acceptance, self.geometry, self.hkl, self.energy_kev)

    def bragg_position(self, motor: str) -> float:
        """Where φ, χ or the arm stands at the Bragg setting (rad); a scan counts from there."""
        return 2.0 * self.geometry.theta if motor == "two_theta" else self.motors[motor]

    def stored_position(self, motor: str, offset: Floats) -> Floats:
        """Position of a motor as files have it: deg from the motor's zero, mm for z."""
        if motor in ANGLES:
            offset = self.bragg_position(motor) + np.asarray(offset)
        return MOTORS[motor].stored(offset)

    def traced(self) -> Setup:
        """The same setup with the rays traced that are still to be, which takes seconds."""
        if self.tracing is None:
            return self
        from weakbeam.diffraction.raytrace import RayOptics, trace

        rays, table = RayOptics(self.acceptance, self.geometry), self.tracing
        kernel = trace(rays, table.rays, table.bins, seed=table.seed, conditions=self.conditions)
        return replace(self, kernel=kernel, tracing=None)

    def with_instrument(self, experiment: Experiment) -> Setup:
        """The same crystal and reflection, seen with the instrument and the scan of an experiment.

        Crystal, reflection and photon energy of it must be those that the setup was made of, and
        the acceptance, where that is a table, stays as it is.

        Raises
        ------
        InputError
            If the instrument is impossible.
        """
        return replace(self, **_instrument_of(experiment, self.geometry, self.geometry_name))

    def field_at(
        self, z: float = 0.0, workers: int | None = None, reference: Reference = AT_BRAGG
    ) -> DisplacementGradientField:
        """The deformation of the crystal, in the sample frame.

        Made anew for what is seen with the sample at height `z` (µm) and turned to a reference; of
        many dislocations that takes seconds.
        """
        grids = [self._placed(grid, z, reference) for grid in self.grids]
        corners = np.array([0, self.grids[0].columns - 1])
        corners = np.concatenate([corners, corners + (grids[0].pixels - grids[0].columns)])
        bounds = visible_bounds(
            [grid.points(corners).reshape(-1, 3) for grid in grids]
            if self.averaging is None
            else [grids[0].corners(self.beam.ends)],
            self.geometry.lab_from_sample,
        )
        # As many as refinement near many defects asks for.
        most = (depth_planning if self.averaging is None else pixel_planning).MOST_SAMPLES
        points = grids[0].pixels * max(most, len(grids[0].sample_weights))
        return self.defects.field(bounds, points, workers)

    def engine(
        self,
        z: float = 0.0,
        workers: int | None = None,
        perfect: bool = False,
        tolerance: float = 1.0,
        machine: str = CPU,
        reference: Reference = AT_BRAGG,
    ) -> ImagingEngine:
        """The engine for the sample at height `z` (µm), with its defects or without.

        Sample and arm are turned to the `reference` (φ, χ, 2θ from the Bragg setting, rad), which
        the shifts of a :class:`weakbeam.imaging.scan.Layer` count from.

        `tolerance` tells how many times larger than usual steps of q along a ray may be, `machine`
        which of `weakbeam.imaging.engines` it is.
        """
        grids = [self._placed(grid, z, reference) for grid in self.grids]
        field = Superposition() if perfect else self.field_at(z, workers, reference)
        turned = reference != AT_BRAGG
        return engine_builder(machine)(
            field,
            turned_reflection(self.geometry, reference) if turned else self.geometry,
            grids,
            self.acceptance,
            workers,
            kernel=self.traced().kernel,
            vignetting=self.vignetting,
            smooth=None
            if self.smooth_grid is None
            else self._placed(self.smooth_grid, z, reference),
            tolerance=tolerance,
            averaging=self.averaging,
            shifts=self.shifts(reference),
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers of its scans; see :meth:`weakbeam.imaging.scan.DetectorScan.layers`."""
        return tuple(layer for scan in self.scans for layer in scan.layers(self.geometry))

    def shifts(self, reference: Reference = AT_BRAGG) -> tuple[Floats, Floats]:
        """Shifts of q of all frames about a setting, by φ and 2θ (n, 3) and by χ (m, 3)."""
        mine = [one for one in self.layers if one.reference == reference and one.height == 0]
        if not mine:
            return np.zeros((1, 3)), np.zeros((1, 3))
        return (
            np.concatenate([layer.rock_shifts for layer in mine]),
            np.concatenate([layer.roll_shifts for layer in mine]),
        )

    def _placed(self, grid: RayGrid, z: float, reference: Reference) -> RayGrid:
        """Rays through the sample at a height and a setting."""
        lifted = replace(grid, lift=z)
        if reference == AT_BRAGG:
            return lifted
        return lifted.turned(turned_reflection(self.geometry, reference).sample_turn)


def assemble(experiment: Experiment | Resolved) -> Setup:
    """The first, or only, setup of :func:`assemble_all`, which says what is refused."""
    return next(_assembled(resolve(experiment)))


def assemble_all(experiment: Experiment | Resolved) -> tuple[Setup, ...]:
    """Build the objects of the physics for every reflection of an experiment.

    Parameters
    ----------
    experiment : Experiment or Resolved
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
        If the description contradicts physics: the message names the key, the value and what would
        be right.
    """
    return tuple(_assembled(resolve(experiment)))


def _assembled(resolved: Resolved) -> Iterator[Setup]:
    experiment, crystal = resolved.experiment, resolved.crystal
    for part in resolved.reflections:
        hkl = part.reflection.hkl
        reason = crystal.extinction_reason(plane_of(hkl, crystal.cell, f"{part.key}.hkl"))
        if reason is not None:
            raise InputError(f"{part.key}.hkl", list(hkl), f"extinct ({reason})")
    first = resolved.reflections[0]
    reference = first.sample_from_crystal
    view = field_of_view(experiment, first.setting.geometry)
    defects = defects_of(experiment, crystal, reference, view)
    for part in resolved.reflections:
        yield _setup(part, defects.turned(part.sample_from_crystal @ reference.T))


def _setup(resolved: ResolvedReflection, defects: Defects) -> Setup:
    experiment, reflection = resolved.of.experiment, resolved.reflection
    geometry, motors, notes = resolved.setting
    notes = x_axis_notes(experiment, resolved.of.crystal, reflection, resolved.key) + notes
    with naming(f"{resolved.key}.hkl", list(reflection.hkl)):
        instrument = _instrument_of(experiment, geometry, reflection.geometry)
    table = experiment.acceptance
    tracing = table.method == "ray-trace"
    setup = Setup(
        hkl=reflection.plane,
        geometry_name=reflection.geometry,
        energy_kev=experiment.beam.energy_keV,
        crystal=resolved.of.crystal,
        sample_from_crystal=resolved.sample_from_crystal,
        geometry=geometry,
        motors=motors,
        kernel=None,
        tracing=Tracing(table.rays, table.bins, table.seed) if tracing else None,
        defects=defects,
        notes=notes,
        **instrument,
    )
    if table.method == "kernel":
        return replace(setup, kernel=_kernel(str(table.file), setup.conditions))
    return setup


def _instrument_of(
    experiment: Experiment, geometry: DiffractionGeometry, geometry_name: str
) -> dict[str, Any]:
    """What follows from the tables of the instrument and the scan: those fields of a `Setup`."""
    acceptance: AcceptanceDensity
    acceptance = acceptance_of(experiment, geometry.theta, motion_of(experiment, geometry))
    optics = acceptance.optics
    if geometry_name != "symmetric":
        acceptance = oblique_acceptance(optics, geometry, acceptance.motion)
    positions, strained = _positions(experiment), experiment.scan.strain.moving
    smooth, grids, averaging = rays_of(experiment, geometry)
    if experiment.compatibility is not None and experiment.compatibility.dfxm_geo_projection:
        smooth, grids = None, (upright(experiment, geometry_name, grids[0]),)
        # Its samples lie at depths of their own, which cannot be cut.
        averaging = None if averaging is None else Averaging(averaging.accuracy)
    return {
        "beam": profile_of(experiment),
        "optics": optics,
        "acceptance": acceptance,
        "vignetting": vignetting_of(experiment),
        "grids": grids,
        "smooth_grid": smooth,
        "averaging": averaging,
        "positions": positions,
        "scans": tuple(
            detector_scans(
                positions, PHI_PER_ARM if strained else 0.0, experiment.scan.order == "zigzag"
            )
        ),
        "detector": detector_of(experiment, geometry, optics),
    }


def _kernel(file: str, belongs_to: Mapping[str, Any]) -> Kernel:
    """Read a kernel; refuse one of another reflection, energy or optics."""
    from weakbeam.io.kernel_file import read_kernel

    kernel = read_kernel(file)
    if others := differences(kernel.conditions, belongs_to):
        more = f" (and {len(others) - 3} more keys)" if len(others) > 3 else ""
        raise InputError(
            "acceptance.file", file, "does not belong here: " + "; ".join(others[:3]) + more
        )
    return kernel


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

"""The entries of the output file: which there are, and what each tells of the experiment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from weakbeam.analysis.profiles import curve_axes
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES, OF_CURVES
from weakbeam.assemble import Setup
from weakbeam.assemble.instrument import accepted_angles
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.reflection import wavelength
from weakbeam.imaging.scan import DetectorScan
from weakbeam.io.bliss import entry_name
from weakbeam.io.entry import (
    Description,
    Entry,
    Fields,
    ImageAxis,
    MapAxis,
    beamline_positions,
    motor_unit,
    scan_title,
)
from weakbeam.run.estimate import frame_type
from weakbeam.run.reflection_rows import reflection_fields, reflection_rows

MOTOR_NAMES = {"phi": "phi", "chi": "chi", "two_theta": "obpitch", "z": "diffrz"}
"""Names of the motors at the beamline; obpitch stands at 2θ plus the arm's offset."""

MOTOR_SYMBOLS = {"phi": "φ", "chi": "χ", "two_theta": "2θ", "z": "z"}

ARM_MM = 274.0
"""Distance from sample to objective at ID06 (docs/explanation/physics.md, B3), in mm."""

CAMERA_PIXEL_UM = 6.5
"""Pixel of the camera where the experiment names only the pixel in the object plane."""

SI_111_ANGSTROM = 3.1356
"""Lattice spacing of the monochromator's crystals."""


def motor_value(setup: Setup, motor: str, position: Floats) -> Floats:
    """Position of a motor as the file has it: deg from the motor's zero, mm for z."""
    if motor == "z":
        return np.asarray(position) / 1000.0
    return np.degrees(bragg_position(setup, motor) + np.asarray(position))


def bragg_position(setup: Setup, motor: str) -> float:
    """Where φ, χ or the arm stands at the Bragg setting (rad); a scan counts from there."""
    return 2.0 * setup.geometry.theta if motor == "two_theta" else setup.motors[motor]


def describe_entry(setup: Setup, scan: DetectorScan, perfect: bool = False) -> Entry:
    """One detector scan for the file.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.
    perfect : bool
        Whether the crystal is without its defects.

    Returns
    -------
    Entry
    """
    experiment = setup.experiment
    camera = experiment.camera
    moving = {
        MOTOR_NAMES[motor]: motor_value(setup, motor, scan.motor_positions(motor))
        for motor in scan.moving
    }
    along = [
        (MOTOR_NAMES[motor], motor_value(setup, motor, scan.positions[motor]))
        for motor in scan.moving
    ]
    camera_pixel = camera.camera_pixel_um or CAMERA_PIXEL_UM
    fixed: dict[str, tuple[float | Floats, str]] = {
        "mu": (math.degrees(setup.motors["mu"]), "deg"),
        "omega": (math.degrees(setup.motors["omega"]), "deg"),
        "ccmth": (_monochromator_angle(experiment.beam.energy_keV), "deg"),
        **beamline_positions(2.0 * setup.geometry.theta, ARM_MM, camera_pixel / camera.pixel_um),
    }
    for motor, name in MOTOR_NAMES.items():
        value = motor_value(setup, motor, scan.motor_positions(motor))
        follows = motor not in scan.moving and np.ptp(value) > 0.0
        fixed[name] = (value if follows else float(value[0]), motor_unit(name))
    return Entry(
        title=scan_title(along, camera.exposure_s),
        moving=moving,
        fixed=fixed,
        shape=setup.detector.shape,
        dtype=frame_type(experiment),
        scan_shape=scan.shape,
        places=scan.places,
        image_axes=image_axes(setup),
        exposure_s=camera.exposure_s,
        maps={} if perfect else map_axes(setup, scan),
        instrument={
            "crystal": {"@NX_class": "NXcollection", "perfect": int(perfect)},
            "goniometer": _goniometer(setup),
        },
        sample={"orientation_matrix": (setup.sample_from_crystal, "")},
        defects=setup.defects.columns,
    )


def describe_companion(setup: Setup, kind: Literal["dark", "flat"], frames: int) -> Entry:
    """A scan without light, or of uniform light, for the file.

    Its motors stand where the first scan has them. As in NXtomo ``image_key`` tells what the frames
    are: 1 for flat, 2 for dark.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    kind : {"dark", "flat"}
        Which light.
    frames : int
        Number of frames.

    Returns
    -------
    Entry
    """
    first = describe_entry(setup, setup.scans[0])
    key = {"flat": 1, "dark": 2}[kind]
    camera = {**_camera(setup), "image_key": np.full(frames, key)}
    return replace(
        first,
        title=scan_title([], first.exposure_s, frames),
        moving={},
        fixed={name: (float(np.ravel(at)[0]), unit) for name, (at, unit) in first.fixed.items()},
        scan_shape=(),
        repeats=frames,
        places=None,
        maps={},
        instrument={**first.instrument, "pco_ff": camera},
    )


@dataclass(frozen=True, eq=False)
class Stack:
    """One entry of the file: a scan of a reflection, with the defects or without.

    Or frames without light or of uniform light, with the motors where that scan begins.
    """

    index: int
    setup: Setup
    scan: DetectorScan
    perfect: bool = False
    companion: Literal["dark", "flat"] | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        camera = self.setup.experiment.camera
        counts = {"dark": camera.dark_frames, "flat": camera.flat_frames}
        return counts[self.companion] or 0 if self.companion else self.scan.frames

    @property
    def entry(self) -> Entry:
        """What the file tells of it."""
        if self.companion:
            return describe_companion(self.setup, self.companion, self.frames)
        return describe_entry(self.setup, self.scan, self.perfect)


def stacks_of(setups: Sequence[Setup]) -> list[Stack]:
    """All entries of the file, in order: those with the defects, without, dark and flat ones."""
    twins = (False, True) if setups[0].experiment.output.perfect_crystal else (False,)
    every = [(s, scan, perfect) for perfect in twins for s in setups for scan in s.scans]
    scans = [Stack(index, *rest) for index, rest in enumerate(every)]
    first = scans[0]
    kinds: tuple[Literal["dark", "flat"], ...] = ("dark", "flat")
    others = [Stack(0, first.setup, first.scan, companion=kind) for kind in kinds]
    others = [part for part in others if part.frames]
    return scans + [replace(part, index=len(scans) + k) for k, part in enumerate(others)]


def entries_of(stacks: list[Stack]) -> list[Entry]:
    """Entries of the file; those of one reflection share the table of its defects."""
    entries, listed = [], dict[int, str]()
    for part in stacks:
        entry = part.entry
        first = listed.setdefault(id(part.setup), entry_name(part.index))
        if first != entry_name(part.index):
            entry = replace(entry, defects=first)
        entries.append(entry)
    return entries


def first_stacks(stacks: list[Stack]) -> list[Stack]:
    """The first entry of each reflection, which its figures show."""
    return [
        part
        for part in stacks
        if not part.perfect and not part.companion and part.scan is part.setup.scans[0]
    ]


def image_axes(setup: Setup) -> tuple[ImageAxis, ImageAxis]:
    """Axes of an image: where in the sample its rows and columns look, in µm."""
    grid = setup.grids[0]
    readout = setup.detector.readout
    rows, columns, swapped = readout.axes(grid.row_positions, grid.column_positions)
    x, y = grid.axis_labels
    if swapped:
        return ImageAxis("y", rows, y), ImageAxis("x", columns, x)
    return ImageAxis("x", rows, x), ImageAxis("y", columns, y)


def map_name(motor: str, kind: str) -> str:
    """Name of a map in the file, such as ``"phi_com"``."""
    return f"{MOTOR_NAMES[motor]}_{kind}"


def map_axes(setup: Setup, scan: DetectorScan) -> dict[str, MapAxis]:
    """The maps of a scan: what their values are.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.

    Returns
    -------
    dict of str to MapAxis
    """
    curves = curve_positions(setup, scan)
    maps = {}
    for motor in scan.moving:
        unit, symbol = motor_unit(MOTOR_NAMES[motor]), MOTOR_SYMBOLS[motor]
        for kind, meaning in MAP_NAMES.items():
            if kind in OF_CURVES and motor not in curves:
                continue
            axis = MapAxis("", f"{meaning} in {symbol}")
            if kind in ANGULAR:
                axis = MapAxis(unit, f"{meaning} of {symbol} ({unit})")
            maps[map_name(motor, kind)] = axis
    if turning_motors(scan):
        maps["misorientation"] = MapAxis("deg", "kernel-average misorientation (deg)")
    if "two_theta" in scan.moving:
        # An arm that is scanned alone shows a part of the strain only (docs/how-to/maps.md).
        alone = scan.moving == ("two_theta",) and not scan.phi_per_two_theta
        kind = "apparent axial strain, arm scanned alone" if alone else "axial strain"
        maps["strain"] = MapAxis("", f"{kind}, from the centre of mass")
        if "two_theta" in curves:
            maps["strain_peak"] = MapAxis("", f"{kind}, from the peak")
    return maps


def curve_positions(setup: Setup, scan: DetectorScan) -> dict[str, Floats]:
    """Positions along the curves of the moving motors; none where these would be too large.

    φ has no curve where it moves beside the arm and turns along with it: no position comes twice.
    """
    axes = {
        motor: scan.positions[motor]
        for motor in scan.moving
        if not (scan.sheared and motor == "phi")
    }
    return curve_axes(axes, math.prod(setup.experiment.camera.pixels))


def turning_motors(scan: DetectorScan) -> list[str]:
    """The moving motors that turn the sample."""
    return [motor for motor in scan.moving if motor in ("phi", "chi")]


def describe(setups: Sequence[Setup]) -> Description:
    """Everything static that the file tells, the same for all its entries.

    Parameters
    ----------
    setups : sequence of Setup
        The assembled experiment, one for each of its reflections.

    Returns
    -------
    Description
    """
    setup = setups[0]
    crystal, cell = setup.whole.crystal, setup.cell
    return Description(
        configuration=setup.whole.to_toml(),
        digest=setup.digest,
        instrument=_instrument(setup),
        sample={
            "name": crystal.material or crystal.cif or "crystal",
            "unit_cell_abc": (np.array([cell.a, cell.b, cell.c]), "angstrom"),
            "unit_cell_alphabetagamma": (np.array([cell.alpha, cell.beta, cell.gamma]), "deg"),
            "space_group": setup.space_group,
            "reflections": reflection_fields(reflection_rows(setups)),
        },
        simulation={"seed": setup.experiment.camera.seed, **_inputs(setup)},
    )


def _inputs(setup: Setup) -> Fields:
    """The files that the experiment names, with their hashes."""
    if not setup.inputs:
        return {}
    names, hashes = zip(*setup.inputs.items(), strict=True)
    table = {"@NX_class": "NXcollection", "file": list(names), "sha256": list(hashes)}
    return {"inputs": table}


def _instrument(setup: Setup) -> dict[str, Fields]:
    experiment = setup.experiment
    beam = experiment.beam
    acceptance_mrad, aperture_mrad = accepted_angles(experiment)
    return {
        "source": {"@NX_class": "NXsource", "probe": "x-ray", "type": "Synchrotron X-ray Source"},
        "beam": {
            "@NX_class": "NXbeam",
            "incident_energy": (beam.energy_keV, "keV"),
            "incident_wavelength": (wavelength(beam.energy_keV), "angstrom"),
            "height_fwhm": (beam.height_fwhm_um, "um"),
            "divergence_vertical_fwhm": (beam.divergence_vertical_fwhm_mrad, "mrad"),
            "divergence_vertical_clip": (beam.divergence_vertical_clip_mrad, "mrad"),
            "divergence_horizontal_fwhm": (beam.divergence_horizontal_fwhm_mrad, "mrad"),
        },
        "monochromator": {
            "@NX_class": "NXmonochromator",
            "energy": (beam.energy_keV, "keV"),
            "bandwidth_rms": (beam.total_bandwidth_rms, ""),
        },
        "objective": {
            "@NX_class": "NXcollection",
            "acceptance_fwhm": (acceptance_mrad, "mrad"),
            "aperture_half_width": (aperture_mrad, "mrad"),
        },
        "pco_ff": _camera(setup),
    }


def _camera(setup: Setup) -> Fields:
    camera, detector = setup.experiment.camera, setup.detector
    pixel_m = camera.binning * (camera.camera_pixel_um or CAMERA_PIXEL_UM) * 1e-6
    fields: dict[str, object] = {
        "description": f"simulated camera, {camera.model}",
        "x_pixel_size": (pixel_m, "m"),
        "y_pixel_size": (pixel_m, "m"),
        "object_pixel_size": (camera.binning * camera.pixel_um, "um"),
    }
    if detector.model is not None:
        fields["saturation_value"] = detector.largest
        fields["signal_at_unit_intensity"] = (detector.unit_signal, "counts")
    return fields


def _goniometer(setup: Setup) -> Fields:
    """The reflection and where the goniometer stands for it."""
    return {
        "@NX_class": "NXcollection",
        "geometry": setup.reflection.geometry,
        "hkl": np.array(setup.reflection.hkl),
        "theta": (math.degrees(setup.geometry.theta), "deg"),
        "eta": (math.degrees(setup.geometry.eta), "deg"),
        **{name: (math.degrees(angle), "deg") for name, angle in setup.motors.items()},
    }


def _monochromator_angle(energy_kev: float) -> float:
    """Bragg angle of Si 111 (degrees); NaN where it does not exist."""
    sine = wavelength(energy_kev) / (2.0 * SI_111_ANGSTROM)
    return math.degrees(math.asin(sine)) if sine < 1.0 else math.nan

"""What the output file tells of an experiment: instrument, sample, and the motors of its scans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from weakbeam.assemble import Setup
from weakbeam.assemble.instrument import accepted_angles
from weakbeam.core.arrays import Floats
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.instrument.beam import wavelength
from weakbeam.io.entry import (
    Description,
    Entry,
    Fields,
    beamline_positions,
    motor_unit,
    scan_title,
)
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.estimate import frame_type
from weakbeam.run.kept_inputs import KeptFile, KeptInputs
from weakbeam.run.map_axes import image_axes, map_axes
from weakbeam.run.reflection_rows import reflection_fields, reflection_rows

ARM_MM = 274.0
"""Distance from sample to objective at ID06 (docs/explanation/physics.md, B3), in mm."""

CAMERA_PIXEL_UM = 6.5
"""Pixel of the camera where the experiment names only the pixel in the object plane."""

SI_111_ANGSTROM = 3.1356
"""Lattice spacing of the monochromator's crystals."""


def describe(kept: KeptInputs, setups: Sequence[Setup], digest: str) -> Description:
    """Everything static that the file tells, the same for all its entries.

    Parameters
    ----------
    kept : KeptInputs
        The description as it stands beside the file, and the files that it names.
    setups : sequence of Setup
        One for each of its reflections.
    digest : str
        What tells it from all others, from its fingerprint.

    Returns
    -------
    Description
    """
    experiment, cell = kept.experiment, setups[0].crystal.cell
    cif = experiment.crystal.cif
    return Description(
        configuration=experiment.to_toml(),
        digest=digest,
        instrument=_instrument(experiment, setups[0]),
        sample={
            "name": experiment.crystal.material or (Path(cif).name if cif else "crystal"),
            "unit_cell_abc": (np.array([cell.a, cell.b, cell.c]), "angstrom"),
            "unit_cell_alphabetagamma": (np.array([cell.alpha, cell.beta, cell.gamma]), "deg"),
            "space_group": setups[0].crystal.space_group,
            "reflections": reflection_fields(reflection_rows(setups)),
        },
        simulation={"seed": experiment.camera.seed, **_inputs(kept.files)},
    )


def describe_entry(
    experiment: Experiment, acquisition: Acquisition, perfect: bool = False
) -> Entry:
    """One detector scan for the file.

    Parameters
    ----------
    experiment : Experiment
        The description.
    acquisition : Acquisition
        One of its reflections and a scan of it.
    perfect : bool
        Whether the crystal is without its defects.

    Returns
    -------
    Entry
    """
    setup, scan = acquisition.setup, acquisition.scan
    camera = experiment.camera
    moving = {
        MOTORS[motor].beamline_name: acquisition.stored_positions(motor) for motor in scan.moving
    }
    along = [(MOTORS[motor].beamline_name, acquisition.stored_axis(motor)) for motor in scan.moving]
    camera_pixel = camera.camera_pixel_um or CAMERA_PIXEL_UM
    fixed: dict[str, tuple[float | Floats, str]] = {
        "mu": (math.degrees(setup.motors["mu"]), "deg"),
        "omega": (math.degrees(setup.motors["omega"]), "deg"),
        "ccmth": (_monochromator_angle(setup.energy_kev), "deg"),
        **beamline_positions(2.0 * setup.geometry.theta, ARM_MM, camera_pixel / camera.pixel_um),
    }
    for motor in SCANNED:
        name, positions = MOTORS[motor].beamline_name, acquisition.stored_positions(motor)
        follows = motor not in scan.moving and np.ptp(positions) > 0.0
        fixed[name] = (positions if follows else float(positions[0]), motor_unit(name))
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
        maps={} if perfect else map_axes(acquisition),
        instrument={
            "crystal": {"@NX_class": "NXcollection", "perfect": int(perfect)},
            "goniometer": _goniometer(setup),
        },
        sample={"orientation_matrix": (setup.sample_from_crystal, "")},
        defects=setup.defects.columns,
    )


def describe_companion(
    experiment: Experiment, first: Acquisition, kind: Literal["dark", "flat"], frames: int
) -> Entry:
    """A scan without light, or of uniform light, for the file.

    As in NXtomo ``image_key`` tells what the frames are: 1 for flat, 2 for dark.

    Parameters
    ----------
    experiment : Experiment
        The description.
    first : Acquisition
        The scan at whose beginning the motors stand.
    kind : {"dark", "flat"}
        Which light.
    frames : int
        Number of frames.

    Returns
    -------
    Entry
    """
    scan = describe_entry(experiment, first)
    key = {"flat": 1, "dark": 2}[kind]
    camera = {**_camera(experiment, first.setup), "image_key": np.full(frames, key)}
    return replace(
        scan,
        title=scan_title([], scan.exposure_s, frames),
        moving={},
        fixed={name: (float(np.ravel(at)[0]), unit) for name, (at, unit) in scan.fixed.items()},
        scan_shape=(),
        repeats=frames,
        places=None,
        maps={},
        instrument={**scan.instrument, "pco_ff": camera},
    )


def _inputs(files: Sequence[KeptFile]) -> Fields:
    """The files that the experiment names: where they were, their hashes, where they are kept."""
    if not files:
        return {}
    table = {
        "@NX_class": "NXcollection",
        "file": [file.original for file in files],
        "sha256": [file.sha256 for file in files],
        "kept_as": [file.stored if file.is_inside else "" for file in files],
    }
    return {"inputs": table}


def _instrument(experiment: Experiment, setup: Setup) -> dict[str, Fields]:
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
        "pco_ff": _camera(experiment, setup),
    }


def _camera(experiment: Experiment, setup: Setup) -> Fields:
    camera, detector = experiment.camera, setup.detector
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
        "geometry": setup.geometry_name,
        "hkl": np.array(setup.hkl),
        "theta": (math.degrees(setup.geometry.theta), "deg"),
        "eta": (math.degrees(setup.geometry.eta), "deg"),
        **{name: (math.degrees(angle), "deg") for name, angle in setup.motors.items()},
    }


def _monochromator_angle(energy_kev: float) -> float:
    """Bragg angle of Si 111 (degrees); NaN where it does not exist."""
    sine = wavelength(energy_kev) / (2.0 * SI_111_ANGSTROM)
    return math.degrees(math.asin(sine)) if sine < 1.0 else math.nan

"""From the camera of an experiment to the detector of the physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment
from weakbeam.experiment.camera import Camera, CameraFile, camera_preset, read_camera_file
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.vertical_rays import vertical_rays
from weakbeam.instrument.beam import FWHM_PER_SIGMA, wavelength
from weakbeam.instrument.camera import CameraModel, FixedPattern
from weakbeam.instrument.detector import Detector, Readout
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.point_spread import (
    PointSpread,
    combined,
    gaussian_spread,
    lens_spread,
)

FLAT_COUNTS = 2.0e4
"""Signal (ADU) in frames of uniform light, unless the experiment gives it."""

_UM_PER_ANGSTROM = 1e-4


def upright(experiment: Experiment, geometry_name: str, rays: RayGrid) -> RayGrid:
    """Put the points of every pixel where dfxm-geo takes them, one above the other.

    Raises
    ------
    InputError
        If dfxm-geo has no such image: another geometry, camera plane, beam or shape of the image.
    """
    key, camera, beam = "compatibility.dfxm_geo_projection", experiment.camera, experiment.beam
    for value, only, name in (
        (geometry_name, "symmetric", "reflection.geometry"),
        (camera.plane, "vertical", "camera.plane"),
        (beam.profile, "gaussian", "beam.profile"),
    ):
        if value != only:
            raise InputError(key, True, f'needs {name} = "{only}"')
    depths = None if camera.depth_samples == "auto" else camera.depth_samples
    if depths == 1:
        raise InputError(key, True, "needs two or more camera.depth_samples")
    with naming(key, True):
        return vertical_rays(rays, beam.height_fwhm_um / FWHM_PER_SIGMA, depths)


def readout_of(camera: Camera) -> Readout:
    """Build the orientation, binning and region of a camera."""
    return Readout(camera.pixels, camera.rotation_deg // 90, camera.binning, camera.region)


def camera_model_of(camera: Camera) -> CameraModel | None:
    """Build what counts the photons; None for a camera that does not count.

    Raises
    ------
    InputError
        If the file of the camera cannot be read or says what is not allowed.
    """
    if camera.model == "ideal":
        return None
    if camera.model == "file":
        return _model(read_camera_file(str(camera.file)))
    return _model(camera_preset(camera.model))


def detector_of(experiment: Experiment, geometry: DiffractionGeometry, optics: Optics) -> Detector:
    """Build the detector of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The description.
    geometry : DiffractionGeometry
        The reflection.
    optics : Optics
        Lens and stops, whose diffraction may blur the image.

    Raises
    ------
    InputError
        As `camera_model_of`.
    """
    return replace(
        sharp_detector_of(experiment.camera), spread=_spread(experiment, geometry, optics)
    )


def sharp_detector_of(camera: Camera) -> Detector:
    """Build the detector of a camera, but for what blurs the image.

    Raises
    ------
    InputError
        As `camera_model_of`.
    """
    model, scale = camera_model_of(camera), 1.0
    if model is not None:
        if camera.photons_per_s is None:
            assert camera.counts_per_s is not None
            rate = camera.counts_per_s
        else:
            rate = model.gain * camera.photons_per_s
        scale = rate * camera.transmission * camera.exposure_s
    return Detector(
        readout=readout_of(camera),
        model=model,
        exposure=camera.exposure_s,
        scale=scale,
        flat=camera.flat_counts or FLAT_COUNTS,
        seed=camera.seed,
    )


def _spread(
    experiment: Experiment, geometry: DiffractionGeometry, optics: Optics
) -> PointSpread | None:
    camera = experiment.camera
    gaussian = gaussian_spread(camera.psf_px) if camera.psf_px else None
    if camera.psf is None:
        return gaussian
    length = _UM_PER_ANGSTROM * wavelength(experiment.beam.energy_keV)
    lens = lens_spread(optics, length, camera.pixel_um * _across(geometry, camera.plane))
    return lens if gaussian is None else combined(lens, gaussian)


def _across(geometry: DiffractionGeometry, plane: str) -> Floats:
    """Steps along 2θ and roll, across the diffracted beam, of a row and a column of the camera."""
    if plane == "normal":
        return np.eye(2)
    _, roll, two_theta = geometry.lab_from_imaging.T
    row, column = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    return np.array([[two_theta @ row, two_theta @ column], [roll @ row, roll @ column]])


def _model(table: CameraFile) -> CameraModel:
    pattern = table.pattern
    return CameraModel(
        gain=table.gain_adu_per_photon,
        offset=table.offset_adu,
        dark_rate=table.dark_rate_adu_per_s,
        read_variance=table.read_variance_adu2,
        dark_variance_rate=table.dark_variance_adu2_per_s,
        full_well=table.full_well_adu,
        pattern=FixedPattern(
            rms=pattern.rms_adu,
            tail_share=pattern.tail_share,
            tail_scale=pattern.tail_scale_adu,
            edge_rows=pattern.edge_rows,
            edge_peak=pattern.edge_peak_adu,
            edge_decay=pattern.edge_decay_rows,
            serial=pattern.serial,
        ),
    )

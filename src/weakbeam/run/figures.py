"""The figures of a run: what is computed for each of them, and which there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.plot.drawing import Drawing
from weakbeam.plot.view import View
from weakbeam.run.acceptance_figures import acceptance_drawing
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.frames import perfect_intensity, predicted_centers
from weakbeam.run.map_axes import image_axes
from weakbeam.run.scan_data import ScanData, along_fast_motor, read_scan_data
from weakbeam.run.stored import stored_experiment
from weakbeam.run.view import view_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_NAMES = ("image", "rocking", "acceptance", "maps", "defects")
"""All figures that there can be."""

_CENTERED = 1e-9
"""Largest centre of mass (rad) of the perfect crystal that counts as 0."""


def draw(
    acquisition: Acquisition,
    data: ScanData,
    heading: str = "",
    of_image: Mapping[str, object] | None = None,
) -> dict[str, Figure]:
    """Draw the figures of one detector scan.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    data : ScanData
        What was simulated.
    heading : str
        What the image shows, see :func:`reflection_heading`.
    of_image : mapping of str to object, optional
        Further options of the image.

    Returns
    -------
    dict of str to Figure
        ``image``, ``rocking``, ``acceptance``; ``maps`` if an angle moved, and ``defects`` if there
        are several.
    """
    drawings = frame_drawings(acquisition, data, heading)
    drawings |= setting_drawings(acquisition, data.number)
    image = drawings["image"]
    drawings["image"] = replace(image, options={**image.options, **(of_image or {})})
    return {name: drawings[name].figure() for name in FIGURE_NAMES if name in drawings}


def setting_drawings(acquisition: Acquisition, number: int) -> dict[str, Drawing]:
    """Describe the figures that need no frame, only the setting of the one that is shown.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    number : int
        The frame that is shown, from :func:`frame_to_show`.

    Returns
    -------
    dict of str to Drawing
        ``acceptance``; if no angle moves, ``rocking``.
    """
    offsets = acquisition.angle_offsets[number]
    drawings = {"acceptance": acceptance_drawing(acquisition.setup, offsets)}
    if not acquisition.moving_angles:
        drawings["rocking"] = _rocking(acquisition, number)
    return drawings


def frame_drawings(
    acquisition: Acquisition, data: ScanData, heading: str = ""
) -> dict[str, Drawing]:
    """Describe the figures that show frames: all those not in :func:`setting_drawings`.

    Parameters
    ----------
    acquisition, data, heading
        As for :func:`draw`.

    Returns
    -------
    dict of str to Drawing
        ``image``; of several lines, ``defects``; if an angle moved, ``rocking`` and ``maps``.
    """
    drawings = {"image": _image(acquisition, data, heading)}
    height = float(acquisition.scan.motor_positions("z")[data.number])
    defects = defects_drawing(acquisition.setup, height)
    if defects is not None:
        drawings["defects"] = over_image(defects, acquisition.setup, height, data.frame)
    if acquisition.moving_angles:
        drawings["rocking"] = _rocking(acquisition, data.number, data.intensity)
    if data.centers:
        drawings["maps"] = _maps(acquisition, data)
    return drawings


def figure_prefix(number: int, count: int, setup: Setup) -> str:
    """What tells the figures of one of several reflections: its number, from 1, and its hkl.

    The number has as many digits as the count, so that files sort by it.
    """
    place = str(number + 1).zfill(len(str(count)))
    return "_".join(map(str, (place, *setup.hkl, "")))


def is_own_figure(path: Path) -> bool:
    """Whether a file has the name of a figure of a run."""
    kinds = "|".join(FIGURE_NAMES)
    return bool(re.fullmatch(rf"(\d+(_-?\d+){{3}}_)?({kinds})\.(png|svg|pdf)", path.name))


def draw_file(
    path: Path, index: int = 0, of_image: Mapping[str, object] | None = None
) -> dict[str, Figure]:
    """Draw the figures of an entry of an output file.

    Parameters
    ----------
    path, index
        As for :func:`.read_scan_data`.
    of_image : mapping of str to object, optional
        Options of :func:`weakbeam.plot.image.image_figure` for the image, such as its `scale`.

    Raises
    ------
    InputError
        If the file cannot be read or has no such entry.
    """
    from weakbeam.io.reading import read_configuration

    experiment = stored_experiment(read_configuration(path), path)
    acquisitions = acquisitions_of(assemble_all(experiment))
    if index >= len(acquisitions) * (2 if experiment.output.perfect_crystal else 1):
        raise InputError("entry", f"{index + 1}.1", "no scan; it may hold dark or flat frames")
    acquisition = acquisitions[index % len(acquisitions)]
    heading = reflection_heading(experiment, acquisition.setup)
    return draw(acquisition, read_scan_data(path, index, acquisition), heading, of_image)


def reflection_heading(experiment: Experiment, setup: Setup) -> str:
    """What the images of a reflection show: crystal, indices, energy and beam, in a line."""
    crystal, beam = experiment.crystal, experiment.beam
    name = crystal.material or (Path(crystal.cif).stem if crystal.cif else "crystal")
    hkl = " ".join(map(str, setup.hkl)).replace("-", "−")
    height = "" if beam.profile == "tabulated" else f", beam {beam.height_fwhm_um:.4g} µm high"
    return f"{name} ({hkl}), {beam.energy_keV:.6g} keV{height}"


def over_image(defects: Drawing, setup: Setup, height: float, frame: ArrayLike) -> Drawing:
    """The figure of the defects drawn over the image that shows them.

    Parameters
    ----------
    defects : Drawing
        From :func:`weakbeam.run.defects_figure.defects_drawing`.
    setup : Setup
        The microscope set up for the reflection.
    height : float
        Of the sample (µm).
    frame : (rows, columns) array_like
        The image as it is stored.
    """
    shown = image_view(setup)
    # The map from the laboratory to the picture is affine: four points tell it.
    corners = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    in_crystal = (corners - [0.0, 0.0, height]) @ setup.geometry.lab_from_sample
    places = shown.places(view_of(setup, setup, height).pixel(in_crystal))
    picture_from_lab = np.column_stack([(places[1:] - places[0]).T, places[0]])
    added = {"image": frame, "view": shown, "picture_from_lab": picture_from_lab}
    return replace(defects, options={**defects.options, **added})


def image_view(setup: Setup) -> View:
    """What the rows and columns of a stored image are."""
    return View.of_axes(*image_axes(setup))


def _image(acquisition: Acquisition, data: ScanData, heading: str) -> Drawing:
    setup, frames = acquisition.setup, acquisition.scan.frames
    offsets = zip(ANGLES, acquisition.angle_offsets[data.number], strict=True)
    phi, chi, two_theta = (float(MOTORS[name].shown(offset)) for name, offset in offsets)
    ideal = setup.detector.model is None
    return Drawing(
        "weakbeam.plot.image.image_figure",
        (np.asarray(data.frame, dtype=np.float64), image_view(setup)),
        {
            "phi_mrad": phi,
            "chi_mrad": chi,
            "two_theta_mrad": two_theta,
            "title": heading,
            "note": f"frame {data.number} of 0 to {frames - 1}" if frames > 1 else "",
            "intensity_label": "intensity / perfect crystal at peak" if ideal else "counts (ADU)",
        },
    )


def perfect_curve(acquisition: Acquisition, frame: int) -> tuple[str, Floats, Floats]:
    """Rocking curve of the perfect crystal along the fastest angle that moves, else φ.

    Parameters
    ----------
    acquisition : Acquisition
        The scan.
    frame : int
        Where the other motors stand.

    Returns
    -------
    motor : str
        The motor.
    offsets : (n,) ndarray
        Its offsets (rad): over the scan, and as far as there is light.
    intensity : (n,) ndarray
        Relative to the peak.
    """
    setup = acquisition.setup
    motor = (acquisition.moving_angles or ["phi"])[-1]
    axis, offsets = ANGLES.index(motor), acquisition.angle_offsets
    along = np.eye(3)[axis]
    if motor == "two_theta":
        # In a scan of the strain φ follows the arm.
        along[ANGLES.index("phi")] = acquisition.scan.phi_per_two_theta
    vector = along @ setup.geometry.motor_vectors
    width = 1.0 / np.sqrt(vector @ np.linalg.inv(setup.acceptance.covariance()) @ vector)
    row = along_fast_motor(acquisition)
    reach = max(4.5 * width, float(np.abs(offsets[row, axis]).max(initial=0.0)))
    steps = np.linspace(-reach, reach, 801) - offsets[frame, axis]
    fine = offsets[frame] + steps[:, None] * along
    return motor, fine[:, axis], perfect_intensity(setup, fine)


def _rocking(acquisition: Acquisition, number: int, intensity: Floats | None = None) -> Drawing:
    """The rocking curve, with the mean of each frame in the scan if it is given."""
    setup, frames = acquisition.setup, acquisition.scan.frames
    motor, fine, light = perfect_curve(acquisition, along_fast_motor(acquisition)[0])
    axis, shown = ANGLES.index(motor), MOTORS[motor].shown
    offsets = acquisition.angle_offsets
    row = along_fast_motor(acquisition)
    options = {
        "setting_mrad": float(shown(offsets[number, axis])),
        "setting_label": f"frame {number}" if frames > 1 else "this image",
        "axis_label": MOTORS[motor].label,
    }
    if intensity is not None:
        dark = float(setup.detector.dark.mean())
        mean = (intensity[row] - dark) / setup.detector.unit_signal
        options |= {
            "positions_mrad": shown(offsets[row, axis]),
            "curves": {"mean of the image": mean},
        }
    return Drawing(
        "weakbeam.plot.rocking.rocking_figure",
        (shown(fine), light),
        options,
    )


def _maps(acquisition: Acquisition, data: ScanData) -> Drawing:
    assert data.mean_q is not None
    predicted = predicted_centers(acquisition, data.mean_q)
    rest = predicted_centers(acquisition, np.zeros((3, 1, 1)))
    maps = {}
    for motor, center in data.centers.items():
        # In a scan that is not even about the peak the perfect crystal's centre is not at 0.
        zero, shown = float(rest[motor][0, 0]), MOTORS[motor].shown
        shifted = np.isfinite(zero) and abs(zero) > _CENTERED
        symbol = MOTORS[motor].offset_symbol
        if shifted:
            symbol += f" {_minus(float(shown(zero)))} {MOTORS[motor].shown_unit}"
        zero = zero if shifted else 0.0
        maps[symbol] = (shown(center - zero), shown(predicted[motor] - zero))
    return Drawing(
        "weakbeam.plot.maps.com_figure",
        (maps, image_view(acquisition.setup)),
        {"predicted_label": "predicted from q"},
    )


def _minus(value: float) -> str:
    """What is left to write of "x - value"."""
    return f"{'+' if value < 0 else '−'} {abs(value):.3g}"

"""The figures of a run: what is computed for each of them, and which there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.plot.drawing import Drawing
from weakbeam.run.acceptance_figures import acceptance_drawing
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.frames import perfect_intensity, predicted_centers
from weakbeam.run.scan_data import ScanData, along_fast_motor, read_scan_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_NAMES = ("image", "rocking", "acceptance", "maps", "defects")
"""All figures that there can be."""

_CENTERED = 1e-9
"""Largest centre of mass (rad) of the perfect crystal that counts as 0."""


def draw(acquisition: Acquisition, data: ScanData, heading: str = "") -> dict[str, Figure]:
    """Draw the figures of one detector scan.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    data : ScanData
        What was simulated.
    heading : str
        What tells the image from those of other reflections, see :func:`reflection_heading`.

    Returns
    -------
    dict of str to Figure
        ``image``, ``rocking``, ``acceptance``; ``maps`` if an angle moved, and ``defects`` if there
        are several.
    """
    drawings = frame_drawings(acquisition, data, heading)
    drawings |= setting_drawings(acquisition, data.number)
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
        ``acceptance``; if no angle moves, ``rocking``; of several lines, ``defects``.
    """
    setup, scan = acquisition.setup, acquisition.scan
    drawings = {"acceptance": acceptance_drawing(setup, acquisition.angle_offsets[number])}
    defects = defects_drawing(setup, float(scan.motor_positions("z")[number]))
    if defects is not None:
        drawings["defects"] = defects
    if not acquisition.moving_angles:
        drawings["rocking"] = _rocking(acquisition, number)
    return drawings


def frame_drawings(
    acquisition: Acquisition, data: ScanData, heading: str = ""
) -> dict[str, Drawing]:
    """Describe the figures that show frames: all those not in :func:`setting_drawings`.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    data : ScanData
        What was simulated.
    heading : str
        What tells the image from those of other reflections, see :func:`reflection_heading`.

    Returns
    -------
    dict of str to Drawing
        ``image`` and, if an angle moved, ``rocking`` and ``maps``.
    """
    drawings = {"image": _image(acquisition, data, heading)}
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


def draw_file(path: Path, index: int = 0) -> dict[str, Figure]:
    """Draw the figures of an entry of an output file.

    Parameters
    ----------
    path : Path
        The file.
    index : int
        The entry, from 0.

    Raises
    ------
    InputError
        If the file cannot be read or has no such entry.
    """
    from weakbeam.io.reading import read_configuration

    experiment = Experiment.from_toml_text(read_configuration(path), str(path))
    acquisitions = acquisitions_of(assemble_all(experiment))
    if index >= len(acquisitions) * (2 if experiment.output.perfect_crystal else 1):
        raise InputError("entry", f"{index + 1}.1", "no scan; it may hold dark or flat frames")
    acquisition = acquisitions[index % len(acquisitions)]
    heading = reflection_heading(experiment, acquisition.setup)
    return draw(acquisition, read_scan_data(path, index, acquisition), heading)


def reflection_heading(experiment: Experiment, setup: Setup) -> str:
    """The indices of a reflection for above its images; "" where the experiment has only one."""
    if experiment.reflection is not None:
        return ""
    return f"({' '.join(map(str, setup.hkl))})".replace("-", "−")


def _image(acquisition: Acquisition, data: ScanData, heading: str) -> Drawing:
    grid, detector = acquisition.setup.grids[0], acquisition.setup.detector
    offsets = zip(ANGLES, acquisition.angle_offsets[data.number], strict=True)
    phi, chi, two_theta = (float(MOTORS[name].shown(offset)) for name, offset in offsets)
    readout, frames = detector.readout, acquisition.scan.frames
    frame = readout.upright(np.asarray(data.frame, dtype=np.float64))
    ideal = detector.model is None
    low, high = np.percentile(frame, [0.1, 99.9])
    # From zero if the darkest pixels are dark; else faint contrast on a bright field would drown.
    shown = (0.0 if low < 0.5 * high else float(low), float(high))
    which = f"frame {data.number} of 0 to {frames - 1}" if frames > 1 else ""
    return Drawing(
        "weakbeam.plot.image.image_figure",
        (frame, *readout.places(grid.row_positions, grid.column_positions)),
        {
            "phi_mrad": phi,
            "chi_mrad": chi,
            "two_theta_mrad": two_theta,
            "title": ", ".join(filter(None, (heading, which))),
            "intensity_label": "intensity / perfect crystal at peak" if ideal else "counts (ADU)",
            "limits": shown if shown[1] > shown[0] else None,
            "on_camera": grid.on_camera,
        },
    )


def _rocking(acquisition: Acquisition, number: int, intensity: Floats | None = None) -> Drawing:
    """The rocking curve, with the mean of each frame in the scan if it is given."""
    setup, frames = acquisition.setup, acquisition.scan.frames
    motor = (acquisition.moving_angles or ["phi"])[-1]
    axis, shown = ANGLES.index(motor), MOTORS[motor].shown
    offsets = acquisition.angle_offsets
    row = along_fast_motor(acquisition)
    vector = setup.geometry.motor_vectors[axis]
    width = 1.0 / np.sqrt(vector @ np.linalg.inv(setup.acceptance.covariance()) @ vector)
    reach = max(4.5 * width, float(np.abs(offsets[row, axis]).max(initial=0.0)))
    fine = np.zeros((801, 3)) + offsets[row[0]]
    fine[:, axis] = np.linspace(-reach, reach, len(fine))
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
        (shown(fine[:, axis]), perfect_intensity(setup, fine)),
        options,
    )


def _maps(acquisition: Acquisition, data: ScanData) -> Drawing:
    assert data.mean_q is not None
    predicted = predicted_centers(acquisition, data.mean_q)
    rest = predicted_centers(acquisition, np.zeros((3, 1, 1)))
    grid, readout = acquisition.setup.grids[0], acquisition.setup.detector.readout
    maps = {}
    for motor, center in data.centers.items():
        # In a scan that is not even about the peak the perfect crystal's centre is not at 0.
        zero, shown = float(rest[motor][0, 0]), MOTORS[motor].shown
        shifted = np.isfinite(zero) and abs(zero) > _CENTERED
        symbol = MOTORS[motor].offset_symbol
        if shifted:
            symbol += f" {_minus(float(shown(zero)))} {MOTORS[motor].shown_unit}"
        zero = zero if shifted else 0.0
        maps[symbol] = (
            shown(readout.upright(center - zero)),
            shown(readout.upright(predicted[motor] - zero)),
        )
    return Drawing(
        "weakbeam.plot.maps.com_figure",
        (maps, *readout.places(grid.row_positions, grid.column_positions)),
        {"predicted_label": "predicted from q", "on_camera": grid.on_camera},
    )


def _minus(value: float) -> str:
    """What is left to write of "x - value"."""
    return f"{'+' if value < 0 else '−'} {abs(value):.3g}"

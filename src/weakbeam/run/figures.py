"""The figures of a run: what is computed for each of them, and which there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.imaging.scan import DetectorScan
from weakbeam.plot.drawing import Drawing
from weakbeam.run.acceptance_figures import acceptance_drawing
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.entries import bragg_position, map_name
from weakbeam.run.frames import (
    angle_offsets,
    moving_angles,
    perfect_intensity,
    predicted_centers,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_NAMES = ("image", "rocking", "acceptance", "maps", "defects")
"""All figures that there can be."""

_CONTRAST = 0.3
"""Of a scan the frame is shown where the perfect crystal has fallen to this share of its peak."""


_CENTERED = 1e-9
"""Largest centre of mass (rad) of the perfect crystal that counts as 0."""


@dataclass(frozen=True, eq=False)
class ScanData:
    """What of a scan enters its figures.

    Parameters
    ----------
    number : int
        Number of the frame that is shown, from :func:`frame_to_show`.
    frame : (rows, columns) ndarray
        That frame.
    intensity : (frames,) ndarray
        Mean over the pixels of each frame.
    centers : mapping of str to (rows, columns) ndarray
        Centre of mass for each moving angle (rad).
    mean_q : (3, rows, columns) ndarray or None
        q averaged over the rays, to compare the maps with; needed where there are maps.
    """

    number: int
    frame: ArrayLike
    intensity: Floats
    centers: Mapping[str, Floats]
    mean_q: Floats | None


def draw(setup: Setup, scan: DetectorScan, data: ScanData) -> dict[str, Figure]:
    """Draw the figures of one detector scan.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        The scan.
    data : ScanData
        What was simulated.

    Returns
    -------
    dict of str to Figure
        ``image``, ``rocking``, ``acceptance``; ``maps`` if an angle moved, and ``defects`` if there
        are several.
    """
    drawings = frame_drawings(setup, scan, data) | setting_drawings(setup, scan, data.number)
    return {name: drawings[name].figure() for name in FIGURE_NAMES if name in drawings}


def setting_drawings(setup: Setup, scan: DetectorScan, number: int) -> dict[str, Drawing]:
    """Describe the figures that need no frame, only the setting of the one that is shown.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        The scan.
    number : int
        The frame that is shown, from :func:`frame_to_show`.

    Returns
    -------
    dict of str to Drawing
        ``acceptance``; if no angle moves, ``rocking``; of several lines, ``defects``.
    """
    drawings = {"acceptance": acceptance_drawing(setup, angle_offsets(scan)[number])}
    defects = defects_drawing(setup, float(scan.motor_positions("z")[number]))
    if defects is not None:
        drawings["defects"] = defects
    if not moving_angles(scan):
        drawings["rocking"] = _rocking(setup, scan, number)
    return drawings


def frame_drawings(setup: Setup, scan: DetectorScan, data: ScanData) -> dict[str, Drawing]:
    """Describe the figures that show frames: all those not in :func:`setting_drawings`.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        The scan.
    data : ScanData
        What was simulated.

    Returns
    -------
    dict of str to Drawing
        ``image`` and, if an angle moved, ``rocking`` and ``maps``.
    """
    drawings = {"image": _image(setup, scan, data)}
    if moving_angles(scan):
        drawings["rocking"] = _rocking(setup, scan, data.number, data.intensity)
    if data.centers:
        drawings["maps"] = _maps(setup, scan, data)
    return drawings


def figure_prefix(number: int, count: int, setup: Setup) -> str:
    """What tells the figures of one of several reflections: its number, from 1, and its hkl.

    The number has as many digits as the count, so that files sort by it.
    """
    place = str(number + 1).zfill(len(str(count)))
    return "_".join(map(str, (place, *setup.reflection.hkl, "")))


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

    setups = assemble_all(Experiment.from_toml_text(read_configuration(path), str(path)))
    scans = [(setup, scan) for setup in setups for scan in setup.scans]
    if index >= len(scans) * (2 if setups[0].experiment.output.perfect_crystal else 1):
        raise InputError("entry", f"{index + 1}.1", "no scan; it may hold dark or flat frames")
    setup, scan = scans[index % len(scans)]
    return draw(setup, scan, read_scan_data(path, index, setup))


def read_scan_data(path: Path, index: int, setup: Setup, mean_q: Floats | None = None) -> ScanData:
    """Read what the figures of an entry of an output file show.

    Parameters
    ----------
    path : Path
        The file.
    index : int
        The entry, from 0.
    setup : Setup
        The assembled experiment of the file.
    mean_q : (3, rows, columns) ndarray, optional
        q averaged over the rays, if it is at hand.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such entry, or the entry no frames yet.
    """
    from weakbeam.io.bliss import entry_name
    from weakbeam.io.reading import read_entry, read_frames

    stored = read_entry(path, entry_name(index))
    scan = setup.scans[index % len(setup.scans)]
    done = np.flatnonzero(stored.done)
    if done.size == 0:
        raise InputError(str(path), None, f"entry {stored.name} has no frames yet")
    number = frame_to_show(setup, scan, stored.done)
    centers = {}
    for motor in moving_angles(scan):
        name = map_name(motor, "com")
        if name in stored.maps and stored.done.all():
            bragg = bragg_position(setup, motor)
            centers[motor] = np.radians(stored.maps[name].values) - bragg
    if centers and mean_q is None:
        mean_q, _ = setup.engine(float(scan.positions["z"][0])).mean_q()
        mean_q = setup.detector.readout.mean(mean_q)
    pixels = stored.shape[0] * stored.shape[1]
    return ScanData(
        number=number,
        frame=read_frames(path, stored.name, [number])[0],
        intensity=np.where(stored.done, stored.intensity / pixels, np.nan),
        centers=centers,
        mean_q=mean_q,
    )


def frame_to_show(setup: Setup, scan: DetectorScan, done: NDArray[np.bool_] | None = None) -> int:
    """Number of a frame with much contrast: on the flank of the perfect crystal's peak.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        The scan.
    done : (frames,) ndarray of bool, optional
        Frames to choose from; all unless given.

    Returns
    -------
    int
    """
    every = angle_offsets(scan)
    distance = np.abs(perfect_intensity(setup, every) - _CONTRAST)
    # Of equal frames the one at larger φ, the usual side of the weak beam.
    distance -= 1e-6 * np.sign(every[:, 0])
    candidates = np.isin(np.arange(scan.frames), _along_fast_motor(scan))
    if done is not None:
        candidates = candidates & done if (candidates & done).any() else done
    return int(np.argmin(np.where(candidates, distance, np.inf)))


def _along_fast_motor(scan: DetectorScan) -> Ints:
    """Numbers of the frames in which the slower motor stands nearest to zero."""
    if len(scan.moving) < 2:
        return np.arange(scan.frames)
    slow = scan.motor_positions(scan.moving[0])
    return np.flatnonzero(slow == slow[np.argmin(np.abs(slow))])


def _image(setup: Setup, scan: DetectorScan, data: ScanData) -> Drawing:
    grid = setup.grids[0]
    offsets = zip(ANGLES, angle_offsets(scan)[data.number], strict=True)
    phi, chi, two_theta = (float(MOTORS[name].shown(offset)) for name, offset in offsets)
    readout = setup.detector.readout
    frame = readout.upright(np.asarray(data.frame, dtype=np.float64))
    ideal = setup.detector.model is None
    low, high = np.percentile(frame, [0.1, 99.9])
    # From zero if the darkest pixels are dark; else faint contrast on a bright field would drown.
    shown = (0.0 if low < 0.5 * high else float(low), float(high))
    return Drawing(
        "weakbeam.plot.image.image_figure",
        (frame, *readout.places(grid.row_positions, grid.column_positions)),
        {
            "phi_mrad": phi,
            "chi_mrad": chi,
            "two_theta_mrad": two_theta,
            "title": ", ".join(_said_above(setup, scan, data.number)),
            "intensity_label": "intensity / perfect crystal at peak" if ideal else "counts (ADU)",
            "limits": shown if shown[1] > shown[0] else None,
            "on_camera": grid.on_camera,
        },
    )


def _said_above(setup: Setup, scan: DetectorScan, number: int) -> Iterator[str]:
    """What tells an image from others of the run."""
    if setup.whole.reflection is None:
        yield f"({' '.join(map(str, setup.reflection.hkl))})".replace("-", "−")
    if scan.frames > 1:
        yield f"frame {number} of 0 to {scan.frames - 1}"


def _rocking(
    setup: Setup, scan: DetectorScan, number: int, intensity: Floats | None = None
) -> Drawing:
    """The rocking curve, with the mean of each frame in the scan if it is given."""
    motor = (moving_angles(scan) or ["phi"])[-1]
    axis, shown = ANGLES.index(motor), MOTORS[motor].shown
    every = angle_offsets(scan)
    row = _along_fast_motor(scan)
    vector = setup.geometry.motor_vectors[axis]
    width = 1.0 / np.sqrt(vector @ np.linalg.inv(setup.acceptance.covariance()) @ vector)
    reach = max(4.5 * width, float(np.abs(every[row, axis]).max(initial=0.0)))
    fine = np.zeros((801, 3)) + every[row[0]]
    fine[:, axis] = np.linspace(-reach, reach, len(fine))
    options = {
        "setting_mrad": float(shown(every[number, axis])),
        "setting_label": f"frame {number}" if scan.frames > 1 else "this image",
        "axis_label": MOTORS[motor].label,
    }
    if intensity is not None:
        dark = float(setup.detector.dark.mean())
        mean = (intensity[row] - dark) / setup.detector.unit_signal
        options |= {
            "positions_mrad": shown(every[row, axis]),
            "curves": {"mean of the image": mean},
        }
    return Drawing(
        "weakbeam.plot.rocking.rocking_figure",
        (shown(fine[:, axis]), perfect_intensity(setup, fine)),
        options,
    )


def _maps(setup: Setup, scan: DetectorScan, data: ScanData) -> Drawing:
    assert data.mean_q is not None
    predicted = predicted_centers(setup, scan, data.mean_q)
    rest = predicted_centers(setup, scan, np.zeros((3, 1, 1)))
    grid, readout = setup.grids[0], setup.detector.readout
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

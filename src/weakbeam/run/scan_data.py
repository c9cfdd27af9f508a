"""What of a scan its figures show: one frame, the mean of each, and the centres of mass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.errors import InputError
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.frames import perfect_intensity
from weakbeam.run.map_axes import map_name

_CONTRAST = 0.3
"""Of a scan the frame is shown where the perfect crystal has fallen to this share of its peak."""


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


def read_scan_data(
    path: Path, index: int, acquisition: Acquisition, mean_q: Floats | None = None
) -> ScanData:
    """Read what the figures of an entry of an output file show.

    Parameters
    ----------
    path : Path
        The file.
    index : int
        The entry, from 0.
    acquisition : Acquisition
        The reflection and the scan of this entry.
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
    setup = acquisition.setup
    done = np.flatnonzero(stored.done)
    if done.size == 0:
        raise InputError(str(path), None, f"entry {stored.name} has no frames yet")
    if stored.done.size != acquisition.scan.frames:
        raise InputError(
            str(path),
            None,
            f"entry {stored.name} has {stored.done.size} frames, the scan of its experiment "
            f"{acquisition.scan.frames}: show frames or a montage of it",
        )
    number = frame_to_show(acquisition, stored.done)
    centers = {}
    for motor in acquisition.moving_angles:
        name = map_name(motor, "com")
        if name in stored.maps and stored.done.all():
            bragg = setup.bragg_position(motor)
            centers[motor] = np.radians(stored.maps[name].values) - bragg
    if centers and mean_q is None:
        mean_q, _ = setup.engine(acquisition.first_height).mean_q()
        mean_q = setup.detector.readout.mean(mean_q)
    pixels = stored.shape[0] * stored.shape[1]
    return ScanData(
        number=number,
        frame=read_frames(path, stored.name, [number])[0],
        intensity=np.where(stored.done, stored.intensity / pixels, np.nan),
        centers=centers,
        mean_q=mean_q,
    )


def frame_to_show(acquisition: Acquisition, done: NDArray[np.bool_] | None = None) -> int:
    """Number of a frame with much contrast: on the flank of the perfect crystal's peak.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.
    done : (frames,) ndarray of bool, optional
        Frames to choose from; all unless given.

    Returns
    -------
    int
    """
    offsets = acquisition.angle_offsets
    distance = np.abs(perfect_intensity(acquisition.setup, offsets) - _CONTRAST)
    # Of equal frames the one at larger φ, the usual side of the weak beam.
    distance -= 1e-6 * np.sign(offsets[:, 0])
    candidates = np.isin(np.arange(len(offsets)), along_fast_motor(acquisition))
    if done is not None:
        candidates = candidates & done if (candidates & done).any() else done
    return int(np.argmin(np.where(candidates, distance, np.inf)))


def along_fast_motor(acquisition: Acquisition) -> Ints:
    """Numbers of the frames in which the slower motor stands nearest to zero."""
    scan = acquisition.scan
    if len(scan.moving) < 2:
        return np.arange(scan.frames)
    slow = scan.motor_positions(scan.moving[0])
    return np.flatnonzero(slow == slow[np.argmin(np.abs(slow))])

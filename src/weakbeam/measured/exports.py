"""What of a file is exported: its maps, the sum of its frames, frames by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weakbeam.io.export import Exported
from weakbeam.io.maps_file import StoredMaps
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.pictures import frame_labels, shown_frames


def exported_maps(path: Path, name: str, stored: StoredMaps) -> list[Exported]:
    """All maps of a file of maps.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of its entry.
    stored : StoredMaps
        What it holds.
    """
    return [
        Exported(
            map_name, name, values, unit, long_name, path.name, stored.image_axes, stored.first
        )
        for map_name, (values, unit, long_name) in stored.maps.items()
    ]


def exported_frames(scan: MeasuredScan, numbers: Sequence[int]) -> list[Exported]:
    """Frames of a scan as pictures show them; in the type of the file where nothing is changed.

    Raises
    ------
    InputError
        If there is no such frame.
    RunError
        If frames cannot be read.
    """
    frames = shown_frames(scan, np.array(numbers, dtype=np.int64))
    labels = frame_labels(scan)
    unit = "counts" if scan.counts else ""
    return [
        Exported(
            f"frame_{number:04d}",
            scan.entry,
            frame,
            unit,
            labels[number],
            scan.path.name,
            scan.image_axes,
            scan.first,
        )
        for number, frame in zip(numbers, frames, strict=True)
    ]


def exported_run(path: Path, entry: str) -> list[Exported]:
    """Maps of an entry of a run and the sum of its frames; its image where there is one only.

    Raises
    ------
    InputError
        If there is no such file or entry, or it is no run.
    RunError
        If its only frame has not been simulated yet.
    """
    from weakbeam.io.reading import read_entry, read_frames

    stored = read_entry(path, entry)
    axes = stored.image_axes
    exported = [
        Exported(name, entry, found.values, found.unit, found.long_name, path.name, axes)
        for name, found in stored.maps.items()
    ]
    if len(stored.done) == 1:
        (frame,) = read_frames(path, entry, [0])
        unit = "counts" if frame.dtype.kind in "iu" else ""
        return [*exported, Exported("frame_0000", entry, frame, unit, "image", path.name, axes)]
    if np.isfinite(stored.image_sum).any():
        text = "sum of all frames"
        exported.append(Exported("image_sum", entry, stored.image_sum, "", text, path.name, axes))
    return exported

"""Scans in the HDF5 files that BLISS writes at the ESRF beamlines ID03 and ID06, and in ours.

Nothing is taken for granted but the entries ``N.1`` with a title, a stack of frames somewhere below
``instrument`` or ``measurement``, and positions of the motors that the title names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io.entry import ImageAxis
from weakbeam.io.members import dataset_at, group_at, text_at
from weakbeam.io.reading import telling_damage
from weakbeam.io.scan_motors import (
    motor_positions,
    moving_positioners,
    named_motors,
    positioner_names,
    promised_frames,
)

_STILL = 1e-9
_CAMERAS = ("pco_ff", "pco", "marana", "frelon")
"""How the names of cameras for imaging begin, the likeliest first."""


@dataclass(frozen=True, eq=False)
class MeasuredScan:
    """A scan of a file, without its frames; :mod:`weakbeam.io.frames` reads those.

    Parameters
    ----------
    path : Path
        The file.
    entry : str
        Name of the entry, such as ``"1.1"``.
    title : str
        The scan command.
    detector : str
        Name of the detector.
    stack : str
        Path of its frames in the file.
    positions : mapping of str to (frames,) ndarray
        Position of each motor that moves, in the order of the title.
    units : mapping of str to str
        Their units; ``""`` where neither the file nor the name of the motor tells.
    fixed : mapping of str to float
        Motors that stand still.
    frames : int
        How many frames there are, with positions.
    shape : (int, int)
        Rows and columns of a frame.
    dtype : dtype
        Type of a pixel.
    image_axes : (ImageAxis, ImageAxis) or None
        Where in the sample rows and columns look, if the file tells.
    warnings : tuple of str
        What is odd about the scan, a line each.
    """

    path: Path
    entry: str
    title: str
    detector: str
    stack: str
    positions: Mapping[str, Floats]
    units: Mapping[str, str]
    fixed: Mapping[str, float]
    frames: int
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    image_axes: tuple[ImageAxis, ImageAxis] | None
    warnings: tuple[str, ...] = ()


def scan_names(path: str | os.PathLike[str]) -> dict[str, str]:
    """Entries of a file and their titles, by number.

    Raises
    ------
    InputError
        If the file cannot be read or has no entries.
    """
    with opened(path) as file, telling_damage(path, "file"):
        return {name: text_at(file[name], "title") for name in _entry_names(file, path)}


def read_scan(
    path: str | os.PathLike[str],
    entry: str | None = None,
    detector: str | None = None,
    motors: tuple[str, ...] = (),
) -> MeasuredScan:
    """Find out what a scan is: its frames, its motors and where they stood.

    Parameters
    ----------
    path : path
        A BLISS file of ID03 or ID06, or one of ours.
    entry : str, optional
        Name of the entry; ``"2"`` stands for ``"2.1"``. By default the first with a motor that
        moves and a stack of frames.
    detector : str, optional
        Name of the detector, where there are several.
    motors : tuple of str
        Names of the motors, where the title does not tell them.

    Returns
    -------
    MeasuredScan

    Raises
    ------
    InputError
        If there is no such file, entry, detector or motor, or the entry is no scan.
    """
    with opened(path) as file, telling_damage(path, "file"):
        names = _entry_names(file, path)
        if entry is not None:
            name = _entry_name(entry, names, path)
            return _read(file, Path(path), name, detector, motors)
        first: InputError | None = None
        for name in names:
            try:
                return _read(file, Path(path), name, detector, motors)
            except InputError as error:
                first = first or error
        assert first is not None
        raise first


def read_still(
    path: str | os.PathLike[str], entry: str, detector: str | None = None
) -> MeasuredScan:
    """Find the frames of an entry, whether a motor moves in it or not: dark or flat frames.

    Parameters
    ----------
    path, entry, detector
        As for :func:`read_scan`.

    Returns
    -------
    MeasuredScan
        Without positions.

    Raises
    ------
    InputError
        If there is no such file, entry or detector.
    """
    with opened(path) as file, telling_damage(path, "file"):
        name = _entry_name(entry, _entry_names(file, path), path)
        chosen, stack, warnings = _stack(file[name], f"{path}::{name}", name, detector)
        frames = file[name][stack].shape[0]
        return _measured(Path(path), file, name, (chosen, stack), {}, frames, warnings)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading only, also while another process writes it.

    Raises
    ------
    InputError
        If there is no such file, or it is not readable HDF5.
    """
    if not Path(path).is_file():
        raise InputError("file", str(path), "there is no such file")
    try:
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError:
            # HDF5 wants the same flag again where this process has the file open.
            file = h5py.File(path, "r")
    except OSError as error:
        raise InputError("file", str(path), f"is no readable HDF5 file ({error})") from None
    with file:
        yield file


def _read(
    file: h5py.File, path: Path, name: str, detector: str | None, motors: tuple[str, ...]
) -> MeasuredScan:
    group = file[name]
    where = f"{path}::{name}"
    title = text_at(group, "title")
    chosen, place, warnings = _stack(group, where, name, detector)
    stack = group[place]
    known = motor_positions(group, stack.shape[0])
    wanted = motors or named_motors(title, known)
    found: dict[str, tuple[Floats, str]] = {}
    for motor in wanted:
        if motor not in known:
            moved = ", ".join(sorted(positioner_names(group, known))) or "none"
            raise InputError(
                "motor", motor, f"{where} has no positions of it for its frames; it has: {moved}"
            )
        found[motor] = known[motor]
    if not found:
        found = moving_positioners(group, known)
    frames = min([stack.shape[0], *(len(values) for values, _ in found.values())])
    moving = {}
    for motor, (values, unit) in found.items():
        if not np.isfinite(values[:frames]).all():
            raise InputError("motor", motor, f"{where} has positions that are no finite numbers")
        if frames > 1 and np.ptp(values[:frames]) > _STILL * max(np.abs(values[:frames]).max(), 1):
            moving[motor] = np.asarray(values[:frames], dtype=np.float64), unit
        elif frames > 1:
            warnings.append(f"{where}: {motor} stands still")
    if not moving:
        raise InputError("entry", name, f"{where} ({title or 'no title'}) moves no motor")
    longest = max(stack.shape[0], *(len(values) for values, _ in found.values()))
    promised = promised_frames(title)
    if longest != frames or (promised or 0) > frames:
        expected = max(longest, promised or 0)
        warnings.append(
            f"{where} has {frames} of {expected} frames with their positions: an aborted scan"
        )
    return _measured(path, file, name, (chosen, place), moving, frames, warnings)


def _stack(
    group: h5py.Group, where: str, name: str, detector: str | None
) -> tuple[str, str, list[str]]:
    """The detector that is asked for, or the first; its frames; and what to say of the choice."""
    stacks = _stacks(group)
    if not stacks:
        raise InputError("entry", name, f"{where} has no stack of frames")
    if detector is not None and detector not in stacks:
        raise InputError("detector", detector, f"{where} has {', '.join(stacks)}")
    chosen = detector or next(iter(stacks))
    warnings = []
    if detector is None and len(stacks) > 1:
        warnings.append(f"{where} has the detectors {', '.join(stacks)}: {chosen} is read")
    return chosen, stacks[chosen], warnings


def _measured(
    path: Path,
    file: h5py.File,
    name: str,
    detector: tuple[str, str],
    moving: Mapping[str, tuple[Floats, str]],
    frames: int,
    warnings: list[str],
) -> MeasuredScan:
    """Put together what is known; `detector` is its name and the place of its frames."""
    group = file[name]
    stack = group[detector[1]]
    shape = stack.shape[1:]
    reason = text_at(group, "end_reason")
    if reason not in ("", "SUCCESS"):
        warnings.append(f"{path}::{name} ended with {reason}")
    return MeasuredScan(
        path=path,
        entry=name,
        title=text_at(group, "title"),
        detector=detector[0],
        stack=f"{name}/{detector[1]}",
        positions={motor: values for motor, (values, _) in moving.items()},
        units={motor: unit for motor, (_, unit) in moving.items()},
        fixed=_fixed(group),
        frames=frames,
        shape=(int(shape[0]), int(shape[1])),
        dtype=stack.dtype,
        image_axes=_image_axes(group, shape),
        warnings=tuple(warnings),
    )


def _entry_name(entry: str, names: list[str], path: str | os.PathLike[str]) -> str:
    name = entry if "." in entry else f"{entry}.1"
    if name not in names:
        raise InputError("entry", entry, f"{path} has the entries {', '.join(names)}")
    return name


def _entry_names(file: h5py.File, path: str | os.PathLike[str]) -> list[str]:
    names = [name for name in file if re.fullmatch(r"\d+\.\d+", name)]
    # A link to a file that is not there is an entry that cannot be read.
    names = [name for name in names if group_at(file, name) is not None]
    if not names:
        raise InputError("file", str(path), "has no entries 1.1, 2.1, ... as BLISS writes them")
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def _stacks(group: h5py.Group) -> dict[str, str]:
    """Paths of stacks by the name of their detector, the likeliest first."""
    found: dict[str, str] = {}
    for name in group_at(group, "instrument") or ():
        for part in ("image", "data", "frames"):
            _keep_stack(found, group, name, f"instrument/{name}/{part}")
    for name in group_at(group, "measurement") or ():
        _keep_stack(found, group, name, f"measurement/{name}")
    most = max((group[path].shape[0] for path in found.values()), default=0)

    def order(name: str) -> tuple[bool, int, str]:
        rank = next((k for k, start in enumerate(_CAMERAS) if name.startswith(start)), 99)
        # A camera for alignment may have taken a frame or two besides.
        return 2 * group[found[name]].shape[0] < most, rank, name

    return {name: found[name] for name in sorted(found, key=order)}


def _keep_stack(found: dict[str, str], group: h5py.Group, name: str, path: str) -> None:
    stack = dataset_at(group, path)
    if stack is not None and stack.ndim == 3 and stack.dtype.kind in "fiu" and stack.shape[0] > 0:
        found.setdefault(name, path)


def _fixed(group: h5py.Group) -> dict[str, float]:
    positioners = group_at(group, "instrument/positioners") or {}
    values = {name: dataset_at(positioners, name) for name in positioners}
    return {
        name: float(value[()])
        for name, value in values.items()
        if value is not None and value.ndim == 0 and value.dtype.kind in "fiu"
    }


def _image_axes(group: h5py.Group, shape: tuple[int, ...]) -> tuple[ImageAxis, ImageAxis] | None:
    """The axes of the entry's plot, if they are lengths in the sample."""
    plot = group_at(group, "plot")
    names = [] if plot is None else list(plot.attrs.get("axes", ()))
    axes = []
    for name, pixels in zip(names, shape, strict=False):
        values = dataset_at(plot, name)
        if values is None or values.shape != (pixels,) or values.attrs.get("units") != "um":
            return None
        axes.append(ImageAxis(name, values[()], str(values.attrs.get("long_name", name))))
    return (axes[0], axes[1]) if len(axes) == 2 else None

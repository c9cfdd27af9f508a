"""Scans in the HDF5 files that BLISS writes at the ESRF beamlines ID03 and ID06, and in ours.

Nothing is taken for granted but the entries ``N.1`` with a title, a stack of frames somewhere below
``instrument`` or ``measurement``, and positions of the motors that the title names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.analysis.scan_positions import odd_frames, unwrapped
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io import edf
from weakbeam.io.entry import ImageAxis
from weakbeam.io.guard import attribute, attribute_texts, reading
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.members import dataset_at, group_at, text_at
from weakbeam.io.places import RUN_FILE
from weakbeam.io.scan_motors import (
    FLY_SUFFIXES,
    motor_positions,
    motor_unit,
    moving_positioners,
    named_motors,
    positioner_names,
    promised_frames,
)

_NO_BEAM = 0.01
"""Part of the usual counts of a monitor up to which there is no beam: frames that were divided by
so little would outweigh all others."""

_STILL = 1e-9
_ALONG = 0.05
"""Part of another motor's way from which on a motor moves along, and of a perfect correlation."""

_CAMERAS = ("pco_ff", "pco", "marana", "frelon")
"""How the names of cameras for imaging begin, the likeliest first."""


__all__ = ["MeasuredScan", "entry_range", "opened", "read_scan", "read_still", "scan_names"]

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A file; of EDF images also a folder, a pattern such as ``"scan/*.edf"``, or several files."""


def scan_names(path: Source) -> dict[str, str]:
    """Entries of a file and their titles, by number.

    Raises
    ------
    InputError
        If the file cannot be read or has no entries.
    """
    if edf.is_edf(path):
        return edf.scan_names(path)
    assert isinstance(path, str | os.PathLike)
    with opened(path) as file:
        return {name: text_at(file[name], "title") for name in _entry_names(file, path)}


def entry_range(path: Source, text: str) -> list[str]:
    """Names of several entries of a file: ``"1.1-9.1"``, ``"1-4,7"``, in the order given.

    Raises
    ------
    InputError
        If the file cannot be read, or there is no such entry.
    """
    names, chosen = list(scan_names(path)), list[str]()
    for part in text.split(","):
        first, _, last = (name.strip() for name in part.partition("-"))
        ends = [name if name in names or "." in name else f"{name}.1" for name in (first, last)]
        ends[1] = ends[1] if last else ends[0]
        if not all(name in names for name in ends):
            raise InputError("entries", text, f"{path} has the entries {', '.join(names)}")
        low, high = (names.index(name) for name in ends)
        if high < low:
            raise InputError("entries", text, f"{ends[1]} comes before {ends[0]}")
        chosen += names[low : high + 1]
    if len(set(chosen)) < len(chosen):
        raise InputError("entries", text, "names an entry twice")
    return chosen


def read_scan(
    path: Source,
    entry: str | None = None,
    detector: str | None = None,
    motors: tuple[str, ...] = (),
    monitor: str | None = None,
) -> MeasuredScan:
    """Find out what a scan is: its frames, its motors and where they stood.

    Parameters
    ----------
    path : path or sequence of paths
        A BLISS file of ID03 or ID06, or one of ours, or the folder of a run; or the EDF images of a
        scan with the motors in their headers, as SPEC wrote them at ID06: a folder, a pattern, or
        the files.
    entry : str, optional
        Name of the entry; ``"2"`` stands for ``"2.1"``. By default the first with a motor that
        moves and a stack of frames. Of EDF images the number of the scan.
    detector : str, optional
        Name of the detector, where there are several.
    motors : tuple of str
        Names of the motors, where the title does not tell them.
    monitor : str, optional
        Name of a counter of the beam, by which the frames are to be divided.

    Returns
    -------
    MeasuredScan
        Its remarks name what is odd, and the frames that are to be left out.

    Raises
    ------
    InputError
        If there is no such file, entry, detector, motor or counter, or the entry is no scan.
    """
    if isinstance(path, str | os.PathLike) and os.path.isfile(os.path.join(path, RUN_FILE)):
        path = os.path.join(path, RUN_FILE)
    if edf.is_edf(path):
        return _checked(edf.read_edf_scan(path, entry, motors, monitor))
    assert isinstance(path, str | os.PathLike)
    with opened(path) as file:
        names = _entry_names(file, path)
        if entry is not None:
            name = _entry_name(entry, names, path)
            return _read(file, Path(path), name, detector, motors, monitor)
        first: InputError | None = None
        for name in names:
            try:
                return _read(file, Path(path), name, detector, motors, monitor)
            except InputError as error:
                first = first or error
        assert first is not None
        raise first


def read_still(path: Source, entry: str, detector: str | None = None) -> MeasuredScan:
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
    if edf.is_edf(path):
        return edf.read_edf_still(path, entry)
    assert isinstance(path, str | os.PathLike)
    with opened(path) as file:
        name = _entry_name(entry, _entry_names(file, path), path)
        chosen, stack, remarks = _stack(file[name], f"{path}::{name}", name, detector)
        frames = file[name][stack].shape[0]
        return _measured(Path(path), file, name, (chosen, stack), {}, frames, remarks)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading only, also while another process writes it.

    Raises
    ------
    InputError
        If there is no such file, or it is not readable HDF5.
    """
    with reading(path) as file:
        yield file


def _read(
    file: h5py.File,
    path: Path,
    name: str,
    detector: str | None,
    motors: tuple[str, ...],
    monitor: str | None,
) -> MeasuredScan:
    group = file[name]
    where = f"{path}::{name}"
    title = text_at(group, "title")
    chosen, place, remarks = _stack(group, where, name, detector)
    stack = group[place]
    known = motor_positions(group, stack.shape[0])
    wanted = motors or named_motors(title, known)
    named: dict[str, tuple[Floats, str]] = {}
    for motor in wanted:
        fly = next((motor + end for end in FLY_SUFFIXES if motor + end in known), None)
        if motor not in known and fly is not None and not motors:
            remarks.append(Remark("motor", f"{where}: {motor} is read from {fly}"))
            motor = fly
        if motor not in known:
            moved = ", ".join(sorted(positioner_names(group, known))) or "none"
            raise InputError(
                "motor", motor, f"{where} has no positions of it for its frames; it has: {moved}"
            )
        named[motor] = known[motor]
    if not named:
        named = moving_positioners(group, known)
    frames = min([stack.shape[0], *(len(values) for values, _ in named.values())])
    moving, lost = {}, np.zeros(frames, bool)
    for motor, (values, unit) in named.items():
        finite = np.isfinite(values[:frames])
        if not finite.any():
            raise InputError("motor", motor, f"{where} has positions that are no finite numbers")
        known_there = values[:frames][finite]
        largest = max(float(np.abs(known_there).max()), 1.0)
        if frames > 1 and np.ptp(known_there) > _STILL * largest:
            # The frames without a position are left out, whatever stands here.
            moving[motor] = np.where(finite, values[:frames], known_there[0]), unit
            lost |= ~finite
        elif frames > 1:
            remarks.append(Remark("motor", f"{where}: {motor} stands still"))
    if not moving:
        raise InputError("entry", name, f"{where} ({title or 'no title'}) moves no motor")
    remarks += _left_out(where, "positions", lost, "have positions that are no finite numbers")
    longest = max(stack.shape[0], *(len(values) for values, _ in named.values()))
    promised = promised_frames(title)
    if longest != frames or (promised or 0) > frames:
        expected = max(longest, promised or 0)
        text = f"{where} has {frames} of {expected} frames with their positions: an aborted scan"
        remarks.append(Remark("aborted", text))
    unmapped, source = _without_source(stack, frames), "have no source in the file, and read as 0"
    remarks += _left_out(where, "no frames", unmapped, source)
    beam = None
    if monitor is not None:
        if monitor in moving:
            raise InputError("monitor", monitor, f"is a motor of the scan {where}")
        beam = _monitor(known, monitor, frames, where)
        counts = len(known[monitor][0])
        if counts > longest:
            text = f"{where}: {monitor} has {counts} values for {longest} frames: the first count"
            remarks.append(Remark("monitor", text))
    scan = _measured(path, file, name, (chosen, place), moving, frames, remarks)
    along = _along(moving_positioners(group, known), moving, frames)
    return _checked(replace(scan, monitor=beam, along=along))


def _along(
    moved: Mapping[str, tuple[Floats, str]],
    moving: Mapping[str, tuple[Floats, str]],
    frames: int,
) -> tuple[str, ...]:
    """Motors beside those of the scan whose positions are in proportion to one of theirs."""
    along = []
    for name, (x, unit) in moved.items():
        if name in moving or len(x) < frames or frames < 3 or np.ptp(x[:frames]) == 0.0:
            continue
        for values, other in moving.values():
            alike = abs(float(np.corrcoef(x[:frames], values)[0, 1]))
            wide = np.ptp(x[:frames]) > _ALONG * np.ptp(values)
            if unit == other and alike > 1.0 - _ALONG and wide:
                along.append(name)
                break
    return tuple(along)


def _checked(scan: MeasuredScan) -> MeasuredScan:
    """The scan with what its positions and its monitor tell of frames that are to be left out."""
    where, remarks = scan.where, list[Remark]()
    positions = dict(scan.positions)
    for motor, x in positions.items():
        if scan.units[motor] != "deg":
            continue
        positions[motor] = unwrapped(x, 360.0)
        if (positions[motor] != x).any():
            low, high = positions[motor].min(), positions[motor].max()
            text = f"{where}: {motor} crosses 360 deg; it is taken to go from {low:g} to {high:g}"
            remarks.append(Remark("full circle", text))
    there = np.nonzero(scan.valid)[0]
    odd = odd_frames({motor: x[there] for motor, x in positions.items()})
    for motor, numbers in odd.items():
        mask = np.zeros(scan.frames, bool)
        mask[there[numbers]] = True
        verb = "stand" if motor == "all motors" else "stands"
        text = f"{motor} {verb} still, or out of order, while the scan goes on at"
        remarks += _left_out(where, "positions", mask, text, after=True)
    if scan.monitor is not None:
        finite = np.isfinite(scan.monitor) & (scan.monitor > 0.0)
        usual = float(np.median(scan.monitor[finite])) if finite.any() else 0.0
        # A monitor without beam still counts a little.
        dead = ~(finite & (scan.monitor > _NO_BEAM * usual))
        remarks += _left_out(where, "monitor", dead, "have no beam, by the monitor")
    return replace(scan, positions=positions).remarked(*remarks)


def _left_out(
    where: str, kind: str, frames: NDArray[np.bool_], text: str, after: bool = False
) -> list[Remark]:
    """The remark that some frames are left out; none where there are none."""
    (numbers,) = np.nonzero(frames)
    if not len(numbers):
        return []
    named = frames_text(numbers)
    if len(numbers) == 1 and text.startswith("have "):
        text = f"has {text.removeprefix('have ')}"
    what = f"{where}: {text} {named}" if after else f"{where}: {named} {text}"
    line = f"{what}; {'they are' if len(numbers) > 1 else 'it is'} left out"
    return [Remark(kind, line, tuple(int(k) for k in numbers), left_out=True)]


def _monitor(known: Mapping[str, tuple[Floats, str]], name: str, frames: int, where: str) -> Floats:
    """Counts of a beam monitor at every frame."""
    if name not in known or len(known[name][0]) < frames:
        there = ", ".join(sorted(key for key, (x, _) in known.items() if len(x) >= frames))
        raise InputError("monitor", name, f"{where} has no such row of counts; it has: {there}")
    return known[name][0][:frames]


def _without_source(stack: h5py.Dataset, frames: int) -> NDArray[np.bool_]:
    """Frames that are in no file: parts of a virtual data set, or chunks that were not written."""
    lacking = np.zeros(frames, bool)
    if stack.is_virtual:
        lacking[:] = True
        for source in stack.virtual_sources():
            start, end = source.vspace.get_select_bounds()
            lacking[int(start[0]) : int(end[0]) + 1] = False
    elif stack.chunks is not None and stack.chunks[1:] == stack.shape[1:]:
        depth, count = stack.chunks[0], stack.id.get_num_chunks()
        if count < -(-stack.shape[0] // depth):
            lacking[:] = True
            for number in range(count):
                first = int(stack.id.get_chunk_info(number).chunk_offset[0])
                lacking[first : first + depth] = False
    # Of a stack of which nothing is known, nothing is left out.
    return np.zeros(frames, bool) if lacking.all() else lacking


def _stack(
    group: h5py.Group, where: str, name: str, detector: str | None
) -> tuple[str, str, list[Remark]]:
    """The detector that is asked for, or the first; its frames; and what to say of the choice."""
    stacks = _stacks(group)
    gone = _lost_links(group)
    if detector in gone or (gone and not stacks):
        of, file = (detector, gone[detector]) if detector in gone else next(iter(gone.items()))
        raise InputError("entry", name, f"{where}: the file {file} with the frames of {of} is gone")
    if not stacks:
        raise InputError("entry", name, f"{where} has no stack of frames")
    if detector is not None and detector not in stacks:
        raise InputError("detector", detector, f"{where} has {', '.join(stacks)}")
    chosen = detector or next(iter(stacks))
    remarks = []
    if detector is None and len(stacks) > 1:
        text = f"{where} has the detectors {', '.join(stacks)}: {chosen} is read"
        remarks.append(Remark("detector", text))
    return chosen, stacks[chosen], remarks


def _lost_links(group: h5py.Group) -> dict[str, str]:
    """Detectors whose frames a link seeks in a file that is not there, and that file."""
    lost: dict[str, str] = {}
    for place, parts in (("instrument", ("image", "data", "frames")), ("measurement", ("",))):
        for name in group_at(group, place) or ():
            for part in parts:
                path = f"{place}/{name}/{part}".rstrip("/")
                if dataset_at(group, path) is None and (file := _file_of_link(group, path)):
                    lost.setdefault(name, file)
    return lost


def _file_of_link(group: h5py.Group, path: str) -> str | None:
    """The other file that a link of the group, or on the way to it, leads to."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        with suppress(KeyError, OSError, RuntimeError, ValueError, TypeError):
            link = group.get("/".join(parts[:end]), getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return str(link.filename)
    return None


def _measured(
    path: Path,
    file: h5py.File,
    name: str,
    detector: tuple[str, str],
    moving: Mapping[str, tuple[Floats, str]],
    frames: int,
    remarks: list[Remark],
) -> MeasuredScan:
    """Put together what is known; `detector` is its name and the place of its frames."""
    group = file[name]
    stack = group[detector[1]]
    shape = stack.shape[1:]
    reason = text_at(group, "end_reason")
    if reason not in ("", "SUCCESS"):
        remarks.append(Remark("aborted", f"{path}::{name} ended with {reason}"))
    fixed = _fixed(group)
    return MeasuredScan(
        path=path,
        entry=name,
        title=text_at(group, "title"),
        detector=detector[0],
        stack=f"{name}/{detector[1]}",
        positions={motor: values for motor, (values, _) in moving.items()},
        units={motor: unit for motor, (_, unit) in moving.items()},
        fixed={motor: value for motor, (value, _) in fixed.items()},
        frames=frames,
        shape=(int(shape[0]), int(shape[1])),
        dtype=stack.dtype,
        image_axes=_image_axes(group, shape),
        remarks=tuple(remarks),
        fixed_units={motor: unit for motor, (_, unit) in fixed.items()},
        geometry=text_at(group, "instrument/goniometer/geometry"),
    )


def _entry_name(entry: str, names: list[str], path: Source) -> str:
    name = entry if entry in names or "." in entry else f"{entry}.1"
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
    stacks: dict[str, str] = {}
    for name in group_at(group, "instrument") or ():
        for part in ("image", "data", "frames"):
            _keep_stack(stacks, group, name, f"instrument/{name}/{part}")
    for name in group_at(group, "measurement") or ():
        _keep_stack(stacks, group, name, f"measurement/{name}")
    most = max((group[path].shape[0] for path in stacks.values()), default=0)

    def order(name: str) -> tuple[bool, int, str]:
        rank = next((k for k, start in enumerate(_CAMERAS) if name.startswith(start)), 99)
        # A camera for alignment may have taken a frame or two besides.
        return 2 * group[stacks[name]].shape[0] < most, rank, name

    return {name: stacks[name] for name in sorted(stacks, key=order)}


def _keep_stack(stacks: dict[str, str], group: h5py.Group, name: str, path: str) -> None:
    stack = dataset_at(group, path)
    if stack is not None and stack.ndim == 3 and stack.dtype.kind in "fiu" and stack.shape[0] > 0:
        stacks.setdefault(name, path)


def _fixed(group: h5py.Group) -> dict[str, tuple[float, str]]:
    """Motors that stand still: where, and the unit."""
    positioners = group_at(group, "instrument/positioners") or {}
    still = {}
    for name in positioners:
        value = dataset_at(positioners, name)
        if value is not None and value.ndim == 0 and value.dtype.kind in "fiu":
            factor, unit = motor_unit(name, attribute(value, "units", ""))
            at = float(value[()])
            still[name] = factor * at if factor != 1.0 else at, unit
    return still


def _image_axes(group: h5py.Group, shape: tuple[int, ...]) -> tuple[ImageAxis, ImageAxis] | None:
    """The axes of the entry's plot, if they are lengths in the sample."""
    plot = group_at(group, "plot")
    names = [] if plot is None or "axes" not in plot.attrs else attribute_texts(plot, "axes")
    axes = []
    for name, pixels in zip(names, shape, strict=False):
        values = dataset_at(plot, name)
        if values is None or values.shape != (pixels,) or values.dtype.kind not in "fiu":
            return None
        if attribute(values, "units", "") != "um":
            return None
        axes.append(ImageAxis(name, values[()], attribute(values, "long_name", name)))
    return (axes[0], axes[1]) if len(axes) == 2 else None

"""Images to be identified, from files of several kinds, with whatever the files tell of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from weakbeam.core.memory import check_memory_for
from weakbeam.errors import InputError
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.io import edf
from weakbeam.io.foreign import opened, read_still, scan_names
from weakbeam.io.frames import read_frames_of
from weakbeam.io.guard import attribute, numbers
from weakbeam.io.guard import text as guard_text
from weakbeam.io.members import dataset_at, group_at
from weakbeam.io.places import Place, place_of
from weakbeam.io.saved_turn import AS_SEEN, SavedTurn, saved_turn
from weakbeam.io.scan_motors import motor_positions, motor_unit

_UNITS = {"deg": math.pi / 180.0, "rad": 1.0, "mrad": 1e-3, "mm": 1e3, "um": 1.0}
"""Factors to rad and µm."""

_MOST_NAMES = 5
"""Datasets that are named where the user has to choose one."""

_MOTORS = {MOTORS[name].beamline_name: name for name in SCANNED}
"""What the motors of the beamline move."""


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Frames of one source.

    Parameters
    ----------
    source : str
        How the user named it.
    frames : (n, rows, columns) ndarray
        In the type of the file.
    offsets : tuple of mapping of str to float
        For each frame what is known of ``phi``, ``chi``, ``two_theta`` (rad) and ``z`` (µm), from
        the Bragg setting.
    pixel_um : float, optional
        Size of a pixel in the sample, if the file tells.
    energy_kev : float, optional
        Photon energy, likewise.
    hkl : (int, int, int), optional
        Reflection, likewise.
    configuration : str, optional
        The experiment (TOML) of a simulated image.
    entry : str, optional
        The entry of an HDF5 file that was read.
    other_entries : tuple of str
        Its other entries, if the user named none.
    saved : SavedTurn
        How the camera's program has flipped and turned the frames; `frames` are as saved.
    """

    source: str
    frames: NDArray[Any]
    offsets: tuple[Mapping[str, float], ...]
    pixel_um: float | None = None
    energy_kev: float | None = None
    hkl: tuple[int, int, int] | None = None
    configuration: str | None = None
    entry: str | None = None
    other_entries: tuple[str, ...] = ()
    saved: SavedTurn = AS_SEEN

    def __len__(self) -> int:
        return len(self.frames)


def read_images(source: str | Place, kinds: str = "fiu") -> ImageStack:
    """Read the frames of a source.

    Parameters
    ----------
    source : str or Place
        ``FILE`` or ``FILE#FRAME``; of HDF5 files also ``FILE::ENTRY`` and ``FILE::ENTRY#FRAME``
        with an entry such as 1.1 or the path of a dataset. Frames are counted from 0. The suffix
        tells the kind: .h5, .hdf5, .nxs; .npy; .tif, .tiff; .edf; .cbf and what else fabio reads.
    kinds : str
        Letters of the kinds of values that images may have, as numpy has them.

    Returns
    -------
    ImageStack

    Raises
    ------
    InputError
        If there is no such file, entry or frame, it cannot be read, or holds no images.
    """
    place = source if isinstance(source, Place) else place_of(source)
    text = place.text
    if place.path.is_dir():
        raise InputError("image", text, "is a folder: name a file in it")
    if not place.path.is_file():
        raise InputError("image", text, "there is no such file")
    suffix = place.path.suffix.lower()
    if suffix in (".h5", ".hdf5", ".nxs", ".hdf"):
        return _from_hdf5(place, kinds)
    if place.entry is not None:
        raise InputError("image", text, "has no entries: that is for HDF5 files")
    try:
        frames = _READERS.get(suffix, _fabio)(place.path)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("image", text, f"cannot be read ({error})") from None
    stack = _three_axes(frames, place, kinds)
    numbers = _numbers(place, len(stack))
    _check_memory(len(numbers) * stack[0].nbytes, place)
    return ImageStack(text, np.array(stack[numbers]), ({},) * len(numbers))


def _check_memory(needed: float, place: Place) -> None:
    """Refuse what does not fit, in its type and as the floats that it is worked on as."""
    check_memory_for(3.0 * needed, "image", place.text, "name single frames, as FILE#FRAME")


def _numbers(place: Place, count: int) -> list[int]:
    if place.frame is None:
        return list(range(count))
    if place.frame >= count:
        raise InputError("image", place.text, f"has frames 0 to {count - 1}")
    return [place.frame]


def _three_axes(frames: NDArray[Any], place: Place, kinds: str) -> NDArray[Any]:
    array = np.asanyarray(frames)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype.kind not in kinds or array.size == 0:
        raise InputError(
            "image",
            place.text,
            f"holds {array.dtype} of shape {array.shape}, which is no image or stack of images",
        )
    return array


def _npy(path: Path) -> NDArray[Any]:
    try:
        # Not read before it is known what is wanted of it, and whether that fits in memory.
        with np.errstate(over="ignore"):
            return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError):
        # What numpy says of such files speaks of pickles.
        raise InputError("image", str(path), "is no readable npy file") from None


def _tiff(path: Path) -> NDArray[Any]:
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.stack([np.asarray(page) for page in ImageSequence.Iterator(image)])
    except UnidentifiedImageError:
        raise InputError("image", str(path), "is no readable TIFF file") from None
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InputError("image", str(path), f"is too large ({error})") from None


def _edf(path: Path) -> NDArray[Any]:
    try:
        (name, *_) = edf.scan_names(path)
        scan = edf.read_edf_still(path, name)
    except InputError:
        # Compressed ones and those of other programs.
        return _fabio(path)
    return read_frames_of(scan, np.arange(scan.frames))


def _fabio(path: Path) -> NDArray[Any]:
    try:
        import fabio
    except ImportError:
        raise InputError(
            "image", str(path), f"reading {path.suffix or 'it'} needs fabio: pip install fabio"
        ) from None
    try:
        with fabio.open(path) as image:
            return np.stack([frame.data for frame in image.frames()])
    except Exception as error:  # fabio has errors of its own, one for each kind of file.
        raise InputError("image", str(path), f"cannot be read by fabio ({error})") from None


_READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    ".npy": _npy,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".edf": _edf,
}
"""By suffix; all others are left to fabio."""


def _from_hdf5(place: Place, kinds: str) -> ImageStack:
    with opened(place.path) as file:
        whole = None if place.entry is None else dataset_at(file, place.entry)
        if whole is not None:
            return _of_dataset(whole, place, kinds)
        if not any(re.fullmatch(r"\d+\.\d+", name) for name in file):
            raise InputError("image", place.text, _datasets_of(file, place.path))
    others: tuple[str, ...] = ()
    entry = place.entry
    if entry is None:
        entry, *rest = scan_names(place.path)
        others = tuple(rest)
    scan = read_still(place.path, entry)
    numbers = _numbers(place, scan.frames)
    _check_memory(len(numbers) * float(np.prod(scan.shape)) * scan.dtype.itemsize, place)
    frames = read_frames_of(scan, numbers)
    with opened(place.path) as file:
        group = file[scan.entry]
        offsets = _offsets(group, scan.frames)
        goniometer = group_at(group, "instrument/goniometer")
        hkl = None if goniometer is None else dataset_at(goniometer, "hkl")
        return ImageStack(
            place.text,
            frames,
            tuple({name: float(values[k]) for name, values in offsets.items()} for k in numbers),
            _number(group, f"instrument/{scan.detector}/object_pixel_size", "um"),
            _number(group, "instrument/beam/incident_energy", "keV")
            or _number(group, "instrument/monochromator/energy", "keV"),
            None if hkl is None else _indices(goniometer),
            _configuration(group),
            scan.entry,
            others,
            saved_turn(group, scan.detector),
        )


def _of_dataset(whole: h5py.Dataset, place: Place, kinds: str) -> ImageStack:
    """The frames of a dataset, of which only those are read that are asked for."""
    wanted = 1 if whole.ndim == 3 and place.frame is not None else max(len(whole), 1)
    _check_memory(wanted * whole.nbytes / max(len(whole), 1), place)
    if whole.ndim == 3 and place.frame is not None:
        (number,) = _numbers(place, len(whole))
        stack = _three_axes(whole[number], place, kinds)
    else:
        stack = _three_axes(whole[()], place, kinds)
        stack = stack[_numbers(place, len(stack))]
    return ImageStack(place.text, stack, ({},) * len(stack))


def _datasets_of(file: h5py.File, path: Path) -> str:
    """What to say of a file without entries: which datasets are images."""
    names: list[str] = []

    def visit(name: str, item: object) -> bool | None:
        if isinstance(item, h5py.Dataset) and item.ndim in (2, 3) and item.dtype.kind in "fiu":
            names.append(f"{path}::{name}")
        return True if len(names) == _MOST_NAMES else None

    file.visititems(visit)
    there = ", ".join(names)
    lacking = "has no entries 1.1, 2.1, ... as BLISS writes them"
    return f"{lacking}; name a dataset: {there}" if names else f"{lacking}, and no images"


def _offsets(group: h5py.Group, frames: int) -> dict[str, NDArray[np.float64]]:
    """Positions of the motors from the Bragg setting, where the file tells that."""
    bragg = group_at(group, "instrument/goniometer")
    if bragg is None or dataset_at(bragg, "theta") is None:
        return {}
    theta = _number(bragg, "theta", "deg") or 0.0
    zero = {
        "phi": _number(bragg, "phi", "deg") or 0.0,
        "chi": _number(bragg, "chi", "deg") or 0.0,
        "obpitch": 2.0 * theta,
        "diffrz": 0.0,
    }
    known = motor_positions(group, frames)
    offsets = {}
    for motor, name in _MOTORS.items():
        if motor in known:
            values, unit = known[motor]
        else:
            still = dataset_at(group, f"instrument/positioners/{motor}")
            if still is None or still.ndim != 0:
                continue
            factor, unit = motor_unit(motor, attribute(still, "units", ""))
            values = np.full(frames, factor * float(still[()]))
        if unit in _UNITS and len(values) >= frames:
            offsets[name] = _UNITS[unit] * (np.asarray(values, dtype=np.float64) - zero[motor])
    return offsets


def _number(group: h5py.Group, name: str, unit: str) -> float | None:
    """A number, if it is there and of the unit."""
    value = dataset_at(group, name)
    if (
        value is None
        or value.ndim != 0
        or value.dtype.kind not in "fiu"
        or attribute(value, "units", "") != unit
    ):
        return None
    return float(value[()])


def _indices(goniometer: h5py.Group) -> tuple[int, int, int]:
    indices = numbers(goniometer, "hkl", kinds="iu", shape=(3,))
    return int(indices[0]), int(indices[1]), int(indices[2])


def _configuration(group: h5py.Group) -> str | None:
    text = dataset_at(group, "simulation/configuration/data")
    return None if text is None else guard_text(group, "simulation/configuration/data")

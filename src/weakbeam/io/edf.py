"""Scans of EDF images with the motors in their headers, as SPEC wrote them at ID06 of the ESRF.

A file is one image or several, each a header ``{ key = value ; ... }`` filled up to a multiple of
512 bytes, and the pixels row by row. ``motor_mne`` and ``motor_pos`` name the motors and say where
they stood, ``counter_mne`` and ``counter_pos`` the counters; ``scan`` is the scan command and
``scan_no`` its number.
"""

from __future__ import annotations

import gzip
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.remarks import Remark, frames_text
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError, RunError
from weakbeam.io.measured_scan import ImagePlace, MeasuredScan
from weakbeam.io.scan_motors import motor_unit_guess, named_motors, promised_frames

Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_SUFFIXES = (".edf", ".edf.gz")
_TYPES = {
    "unsignedbyte": "u1",
    "signedbyte": "i1",
    "unsignedshort": "u2",
    "signedshort": "i2",
    "unsignedinteger": "u4",
    "unsignedlong": "u4",
    "signedinteger": "i4",
    "signedlong": "i4",
    "unsigned64": "u8",
    "signed64": "i8",
    "float": "f4",
    "floatvalue": "f4",
    "real": "f4",
    "double": "f8",
    "doublevalue": "f8",
}
_BLOCK = 512
_LONGEST_HEADER = 2**20
_STILL = 1e-9
"""Motors that move by less than this share of their position, or of 1, stand still."""


@dataclass(frozen=True)
class EdfImage:
    """One image of an EDF file, without its pixels.

    Parameters
    ----------
    path : Path
        The file.
    header : mapping of str to str
        The header; keys in small letters.
    offset : int
        Where the pixels begin, in bytes.
    shape : (int, int)
        Rows and columns.
    dtype : dtype
        Type of a pixel, with its order of bytes.
    """

    path: Path
    header: Mapping[str, str]
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def values(self, kind: str) -> dict[str, float]:
        """Values of ``"motor"`` or ``"counter"`` by name; NaN for what is no number."""
        names = self.header.get(f"{kind}_mne", "").split()
        return dict(
            zip(names, map(_number, self.header.get(f"{kind}_pos", "").split()), strict=False)
        )


def is_edf(source: Source) -> bool:
    """Whether a source is one of EDF images: files, a folder, or a pattern."""
    if not isinstance(source, str | os.PathLike):
        return True
    text = os.fspath(source)
    return text.lower().endswith(_SUFFIXES) or Path(text).is_dir()


def scan_names(source: Source) -> dict[str, str]:
    """Numbers of the scans that the images are of, and their commands.

    Raises
    ------
    InputError
        If there are no such images, or they cannot be read.
    """
    return {name: _title(images[0]) for name, images in _scans(source).items()}


def read_edf_scan(
    source: Source,
    entry: str | None = None,
    motors: tuple[str, ...] = (),
    monitor: str | None = None,
) -> MeasuredScan:
    """Find out what a scan of EDF images is; see :func:`weakbeam.io.foreign.read_scan`.

    Raises
    ------
    InputError
        If there are no such images, scan, motor or counter, images differ in shape or type, or no
        motor moves.
    """
    scans = _scans(source)
    where = _path(source)
    if entry is not None and entry not in scans:
        raise InputError("entry", entry, f"{where} has the scans {', '.join(scans)}")
    first: InputError | None = None
    for name in [entry] if entry is not None else scans:
        try:
            return _scan(where, name, scans[name], motors, monitor)
        except InputError as error:
            first = first or error
    assert first is not None
    raise first


def read_edf_still(source: Source, entry: str) -> MeasuredScan:
    """Find the images of a scan, whether a motor moves in it or not; without positions.

    Raises
    ------
    InputError
        If there are no such images or scan, or they differ in shape or type.
    """
    scans = _scans(source)
    if entry not in scans:
        raise InputError("entry", entry, f"{_path(source)} has the scans {', '.join(scans)}")
    images = scans[entry]
    _check_alike(images)
    return _measured(_path(source), entry, images, {}, [])


def read_image(
    place: ImagePlace, shape: tuple[int, int], rows: slice = slice(None)
) -> NDArray[Any]:
    """Pixels of one image of this shape, or of some of its rows.

    Raises
    ------
    RunError
        If the file cannot be read, or ends before its pixels do.
    """
    first, end, _ = rows.indices(shape[0])
    row = shape[1] * place.dtype.itemsize
    wanted = (end - first) * row
    try:
        with _opened(place.path) as file:
            file.seek(place.offset + first * row)
            raw = file.read(wanted)
    except (OSError, EOFError) as error:
        raise RunError(f"{place.path} cannot be read ({error})") from None
    if len(raw) < wanted:
        raise RunError(f"{place.path} ends after {len(raw)} of {wanted} bytes of its pixels")
    return np.frombuffer(raw, place.dtype).reshape(end - first, shape[1])


def _scan(
    where: Path,
    name: str,
    images: list[EdfImage],
    motors: tuple[str, ...],
    monitor: str | None,
) -> MeasuredScan:
    _check_alike(images)
    title = _title(images[0])
    known = _columns(images, "motor")
    moving = {motor: x for motor, x in known.items() if _moves(x)}
    named = named_motors(title, known)
    wanted = motors or tuple(m for m in named if m in moving) or tuple(moving)
    for motor in wanted:
        if motor not in known:
            raise InputError("motor", motor, f"{where} has no positions of it: {', '.join(known)}")
    positions = {motor: moving[motor] for motor in wanted if motor in moving}
    if not positions:
        raise InputError("entry", name, f"{where} ({title or 'no title'}) moves no motor")
    remarks, lost = [], np.zeros(len(images), bool)
    for motor, x in positions.items():
        finite = np.isfinite(x)
        lost |= ~finite
        # The frames without a position are left out, whatever stands here.
        positions[motor] = np.where(finite, x, x[finite][0])
    if lost.any():
        numbers = tuple(int(k) for k in np.nonzero(lost)[0])
        verb, are = ("has", "it is") if len(numbers) == 1 else ("have", "they are")
        text = f"{where}::{name}: {frames_text(numbers)} {verb} no positions; {are} left out"
        remarks.append(Remark("positions", text, numbers, left_out=True))
    if not motors and named and not set(named) & set(moving):
        text = f"{where}::{name}: {', '.join(named)} of the title stands still in the headers"
        remarks.append(Remark("motor", f"{text}; {', '.join(moving)} moves"))
    promised = promised_frames(title)
    if (promised or 0) > len(images):
        text = f"{where}::{name} has {len(images)} of {promised} frames: an aborted scan"
        remarks.append(Remark("aborted", text))
    beam = None
    if monitor is not None:
        counters = _columns(images, "counter")
        if monitor not in counters:
            raise InputError("monitor", monitor, f"{where} has: {', '.join(counters)}")
        beam = counters[monitor]
    still = {m: float(x[0]) for m, x in known.items() if m not in moving and np.isfinite(x[0])}
    scan = _measured(where, name, images, positions, remarks)
    units = {motor: motor_unit_guess(motor) for motor in still}
    return replace(scan, fixed=still, fixed_units=units, monitor=beam)


def _check_alike(images: list[EdfImage]) -> None:
    first = images[0]
    for image in images:
        if (image.shape, image.dtype) != (first.shape, first.dtype):
            raise InputError("file", str(image.path), f"differs in shape or type from {first.path}")
        # Before anything of that size is asked for.
        size = image.shape[0] * image.shape[1] * image.dtype.itemsize
        there = image.path.stat().st_size - image.offset
        if there < size and not image.path.name.lower().endswith(".gz"):
            raise RunError(f"{image.path} ends after {max(there, 0)} of {size} bytes of its pixels")


def _measured(
    where: Path,
    name: str,
    images: list[EdfImage],
    positions: Mapping[str, Floats],
    remarks: list[Remark],
) -> MeasuredScan:
    first = images[0]
    return MeasuredScan(
        path=where,
        entry=name,
        title=_title(first),
        detector="EDF images",
        stack="",
        positions=positions,
        units={motor: motor_unit_guess(motor) for motor in positions},
        fixed={},
        frames=len(images),
        shape=first.shape,
        dtype=first.dtype.newbyteorder("="),
        image_axes=None,
        remarks=tuple(remarks),
        images=tuple(ImagePlace(image.path, image.offset, image.dtype) for image in images),
    )


def _columns(images: list[EdfImage], kind: str) -> dict[str, Floats]:
    """Value of each motor or counter at every image, NaN where a header does not tell it."""
    rows = [image.values(kind) for image in images]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}


def _moves(x: Floats) -> bool:
    finite = x[np.isfinite(x)]
    if len(finite) < 2:
        return False
    return bool(np.ptp(finite) > _STILL * max(float(np.abs(finite).max()), 1.0))


def _title(image: EdfImage) -> str:
    return " ".join((image.header.get("scan") or image.header.get("title") or "").split())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _scans(source: Source) -> dict[str, list[EdfImage]]:
    """Images of each scan in the order of its points."""
    found: dict[tuple[int, str], list[EdfImage]] = {}
    for path in _files(source):
        try:
            with _opened(path) as file:
                for image in _images(file, path):
                    number = image.header.get("scan_no", "1")
                    key = (int(number) if number.isdecimal() else 0, number)
                    found.setdefault(key, []).append(image)
        except (OSError, EOFError) as error:
            raise InputError("file", str(path), f"is no readable EDF file ({error})") from None
    scans = {}
    for (_, name), images in sorted(found.items()):
        points = [image.header.get("point_no", "") for image in images]
        numbers = [int(point) if point.isdecimal() else -1 for point in points]
        if len(set(numbers)) == len(images):
            order = np.argsort(numbers, kind="stable")
            images = [images[k] for k in order]
        scans[name] = images
    return scans


def _files(source: Source) -> list[Path]:
    """The files of a source, in the order of the numbers in their names."""
    if not isinstance(source, str | os.PathLike):
        return [Path(path) for path in source]
    path = Path(source)
    if path.is_dir():
        files = [file for file in path.iterdir() if file.name.lower().endswith(_SUFFIXES)]
    elif path.is_file():
        files = [path]
    else:
        files = [Path(file) for file in glob(os.fspath(source)) if Path(file).is_file()]
    if not files:
        raise InputError("file", os.fspath(source), "there is no such file, and no EDF image")
    return sorted(files, key=lambda file: [_natural(part) for part in file.parts])


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts numbers in a name by their values."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _path(source: Source) -> Path:
    """What the scan is called: file, folder or pattern; of several files their folder."""
    if isinstance(source, str | os.PathLike):
        return Path(source)
    return Path(source[0]).parent if len(source) > 1 else Path(source[0])


def _opened(path: Path) -> IO[bytes]:
    if path.name.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _images(file: IO[bytes], path: Path) -> Iterator[EdfImage]:
    """The images of a file, whose pixels are passed over."""
    offset, some = 0, False
    while (header := _header(file, offset, path)) is not None:
        text, begin = header
        fields = _fields(text)
        image = _image(path, fields, begin)
        if image is not None:
            yield image
            some = True
        size = fields.get("edf_binarysize") or fields.get("size")
        if size is None or not size.isdecimal():
            if image is None:
                return
            size = str(image.shape[0] * image.shape[1] * image.dtype.itemsize)
        offset = begin + int(size)
    if not some:
        raise InputError("file", str(path), "has no image in EDF")


def _header(file: IO[bytes], offset: int, path: Path) -> tuple[str, int] | None:
    """Text of the header at this place and where it ends; None at the end of the file."""
    file.seek(offset)
    raw = file.read(_BLOCK)
    if not raw.strip(b"\0 \r\n"):
        return None
    if not raw.lstrip().startswith(b"{"):
        if offset:
            return None
        raise InputError("file", str(path), "is no EDF file: it does not begin with {")
    while b"}" not in raw:
        more = file.read(_BLOCK)
        if not more or len(raw) > _LONGEST_HEADER:
            raise InputError("file", str(path), "has an EDF header without an end")
        raw += more
    return raw[: raw.index(b"}")].decode("latin-1"), offset + len(raw)


def _fields(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.lstrip(" \r\n\t{").split(";"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs if key.strip()}


def _image(path: Path, fields: Mapping[str, str], begin: int) -> EdfImage | None:
    """One image by its header; None of a header without pixels."""
    if "dim_1" not in fields:
        return None
    pressed = fields.get("compression", "none")
    if pressed.lower() not in ("none", ""):
        raise InputError("file", str(path), f"is compressed ({pressed}): uncompress it first")
    kind = _TYPES.get(fields.get("datatype", "").lower())
    try:
        shape = int(fields.get("dim_2", "1")), int(fields["dim_1"])
    except ValueError:
        shape = 0, 0
    if kind is None or min(shape) < 1:
        given = f"{fields.get('datatype')}, {fields.get('dim_1')} x {fields.get('dim_2')}"
        raise InputError("file", str(path), f"has pixels of an unknown kind ({given})")
    order = ">" if fields.get("byteorder", "").lower() == "highbytefirst" else "<"
    return EdfImage(path, fields, begin, shape, np.dtype(order + kind))

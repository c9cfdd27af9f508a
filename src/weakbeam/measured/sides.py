"""What is compared: images, scans and files of maps, ours or a beamline's, in one form."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.analysis.curve_alignment import Curve
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io.edf import is_edf
from weakbeam.io.foreign import Source, scan_names
from weakbeam.io.frames import read_frames_of
from weakbeam.io.images import read_images
from weakbeam.io.maps_file import is_maps, read_maps
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.places import Place, place_of
from weakbeam.measured.background import with_level
from weakbeam.measured.figures import view_of
from weakbeam.measured.labels import file_name, labels_of
from weakbeam.measured.maps import MeasuredMaps, map_scan
from weakbeam.measured.pictures import frame_labels, scan_or_image
from weakbeam.measured.stored import mapped_of
from weakbeam.measured.treatment import Treatment, scan_of_image
from weakbeam.measured.units import in_unit
from weakbeam.plot.view import View

_HDF5 = (".h5", ".hdf5", ".nxs", ".hdf")
_OF_RUNS = ("weakbeam.h5", "maps.h5", "library.h5", "training.h5")
"""Files that are meant where their folder is named."""

_ENTRY = re.compile(r"\d+(\.\d+)?")
_POWERS = ("", "", "²", "³")
_FEW_FRAMES = 16
"""With fewer frames the median of a pixel is no background."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of several things that are compared.

    Parameters
    ----------
    name : str
        What it is called after its file.
    label : str
        What figures and tables call it: its letter and what tells it from the others.
    view : View
        What the rows and columns of its images are.
    image : (rows, columns) ndarray
        Its image: a frame, or what a scan holds in all, per mrad of each angle or per unit.
    shows : str
        What that image is.
    counts : bool
        Whether it is in counts; else relative to the perfect crystal.
    mapped : MeasuredMaps, optional
        Maps of a scan.
    scan : MeasuredScan, optional
        The scan, if its frames can be read.
    experiment : mapping, optional
        The experiment, of a simulated file.
    framed : bool
        Whether the image is a frame of a scan that has maps.
    """

    name: str
    label: str
    view: View
    image: Floats
    shows: str
    counts: bool
    mapped: MeasuredMaps | None = None
    scan: MeasuredScan | None = None
    experiment: Mapping[str, Any] | None = field(default=None, repr=False)
    framed: bool = False

    @property
    def letter(self) -> str:
        """What it is called in short: A, B, C, ... in the order given."""
        return self.label.partition(":")[0]

    @property
    def motors(self) -> tuple[str, ...]:
        """Motors of the scan, the slowest first."""
        return () if self.mapped is None else tuple(self.mapped.maps.motors)

    @property
    def curves(self) -> dict[str, Curve]:
        """Mean intensity of its pixels over each motor, integrated over the others."""
        if self.mapped is None:
            return {}
        grid = self.mapped.grid
        curves = {}
        for motor, whole in self.mapped.maps.whole.items():
            others = [name for name in grid.axes if name != motor] if grid.kind != "line" else []
            step = math.prod(_step(self.mapped, name) for name in others)
            if len(whole.positions) > 1:
                used = int(np.isfinite(self.mapped.maps.intensity).sum())
                curves[motor] = Curve(whole.positions, whole.intensity * (step / used))
        return curves

    def curve_unit(self, motor: str) -> str:
        """What the intensity of the curve along a motor is."""
        assert self.mapped is not None
        grid = self.mapped.grid
        others = [name for name in grid.axes if name != motor] if grid.kind != "line" else []
        return _integrated(self.counts, [self.mapped.scan.units[name] for name in others])

    @property
    def image_unit(self) -> str:
        """What the intensity of its image is."""
        if self.mapped is None or self.framed:
            return _integrated(self.counts, [])
        axes = _steps_of(self.mapped)
        return _integrated(self.counts, [self.mapped.scan.units[name] for name in axes])

    def frame_near(self, place: Mapping[str, float]) -> int:
        """Number of the frame whose motors stand nearest to a place, in steps of the scan.

        Raises
        ------
        InputError
            If it is no scan whose frames can be read.
        """
        scan = self.scan
        if scan is None or not scan.positions:
            raise InputError("frame", None, f"{self.name} has no frames of a scan")
        far = np.zeros(scan.frames)
        for motor, target in place.items():
            if motor in scan.positions:
                x = scan.positions[motor]
                levels = np.unique(np.round(x, 9))
                step = float(np.median(np.diff(levels))) if len(levels) > 1 else 1.0
                far += ((x - target) / step) ** 2
        return int(np.argmin(np.where(scan.valid, far, np.inf)))

    def with_frame(self, number: int) -> Side:
        """The same with one frame of the scan as its image, above the background."""
        if self.scan is None:
            raise InputError("frame", number, f"{self.name} has no frames")
        (frame,) = read_frames_of(self.scan, np.array([number], dtype=np.int64))
        level: Floats | float | None = self.scan.level
        if self.mapped is not None:
            level = self.mapped.maps.background
        image = np.where(
            self.scan.used,
            np.asarray(frame, dtype=np.float64) - (0.0 if level is None else level),
            np.nan,
        )
        return replace(self, image=image, shows=frame_labels(self.scan)[number], mapped=None)


def read_sides(
    sources: Sequence[str | os.PathLike[str]],
    treatment: Treatment | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Side]:
    """Read what is to be compared.

    Parameters
    ----------
    sources : sequence of str or path
        Each a file, ``FILE::ENTRY`` or ``FILE#FRAME``: of HDF5 with scans of a beamline or of ours,
        a folder of a run, a file of maps, EDF images (a file, a folder, a pattern), or an image
        (npy, TIFF, ...). Without an entry the first scan is read.
    treatment : Treatment, optional
        How scans are mapped.
    progress : callable, optional
        Told which share of the work is newly done.

    Returns
    -------
    list of Side

    Raises
    ------
    InputError
        If one of them cannot be read, or is no image, scan or file of maps.
    RunError
        If frames are missing or hold no light.
    """
    treatment = treatment or Treatment()
    named = [place_of(source) for source in sources]
    places = [replace(place, path=named_file(place.path)) for place in named]
    paths = [place.path.resolve() for place in places]
    several = [
        paths.count(path) > 1 or place.entry is not None
        for path, place in zip(paths, places, strict=True)
    ]

    def told(share: float) -> None:
        if progress is not None:
            progress(share / len(places))

    sides: list[Side] = []
    cameras: list[MeasuredScan | None] = []
    for place, more in zip(places, several, strict=True):
        side, camera = _read(place, more, treatment, cameras[0] if cameras else None, told)
        sides.append(side)
        cameras.append(camera)
    stated = [camera for camera in cameras if camera is not None and camera.image_axes is not None]
    if treatment.pixel_nm is not None and len(stated) == len(sides):
        raise InputError("pixel_nm", treatment.pixel_nm, "all of the files state the pixel")
    names = _unlike([side.name for side in sides], paths)
    labels = labels_of(names, [side.experiment for side in sides])
    return [
        replace(side, name=name, label=f"{_letter(number)}: {label}")
        for number, (side, name, label) in enumerate(zip(sides, names, labels, strict=True))
    ]


def _letter(number: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    more, last = divmod(number, 26)
    return (_letter(more - 1) if more else "") + chr(ord("A") + last)


def _unlike(names: list[str], paths: Sequence[Path]) -> list[str]:
    """Names that differ: with the folder, or else with a number."""
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{name}" for name, path in zip(names, paths, strict=True)]
    if len(set(names)) < len(names):
        named = enumerate(names, 1)
        names = [f"{name} ({k})" if names.count(name) > 1 else name for k, name in named]
    return names


def named_file(path: Path) -> Path:
    """The file meant by the folder of a run, of maps or of a library; any other path as it is."""
    if not path.is_dir():
        return path
    return next((path / file for file in _OF_RUNS if (path / file).is_file()), path)


def _read(
    place: Place,
    several: bool,
    treatment: Treatment,
    first: MeasuredScan | None,
    progress: Callable[[float], None],
) -> tuple[Side, MeasuredScan | None]:
    """A side, and its scan before anything was done to it."""
    path, entry, frame = place.path, place.entry, place.frame
    if not is_edf(path) and path.suffix.lower() not in _HDF5:
        return _image(place, treatment, first, progress)
    if path.suffix.lower() in _HDF5 and is_maps(path):
        if frame is not None:
            raise InputError("source", str(path), "is a file of maps; it has no frames")
        treatment.check_maps(path.name)
        found, stored = read_maps(path, _full(entry))
        progress(1.0)
        mapped = mapped_of(stored)
        mapped = replace(mapped, scan=in_unit(mapped.scan, treatment.unit))
        return _of_maps(mapped, file_name(path, found, several), None, None), None
    edf = is_edf(path)
    if not edf and (entry is not None and _ENTRY.fullmatch(entry) is None):
        return _image(place, treatment, first, progress)
    source: Source = path
    name = entry if edf else _full(entry)
    whole = scan_or_image(source, name)
    called = file_name(path, whole.entry, several or (entry is None and len(scan_names(path)) > 1))
    experiment = _experiment(whole)
    scan = treatment.of(whole, first, simulated=experiment is not None)
    if frame is not None or not scan.positions:
        side = Side(
            called,
            called,
            view_of(scan),
            np.zeros(scan.shape),
            "",
            scan.dtype.kind in "iu",
            scan=scan,
            experiment=experiment,
        )
        if frame is None and scan.frames > 1:
            allowed = f"has {scan.frames} frames and moves no motor; name one, as FILE#0"
            raise InputError("source", f"{path}::{scan.entry}", allowed)
        progress(1.0)
        if side.counts and treatment.background is not None:
            side = replace(side, scan=with_level(scan, treatment.background))
        return side.with_frame(frame or 0), whole
    counts = scan.dtype.kind in "iu"
    background = treatment.background
    if background is None:
        background = "median" if scan.frames >= _FEW_FRAMES else "minimum"
    mapped = map_scan(
        scan,
        background if counts else "none",
        treatment.threshold,
        treatment.relative,
        workers=treatment.workers,
        floor=treatment.floor,
        align=treatment.align and experiment is None,
        progress=progress,
    )
    return _of_maps(mapped, called, mapped.scan, experiment), whole


def _of_maps(
    mapped: MeasuredMaps,
    name: str,
    scan: MeasuredScan | None,
    experiment: Mapping[str, Any] | None,
) -> Side:
    steps = _steps_of(mapped)
    what = "whole scan" if steps else "all frames"
    return Side(
        name,
        name,
        view_of(mapped.scan),
        mapped.maps.intensity * math.prod(_step(mapped, motor) for motor in steps),
        what,
        mapped.scan.dtype.kind in "iu",
        mapped,
        scan,
        experiment,
    )


def _steps_of(mapped: MeasuredMaps) -> list[str]:
    """Motors whose steps make the sum of the frames an integral; none of an irregular scan."""
    axes = list(mapped.grid.axes)
    return axes[-1:] if mapped.grid.kind == "line" else axes


def _step(mapped: MeasuredMaps, motor: str) -> float:
    """Mean step of a motor as integrals count it: in mrad of angles."""
    positions = np.asarray(mapped.grid.axes[motor])
    step = float(np.ptp(positions)) / max(len(positions) - 1, 1)
    return (1e3 * math.radians(step) if mapped.scan.units[motor] == "deg" else step) or 1.0


def _integrated(counts: bool, units: Sequence[str]) -> str:
    """Name of an intensity that is integrated over motors of these units."""
    steps = ["mrad" if unit == "deg" else unit for unit in units if unit]
    powers = [f"{unit}{_POWERS[steps.count(unit)]}" for unit in dict.fromkeys(steps)]
    return " ".join([*(["counts"] if counts else []), *powers])


def _image(
    place: Place,
    treatment: Treatment,
    first: MeasuredScan | None,
    progress: Callable[[float], None],
) -> tuple[Side, MeasuredScan]:
    """An image of a file that holds nothing else."""
    stack = read_images(place)
    if len(stack) > 1:
        allowed = f"holds {len(stack)} images; name one, as FILE#0"
        raise InputError("source", place.text, allowed)
    progress(1.0)
    image = np.asarray(stack.frames[0], dtype=np.float64)
    shape: tuple[int, int] = (int(image.shape[0]), int(image.shape[1]))
    whole = scan_of_image(place.path, shape, stack.frames.dtype)
    scan = treatment.of(whole, first, simulated=True)
    if scan.roi is not None:
        image = image[scan.roi.rows, scan.roi.columns]
    level = treatment.background if scan.counts else None
    image = np.where(scan.used, image - (level if isinstance(level, float) else 0.0), np.nan)
    shows = "image" if place.frame is None else f"frame {place.frame}"
    name = place.path.name
    return Side(name, name, view_of(scan), image, shows, scan.counts), whole


def _full(entry: str | None) -> str | None:
    """``"2"`` stands for ``"2.1"``."""
    return f"{entry}.1" if entry is not None and entry.isdecimal() else entry


def _experiment(scan: MeasuredScan) -> Mapping[str, Any] | None:
    """The experiment of a simulated scan, as nested tables."""
    from weakbeam.io.reading import is_own_file, read_configuration

    if not scan.path.is_file() or scan.path.suffix.lower() not in _HDF5:
        return None
    if not is_own_file(scan.path):
        return None
    from weakbeam.experiment import Experiment

    try:
        text = read_configuration(scan.path)
        experiment = Experiment.from_toml_text(text, str(scan.path))
    except InputError:
        return None
    tables: dict[str, Any] = experiment.model_dump(exclude_none=True)
    return tables

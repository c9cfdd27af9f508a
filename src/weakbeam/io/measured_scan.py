"""A scan of a file: where its frames are, where its motors stood, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.remarks import Remark, left_out_of
from weakbeam.analysis.shifting import Coverage
from weakbeam.core.arrays import Floats
from weakbeam.core.html import lines_html, table_html
from weakbeam.io.entry import ImageAxis
from weakbeam.io.region import Region


@dataclass(frozen=True)
class ImagePlace:
    """Where the pixels of an image are.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Where they begin, in bytes.
    dtype : dtype
        Their type, with its order of bytes.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredScan:
    """A scan of a file, without its frames; :mod:`weakbeam.io.frames` reads those.

    Parameters
    ----------
    path : Path
        The file, or the folder of its images.
    entry : str
        Name of the entry, such as ``"1.1"``.
    title : str
        The scan command.
    detector : str
        Name of the detector.
    stack : str
        Path of its frames in the file; empty where they are elsewhere.
    positions : mapping of str to (frames,) ndarray
        Position of each motor that moves, in the order of the title; angles in degrees.
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
    remarks : tuple of Remark
        What is odd about the scan, and which frames are to be left out for it.
    fixed_units : mapping of str to str
        Units of the motors that stand still.
    monitor : (frames,) ndarray, optional
        Counts of a beam monitor at every frame, by which the frames are to be divided.
    images : tuple of ImagePlace
        Where each frame is, of a scan whose frames are images in files of their own.
    parts : tuple of MeasuredScan
        The scans that are put together in this one.
    along : tuple of str
        Motors that the title does not name and that moved along with those that it does.
    geometry : str
        ``"symmetric"`` or ``"oblique"`` of a simulated scan; empty of others.
    roi : Region, optional
        The part of the camera that is read, of which `shape` is the shape; all unless given.
    camera : (int, int), optional
        Rows and columns of the whole camera, where only a part is read.
    pixel_nm : (float, float), optional
        Distance of rows and of columns in the sample, where it was told and not in the file.
    masked : (rows, columns) ndarray of bool, optional
        Pixels of the part that are not to be used.
    hot : (rows, columns) ndarray of bool, optional
        Pixels of the part that are replaced by their neighbours in every frame.
    shifts : (frames, 2) ndarray, optional
        Rows and columns by which the content of each frame stands too far on, and is moved back.
    level : float or (rows, columns) ndarray, optional
        What pictures subtract from every frame; maps choose their background themselves.
    shown_unit : str
        ``"deg"``, ``"mrad"`` or ``"urad"`` in which figures show angles; one that fits if empty.
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
    remarks: tuple[Remark, ...] = ()
    fixed_units: Mapping[str, str] = field(default_factory=dict)
    monitor: Floats | None = None
    images: tuple[ImagePlace, ...] = ()
    parts: tuple[MeasuredScan, ...] = ()
    geometry: str = ""
    along: tuple[str, ...] = ()
    roi: Region | None = None
    camera: tuple[int, int] | None = None
    pixel_nm: tuple[float, float] | None = None
    masked: NDArray[np.bool_] | None = None
    hot: NDArray[np.bool_] | None = None
    shifts: Floats | None = None
    level: Floats | float | None = None
    shown_unit: str = ""

    def __repr__(self) -> str:
        rows, columns = self.shape
        moved = (f"{motor} {text}" for motor, text in self._moved().items())
        told = [f"{self.frames} frames of {rows} × {columns} pixels", *moved]
        odd = f"; {len(self.remarks)} remarks" if self.remarks else ""
        return f"<MeasuredScan {self.where}: {', '.join(told)}{odd}>"

    def _repr_html_(self) -> str:
        rows, columns = self.shape
        about = {
            "scan": f"{self.path.name}::{self.entry}",
            "command": self.title,
            "frames": f"{self.frames} of {rows} × {columns} pixels, {self.detector}",
            **self._moved(),
        }
        return f"<div>{table_html(about.items())}{self.remarks_html(self.warnings)}</div>"

    def remarks_html(self, lines: Iterable[str]) -> str:
        """Remarks on the scan as lines of a page, which need not name it each time."""
        return lines_html(line.removeprefix(f"{self.where}: ") for line in lines)

    def _moved(self) -> dict[str, str]:
        """The ends of every motor that moves."""
        return {
            motor: f"{places.min():.6g} … {places.max():.6g} {self.units.get(motor, '')}".rstrip()
            for motor, places in self.positions.items()
            if len(places)
        }

    @property
    def where(self) -> str:
        """How a message calls the scan."""
        return f"{self.path}::{self.entry}"

    @property
    def first(self) -> tuple[int, int]:
        """Numbers that the first row and column of a frame have on the camera."""
        return (0, 0) if self.roi is None else self.roi.first

    @property
    def counts(self) -> bool:
        """Whether the file holds whole numbers."""
        return self.dtype.kind in "iu"

    @property
    def frame_dtype(self) -> np.dtype[np.generic]:
        """Type of the values that are read."""
        return self.dtype if self.shifts is None else np.dtype(np.float32)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Pixels that are known in every frame: not masked, and not moved in from outside."""
        used = np.ones(self.shape, bool) if self.masked is None else ~self.masked
        if self.shifts is not None:
            used = used & ~Coverage(~used).ever_unknown(self.shifts[self.valid])
        return used

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks, a line each."""
        return tuple(remark.text for remark in self.remarks)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which frames no remark leaves out, shape (frames,)."""
        there = np.ones(self.frames, bool)
        there[left_out_of(self.remarks)] = False
        return there

    def remarked(self, *remarks: Remark) -> MeasuredScan:
        """The same scan, of which more is known."""
        return replace(self, remarks=(*self.remarks, *remarks))

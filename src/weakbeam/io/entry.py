"""What goes into an output file, as plain data: detector scans and their static description."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints

Fields: TypeAlias = Mapping[str, object]
"""Contents of one group: name -> value, (value, unit), or a further `Fields` for a subgroup.

A name that starts with ``@`` is an attribute of the group (``"@NX_class"``).
"""

MEMBER = "member"
"""Counts the images of a library, where a scan has a motor."""

_MILLIMETRES = frozenset({"diffrx", "diffry", "diffrz", "obx", "mainx", "ffz"})


class ImageAxis(NamedTuple):
    """One axis of the detector image."""

    name: str
    """Name of the dataset, for example ``"y"``."""
    values_um: Floats
    """Positions of the pixel centres in the sample, um, shape (pixels,)."""
    long_name: str
    """What a plot writes at the axis, for example ``"y (µm)"``."""


class MapAxis(NamedTuple):
    """What the values of a map are."""

    unit: str
    long_name: str


@dataclass(frozen=True, eq=False)
class Entry:
    """One detector scan, which becomes one entry ``N.1`` of the file.

    Parameters
    ----------
    title : str
        Scan command as BLISS writes it, see `scan_title`.
    moving : mapping of str to ndarray, shape (N,)
        Position of each moving motor at each frame, the slowest motor first; at most two motors.
        Angles (phi, chi, obpitch, ...) in deg, translations (diffrz, ...) in mm. Empty for a single
        image.
    fixed : mapping of str to (float or (frames,) ndarray, unit)
        Motors that stand still.
    shape : (int, int)
        Rows and columns of a frame.
    dtype : dtype
        ``float32`` or ``uint16``.
    scan_shape : tuple of int
        Number of positions of each moving motor, in the order of `moving`; ``()`` for one image.
    image_axes : (ImageAxis, ImageAxis)
        The axes along the rows index and along the columns index.
    exposure_s : float
        Exposure of one frame, s.
    maps : mapping of str to MapAxis
        The maps (rows, columns) that will be filled in once the frames are there.
    repeats : int
        Frames at each position; more than one only where no motor moves.
    places : (frames,) ndarray of int, optional
        Place of each frame on the grid of the scan; one after the other unless given.
    instrument : mapping of str to Fields
        Groups of the instrument that differ from those of the `Description`.
    sample : Fields
        Fields of the sample that differ likewise: how it is mounted.
    defects : Fields or str
        Columns of the table of defects; or the name of an earlier entry with the same table, which
        both then share.
    """

    title: str
    moving: Mapping[str, Floats]
    fixed: Mapping[str, tuple[float | Floats, str]]
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    scan_shape: tuple[int, ...]
    image_axes: tuple[ImageAxis, ImageAxis]
    exposure_s: float = 1.0
    maps: Mapping[str, MapAxis] = field(default_factory=dict)
    instrument: Mapping[str, Fields] = field(default_factory=dict)
    sample: Fields = field(default_factory=dict)
    defects: Fields | str = field(default_factory=dict)
    repeats: int = 1
    places: Ints | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.uint16)):
            raise ValueError(f"frames are float32 or uint16, not {self.dtype}")
        if len(self.moving) > 2 or len(self.moving) != len(self.scan_shape):
            raise ValueError(
                f"{len(self.moving)} moving motors with scan shape {self.scan_shape}: "
                "at most two motors, and one length for each"
            )
        if self.repeats > 1 and self.moving:
            raise ValueError("frames repeat only where no motor moves")
        for name, positions in self.moving.items():
            if np.shape(positions) != (self.frames,):
                raise ValueError(f"{name} needs one position for each of the {self.frames} frames")
        if not np.array_equal(np.sort(self.frame_places), np.arange(self.frames)):
            raise ValueError(f"places must hold each of the {self.frames} frames once")
        for axis, pixels in zip(self.image_axes, self.shape, strict=True):
            if np.shape(axis.values_um) != (pixels,):
                raise ValueError(f"image axis {axis.name} needs {pixels} values")

    @property
    def frames(self) -> int:
        """Number of frames, N."""
        return self.repeats * math.prod(self.scan_shape)

    @property
    def frame_places(self) -> Ints:
        """Place of each frame on the grid of the scan."""
        return np.arange(self.frames) if self.places is None else self.places

    @property
    def image_unit(self) -> str:
        """Unit of a pixel's value: counts, or none for the ideal camera."""
        return "counts" if self.dtype.kind == "u" else ""


@dataclass(frozen=True, eq=False)
class Description:
    """What is the same for every scan of a file.

    Parameters
    ----------
    configuration : str
        The experiment file (TOML) that gives these images again.
    digest : str
        Hash of everything that the images depend on; a run is resumed only into a file of the same
        digest.
    instrument : mapping of str to Fields
        Groups beside the motors: source, beam, monochromator, objective, goniometer, and
        ``pco_ff`` for what is known of the camera (``x_pixel_size``, ``y_pixel_size``, ...).
    sample : Fields
        Fields of the sample: ``name``, ``unit_cell_abc``, ``orientation_matrix``, ...
    simulation : Fields
        Seed, hashes of the inputs and whatever else tells how the images came about.
    """

    configuration: str
    digest: str
    instrument: Mapping[str, Fields] = field(default_factory=dict)
    sample: Fields = field(default_factory=dict)
    simulation: Fields = field(default_factory=dict)


def motor_unit(name: str) -> str:
    """Unit of a motor's position: ``"mm"`` or ``"deg"``, or none for the number of a member."""
    if name == MEMBER:
        return ""
    return "mm" if name in _MILLIMETRES else "deg"


def scan_title(moving: Sequence[tuple[str, ArrayLike]], exposure_s: float, repeats: int = 1) -> str:
    """Scan command of BLISS for a scan over a grid.

    Parameters
    ----------
    moving : sequence of (str, array_like)
        Name and list of positions (deg or mm) of each moving motor, the slowest first; at most two.
    exposure_s : float
        Exposure of one frame, s.
    repeats : int
        Number of frames if nothing moves.

    Returns
    -------
    str
        ``"fscan2d chi START STEP N phi START STEP N EXPOSURE"``,
        ``"fscan phi START STEP N EXPOSURE"`` or, if nothing moves,
        ``"loopscan N EXPOSURE"``.

    Notes
    -----
    Analysis programs take the names and the numbers of positions from the title and the positions
    themselves from the motors. For a list of irregular positions STEP is the mean step.
    """
    if len(moving) > 2:
        raise ValueError(f"{len(moving)} moving motors: a scan moves at most two")
    if not moving:
        return f"loopscan {repeats} {exposure_s:.10g}"
    words = ["fscan2d" if len(moving) == 2 else "fscan"]
    for name, positions in moving:
        values = np.atleast_1d(np.asarray(positions, dtype=float))
        step = (values[-1] - values[0]) / max(values.size - 1, 1)
        words += [name, f"{values[0]:.10g}", f"{step:.10g}", str(values.size)]
    return " ".join([*words, f"{exposure_s:.10g}"])


def beamline_positions(
    two_theta: float, object_distance_mm: float, magnification: float
) -> dict[str, tuple[float, str]]:
    """Positions of objective and camera from which a reader finds the pixel size in the sample.

    Parameters
    ----------
    two_theta : float
        Scattering angle, rad.
    object_distance_mm : float
        Distance d1 from the sample to the objective along the diffracted beam, mm.
    magnification : float
        Total magnification M = camera pixel / pixel in the sample.

    Returns
    -------
    dict of str to (float, str)
        ``obpitch`` (deg), ``obx``, ``mainx`` and ``ffz`` (mm).

    Notes
    -----
    With the camera at d1 (1 + M) from the sample,

        obx = d1 cos 2θ,  mainx = -d1 (1 + M) cos 2θ,  ffz = d1 (1 + M) sin 2θ = |mainx| tan 2θ,

    so that a reader's M = |mainx| / obx - 1 (documentation of darfix, "Pixel size") gives the pixel
    in the sample as camera pixel / M, and its 2θ = arctan(ffz / |mainx|) is obpitch. A beamline
    reaches the same M with a shorter arm and visible-light optics between scintillator and camera.
    """
    arm_mm = object_distance_mm * (1.0 + magnification)
    return {
        "obpitch": (math.degrees(two_theta), "deg"),
        "obx": (object_distance_mm * math.cos(two_theta), "mm"),
        "mainx": (-arm_mm * math.cos(two_theta), "mm"),
        "ffz": (arm_mm * math.sin(two_theta), "mm"),
    }

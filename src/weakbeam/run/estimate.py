"""What a run will take, told before it starts."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.analysis.profiles import CURVE_BYTES
from weakbeam.analysis.reduction import MAP_NAMES
from weakbeam.assemble.camera import readout_of
from weakbeam.assemble.defects import Defects
from weakbeam.assemble.instrument import profile_of
from weakbeam.assemble.rays import DEPTH_SAMPLING, slices_of
from weakbeam.assemble.resolved import Resolved, resolve
from weakbeam.assemble.setup import Setup
from weakbeam.core.memory import physical_memory
from weakbeam.core.workers import worker_count
from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.field_of import ONE_BY_ONE
from weakbeam.defects.periodic import RepeatedNetwork
from weakbeam.diffraction.turned import perfect_q
from weakbeam.errors import InputError
from weakbeam.experiment import Boundary, Experiment, Loop, Network, Polyline, Wall
from weakbeam.imaging import pixel_planning
from weakbeam.imaging.averaging import SMOOTH_NODES
from weakbeam.imaging.depth_planning import LEAST_GAIN, MOST_SAMPLES
from weakbeam.imaging.engine import BATCH_BYTES
from weakbeam.imaging.samples import STORE_BYTES

# Measured with `python -m benchmarks` on one core of a 2023 server, in nanoseconds.
_NS_PER_RAY_AND_FRAME = 0.6
_NS_PER_FACTOR = 5.0
_NS_PER_RAY_AND_FRAME_ANYWHERE = 2.5
_NS_PER_POINT_AND_LINE = 4.0
_NS_PER_POINT = 40.0

# Of many lines: those near a point are summed for it, and polynomials are made of all others, in
# boxes that are halved as long as they have fewer nodes than there are points.
_NS_PER_POINT_IN_BOXES = 140.0
_NS_PER_POINT_NEAR = 9.0
_NODES_OF_BOX, _MOST_NODES = 1200, 5.6e6
_BOXES_APART, _NEAR_POWER = 28.0, 0.85
_NS_PER_BOX_AND_LINE = 430.0
_POINTS_PER_RAY = 1.2
# Segments end, so that fewer of them are near, and their images in periodic boxes never are.
_SEGMENTS_NEAR_POWER = 0.9
_NS_PER_POINT_NEAR_SEGMENT = 17.0
_NS_PER_BOX_AND_SEGMENT = 3500.0
_ANISOTROPIC_SEGMENT = 75.0
"""How many times as long as in an isotropic crystal a segment takes."""

_NS_PER_RAY_AND_WALL, _NS_PER_RAY_AND_ANISOTROPIC_WALL = 250.0, 1300.0

_BYTES_OF_BOXES = 100e6
_BYTES_PER_LINE = 2e3
_BYTES_PER_SAMPLE = 4.0
_NS_PER_COUNT = 10.0
_NS_PER_BLURRED_PIXEL = 20.0

# Size of a compressed frame that is not black, relative to its size in memory.
_COMPRESSED = {"float32": 0.55, "uint16": 0.5}
_WRITTEN_PER_SECOND = {"gzip": 300e6, "none": 450e6, "bitshuffle-lz4": 300e6}
_STARTED_SECONDS = 1.5
_PROGRAM_BYTES = 250e6
_BYTES_PER_FRAME = 150.0
_BYTES_PER_ENTRY = 7e4
_SECONDS_PER_ENTRY = 0.03

_LIT = 1e-9
"""Share of its peak below which the perfect crystal's image is black, and compresses to nothing."""

_BLOCK_PIXELS = 128
"""Pixels that a thread works on at a time; of finely sampled ones a quarter."""

_FACTORS_AT_ONCE = 256
_POSITIONS_TRIED = 40
_SAMPLES_PER_LINE, _LONELY, _MOST_OF_CROWDS, _USUAL_ACCURACY = 8.0, 2.0, 2000.0, 0.005
_LINES_BY_DENSITY = 1000
"""Dislocations of a population whose number only drawing or reading it tells."""

MOST_ENTRIES = 10_000
"""Most detector scans in a file."""


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Parameters
    ----------
    frames : int
        Number of frames.
    rays : float
        Sampling points of one image, with those that are added near defects.
    memory : float
        Peak memory (bytes).
    disk : float
        Size of the output file (bytes).
    seconds : float
        Wall time.
    """

    frames: int
    rays: float
    memory: float
    disk: float
    seconds: float


@dataclass(frozen=True)
class FieldParts:
    """What the deformation is added up from.

    Parameters
    ----------
    lines, walls, segments : int
        How many there are; of networks that repeat only the segments of one box.
    repeated : int
        Segments in the boxes around those of networks that repeat.
    is_anisotropic : bool
        Whether they lie in an anisotropic crystal.
    """

    lines: int = 0
    walls: int = 0
    segments: int = 0
    repeated: int = 0
    is_anisotropic: bool = False

    @classmethod
    def of(cls, defects: Defects) -> FieldParts:
        """Those of defects in the sample."""
        segments = sum(len(sources.segments) for sources in defects.sources)
        fields = [own for sources in defects.sources for own in sources.fields]
        networks = [own for own in fields if isinstance(own, RepeatedNetwork)]
        boxes = sum(len(own.network.arms) for own in networks)
        media = [sources.medium for sources in defects.sources]
        media += [own.medium for own in networks]
        return cls(
            len(defects.lines),
            len(defects.walls),
            segments + boxes,
            sum(map(len, networks)) - boxes,
            any(isinstance(medium, AnisotropicMedium) for medium in media),
        )

    @classmethod
    def guessed(cls, experiment: Experiment) -> FieldParts:
        """What the tables of the defects speak of."""
        counts = dict.fromkeys(("lines", "walls", "segments"), 0)
        for table in experiment.defects:
            part = "segments" if isinstance(table, (Loop, Polyline, Network)) else "lines"
            part = "walls" if isinstance(table, (Wall, Boundary)) else part
            counts[part] += table.line_count or _LINES_BY_DENSITY
        return cls(**counts, is_anisotropic=experiment.crystal.elasticity == "anisotropic")

    @property
    def count(self) -> int:
        """All of them."""
        return self.lines + self.walls + self.segments + self.repeated


def estimate(
    experiment: Experiment | Resolved,
    workers: int | None = None,
    lit_share: float = 1.0,
    parts: FieldParts | None = None,
) -> Estimate:
    """Estimate what a run will take, without computing anything.

    Parameters
    ----------
    experiment : Experiment or Resolved
        What is to be simulated.
    workers : int, optional
        Threads; as many as there are cores unless given.
    lit_share : float
        Share of the frames that are not black, see :func:`lit_share_of`.
    parts : FieldParts, optional
        What makes the deformation, where that is known; guessed unless given.

    Returns
    -------
    Estimate
        Time and disk within a factor of two or so on a common machine.
    """
    resolved = resolve(experiment)
    experiment = resolved.experiment
    camera, scan, output = experiment.camera, experiment.scan, experiment.output
    pixels = float(camera.pixels[0]) * float(camera.pixels[1])
    parts = FieldParts.guessed(experiment) if parts is None else parts
    lines = parts.count
    rays = pixels * _samples(experiment, lines)
    reflections = [part.reflection for part in resolved.reflections]
    twins = 2 if output.perfect_crystal else 1
    copies = twins * len(reflections)
    frames = scan.frames * copies
    layers = scan.z.count
    factors = scan.phi.count * scan.arm.count + scan.chi.count
    stored = math.prod(readout_of(camera).stored_shape)
    companions = (camera.dark_frames or 0) + (camera.flat_frames or 0)
    raw = (frames + companions) * stored * frame_type(experiment).itemsize
    packed = 1.0
    if output.compression != "none":
        packed = _COMPRESSED[str(frame_type(experiment))]
        if not camera.is_counting:
            # Without noise black frames, and all of the perfect crystal, compress to nothing.
            packed *= lit_share / twins
    moving = sum(axis.moving for axis in (scan.phi, scan.chi, scan.arm, scan.z))
    entries = copies * _outer_positions(experiment)
    images = 8.0 * stored * entries * (2 + len(MAP_NAMES) * min(moving, 2))
    inner = sorted((axis.count for axis in (scan.phi, scan.chi, scan.arm)), reverse=True)[:2]
    curves = 8.0 * pixels * sum(inner)
    symmetric = all(reflection.geometry == "symmetric" for reflection in reflections)
    per_frame = _NS_PER_RAY_AND_FRAME if symmetric else _NS_PER_RAY_AND_FRAME_ANYWHERE
    nanoseconds = rays * (frames * per_frame + len(reflections) * layers * factors * _NS_PER_FACTOR)
    nanoseconds += len(reflections) * layers * _ns_of_field(parts, rays)
    if camera.is_counting:
        nanoseconds += (frames + companions) * pixels * _NS_PER_COUNT
    if camera.psf or camera.psf_px:
        nanoseconds += frames * pixels * _NS_PER_BLURRED_PIXEL
    batch = max(4.0 * pixels, min(BATCH_BYTES, 4.0 * pixels * scan.frames))
    return Estimate(
        frames=frames + companions,
        rays=rays,
        memory=_PROGRAM_BYTES
        + min(24.0 * rays, STORE_BYTES)
        + 2.0 * batch
        + (100.0 * pixels if moving else 60.0 * pixels)
        + (3.0 * curves if moving and curves <= CURVE_BYTES else 0.0)
        + _sampling_bytes(experiment, workers)
        + (_BYTES_OF_BOXES if lines > ONE_BY_ONE else 0.0)
        + lines * _BYTES_PER_LINE
        + frames * _BYTES_PER_FRAME,
        disk=raw * packed + images + entries * _BYTES_PER_ENTRY + frames * _BYTES_PER_FRAME,
        seconds=_STARTED_SECONDS
        + 1e-9 * nanoseconds / worker_count(workers)
        + entries * _SECONDS_PER_ENTRY
        + raw / _WRITTEN_PER_SECOND[output.compression],
    )


def _ns_of_field(parts: FieldParts, rays: float) -> float:
    """Time for the deformation on all rays, by what makes it."""
    slower = _ANISOTROPIC_SEGMENT if parts.is_anisotropic else 1.0
    wall = _NS_PER_RAY_AND_ANISOTROPIC_WALL if parts.is_anisotropic else _NS_PER_RAY_AND_WALL
    nanoseconds = rays * (_NS_PER_POINT + parts.walls * wall)
    if parts.lines <= ONE_BY_ONE:
        nanoseconds += rays * parts.lines * _NS_PER_POINT_AND_LINE
    else:
        nanoseconds += _ns_of_boxes(
            parts.lines, 0, rays, _NEAR_POWER, _NS_PER_BOX_AND_LINE, _NS_PER_POINT_NEAR
        )
    if parts.segments + parts.repeated <= ONE_BY_ONE:
        return nanoseconds + rays * parts.segments * _NS_PER_POINT_AND_LINE * slower
    return nanoseconds + _ns_of_boxes(
        parts.segments,
        parts.repeated,
        rays,
        _SEGMENTS_NEAR_POWER,
        _NS_PER_BOX_AND_SEGMENT * slower,
        _NS_PER_POINT_NEAR_SEGMENT * slower,
    )


def _ns_of_boxes(
    lines: int, far: int, rays: float, power: float, ns_per_box: float, ns_near: float
) -> float:
    """Time for many lines, and others that are far from all boxes but the largest."""
    sizes = [1 << k for k in range(40) if _NODES_OF_BOX << k <= min(rays, _MOST_NODES)] or [1]
    near = [lines * math.pow(1.0 + boxes / _BOXES_APART, -power) for boxes in sizes]
    before = [near[0] + far, *near[1:]]
    prepared = sum(
        boxes * count * ns_per_box for boxes, count in zip(sizes[1:], before, strict=False)
    )
    per_point = _NS_PER_POINT_IN_BOXES + ns_near * near[-1]
    return prepared + _POINTS_PER_RAY * rays * per_point


def lit_share_of(setup: Setup) -> float:
    """Share of the frames of a scan in which the perfect crystal is not black.

    Parameters
    ----------
    setup : Setup
        The assembled experiment; of long axes only some positions are tried.
    """
    tried = []
    for motor in ("phi", "chi", "two_theta"):
        positions = setup.positions[motor]
        tried.append(positions[:: max(1, len(positions) // _POSITIONS_TRIED)])
    offsets = np.stack(np.meshgrid(*tried, indexing="ij"), axis=-1).reshape(-1, 3)
    relative = setup.acceptance.relative(perfect_q(setup.geometry, offsets))
    return float(np.mean(relative > _LIT))


def _outer_positions(experiment: Experiment) -> int:
    """Positions of the motors that do not move within a detector scan."""
    scan = experiment.scan
    angles = [axis.count for axis in (scan.arm, scan.chi, scan.phi) if axis.moving]
    within = math.prod(angles[-2:]) if angles else scan.z.count
    return scan.frames // within


def _sub_pixels(experiment: Experiment) -> int:
    """Sub-pixels along each axis that are given."""
    count = experiment.camera.oversampling
    return count if isinstance(count, int) else 1


def _samples(experiment: Experiment, lines: int) -> float:
    """Samples of a pixel, near a number of lines."""
    camera, slices = experiment.camera, slices_of(experiment)
    if camera.oversampling == "auto":
        few = SMOOTH_NODES if camera.depth_samples == "auto" else slices
        # Lines of a large image are far from most of its pixels.
        near = min(1.0, 0.05 * lines * max(1.0, experiment.beam.height_fwhm_um / 0.15))
        # One line of several finds the beam within the image, and crosses others.
        finer = _SAMPLES_PER_LINE * lines**2 / (lines + _LONELY)
        finer = min(finer, _MOST_OF_CROWDS) * _USUAL_ACCURACY / camera.accuracy
        most = max(float(pixel_planning.MOST_SAMPLES), few + slices)
        return min(few + near * slices + finer, most)
    if camera.depth_samples != "auto":
        return float(slices * _sub_pixels(experiment) ** 2)
    depths = DEPTH_SAMPLING.slices(profile_of(experiment))
    finer = min(1.0 + 0.3 * lines, max(MOST_SAMPLES / depths, LEAST_GAIN))
    return depths * finer * _sub_pixels(experiment) ** 2


def _greedy_key(experiment: Experiment, is_sampling: bool) -> tuple[str, object]:
    """Key and value of what takes most of the memory."""
    camera = experiment.camera
    if not is_sampling:
        if experiment.scan.frames > math.prod(camera.pixels):
            return "scan", experiment.scan.frames
        return "camera.pixels", list(camera.pixels)
    if _sub_pixels(experiment) ** 2 > slices_of(experiment):
        return "camera.oversampling", camera.oversampling
    if camera.depth_samples != "auto":
        return "camera.depth_samples", camera.depth_samples
    return "beam.height_fwhm_um", experiment.beam.height_fwhm_um


def _sampling_bytes(experiment: Experiment, workers: int | None) -> float:
    """Memory for the sampling points, and for q and the factors of each thread's block."""
    camera, scan = experiment.camera, experiment.scan
    coarse = float(slices_of(experiment) * _sub_pixels(experiment) ** 2)
    points, most, lists = coarse, coarse, 0.0
    if camera.oversampling == "auto":
        lines = FieldParts.guessed(experiment).count
        lists = _BYTES_PER_SAMPLE * math.prod(camera.pixels) * _samples(experiment, lines)
    elif camera.depth_samples == "auto":
        refinements = DEPTH_SAMPLING.refinements
        points *= sum(4**k for k in range(refinements + 1))
        most *= 4**refinements / 4 if experiment.defects else 1
    factors = sum(
        min(count, _FACTORS_AT_ONCE) for count in (scan.phi.count * scan.arm.count, scan.chi.count)
    )
    block = most * _BLOCK_PIXELS * (24.0 + 4.0 * factors)
    return 64.0 * points + lists + worker_count(workers) * block


def check_memory(experiment: Experiment | Resolved) -> None:
    """Refuse an experiment whose frames do not all fit in memory.

    Parameters
    ----------
    experiment : Experiment or Resolved
        What is to be simulated.

    Raises
    ------
    InputError
        With what is needed and what there is.
    """
    resolved = resolve(experiment)
    experiment = resolved.experiment
    _check_entries(resolved)
    needed = estimate(resolved).memory
    pixels = math.prod(readout_of(experiment.camera).stored_shape)
    frames = experiment.scan.frames * len(resolved.reflections)
    needed += frames * pixels * frame_type(experiment).itemsize
    available = physical_memory()
    if needed > 0.9 * available:
        raise InputError(
            "scan",
            frames,
            f"so many frames need {_size(needed)} of memory and this machine has "
            f"{_size(available)}; weakbeam forward streams them to a file",
        )


def _check_entries(resolved: Resolved) -> None:
    entries = _outer_positions(resolved.experiment) * len(resolved.reflections)
    if entries > MOST_ENTRIES:
        raise InputError(
            "scan",
            resolved.experiment.scan.frames,
            f"needs {entries} scans of two motors in one file; at most {MOST_ENTRIES}",
        )


def check_resources(
    experiment: Experiment | Resolved, folder: Path, workers: int | None = None
) -> None:
    """Refuse a run that cannot fit in memory or on the disk.

    Parameters
    ----------
    experiment
        As for :func:`check_memory`.
    folder : Path
        Where the output goes; it need not exist.
    workers : int, optional
        Threads.

    Raises
    ------
    InputError
        As :func:`check_memory` does.
    """
    resolved = resolve(experiment)
    experiment = resolved.experiment
    _check_entries(resolved)
    needs = estimate(resolved, workers)
    available = physical_memory()
    if needs.memory > 0.9 * available:
        sampling = _sampling_bytes(experiment, workers)
        raise InputError(
            *_greedy_key(experiment, sampling > 0.5 * needs.memory),
            f"needs {_size(needs.memory)} of memory and this machine has {_size(available)}",
        )
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    if needs.disk > free:
        raise InputError(
            "scan",
            experiment.scan.frames,
            f"so many frames take about {_size(needs.disk)} and {folder} has {_size(free)} left",
        )


def frame_type(experiment: Experiment) -> np.dtype[Any]:
    """Type of a pixel: float32 for the ideal camera, uint16 for counts."""
    return np.dtype(np.uint16 if experiment.camera.is_counting else np.float32)


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} EB"

"""What a run will take, told before it starts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.assemble import COARSE_SLICES, SLICE_UM
from weakbeam.assemble_instrument import profile_of
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import BATCH_BYTES, STORE_BYTES
from weakbeam.workers import worker_count

# Measured with `python -m benchmarks` on one core of a 2023 server, in nanoseconds.
_NS_PER_RAY_AND_FRAME = 0.6
_NS_PER_FACTOR = 5.0
_NS_PER_POINT_AND_LINE = 10.0
_NS_PER_POINT = 40.0

_COMPRESSED = {"float32": 0.85, "uint16": 0.5}
_WRITTEN_PER_SECOND = {"gzip": 300e6, "none": 450e6, "bitshuffle-lz4": 300e6}
_STARTED_SECONDS = 1.5
_PROGRAM_BYTES = 250e6


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Parameters
    ----------
    frames : int
        Number of frames.
    rays : float
        Sampling points of one image, before refinement near defects.
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


def estimate(experiment: Experiment, workers: int | None = None) -> Estimate:
    """Estimate what a run will take, without computing anything.

    Parameters
    ----------
    experiment : Experiment
        What is to be simulated.
    workers : int, optional
        Threads; as many as there are cores unless given.

    Returns
    -------
    Estimate
        Time and disk within a factor of two or so on a common machine.
    """
    camera, scan, output = experiment.camera, experiment.scan, experiment.output
    pixels = float(camera.pixels[0]) * float(camera.pixels[1])
    depths: float
    if camera.depth_samples == "auto":
        depths = max(COARSE_SLICES, 2.0 * profile_of(experiment).half_reach / SLICE_UM)
        depths *= 1.3 if experiment.defects else 1.0
    else:
        depths = camera.depth_samples
    rays = pixels * depths * camera.oversampling**2
    twins = 2 if output.perfect_crystal else 1
    frames = scan.frames * twins
    layers = scan.z.count
    settings = scan.phi.count * scan.two_theta.count + scan.chi.count
    itemsize = frame_type(experiment).itemsize
    raw = frames * pixels * itemsize
    disk = raw * (1.0 if output.compression == "none" else _COMPRESSED[str(frame_type(experiment))])
    nanoseconds = rays * (
        frames * _NS_PER_RAY_AND_FRAME
        + layers * settings * _NS_PER_FACTOR
        + layers * (_NS_PER_POINT + len(experiment.defects) * _NS_PER_POINT_AND_LINE)
    )
    if camera.model != "ideal":
        nanoseconds += frames * pixels * 60.0
    batch = max(4.0 * pixels, min(BATCH_BYTES, 4.0 * pixels * scan.frames))
    return Estimate(
        frames=frames,
        rays=rays,
        memory=_PROGRAM_BYTES + min(24.0 * rays, STORE_BYTES) + 2.0 * batch + 60.0 * pixels,
        disk=disk + 5e5,
        seconds=_STARTED_SECONDS
        + 1e-9 * nanoseconds / worker_count(workers)
        + raw / _WRITTEN_PER_SECOND[output.compression],
    )


def check_memory(experiment: Experiment) -> None:
    """Refuse an experiment whose frames do not all fit in memory.

    Raises
    ------
    InputError
        With what is needed and what there is.
    """
    needed = estimate(experiment).memory
    pixels = float(experiment.camera.pixels[0]) * float(experiment.camera.pixels[1])
    needed += experiment.scan.frames * pixels * frame_type(experiment).itemsize
    available = physical_memory()
    if needed > 0.9 * available:
        raise InputError(
            "scan",
            experiment.scan.frames,
            f"so many frames need {_size(needed)} of memory and this machine has "
            f"{_size(available)}; weakbeam forward streams them to a file",
        )


def check_resources(experiment: Experiment, folder: Path, workers: int | None = None) -> None:
    """Refuse a run that cannot fit in memory or on the disk.

    Parameters
    ----------
    experiment : Experiment
        What is to be simulated.
    folder : Path
        Where the output goes; it need not exist.
    workers : int, optional
        Threads.

    Raises
    ------
    InputError
        With what is needed and what there is.
    """
    needs = estimate(experiment, workers)
    available = physical_memory()
    if needs.memory > 0.9 * available:
        raise InputError(
            "camera.pixels",
            list(experiment.camera.pixels),
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


def physical_memory() -> float:
    """Memory of the machine in bytes; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def frame_type(experiment: Experiment) -> np.dtype[Any]:
    """Type of a pixel: float32 for the ideal camera, uint16 for counts."""
    return np.dtype(np.float32 if experiment.camera.model == "ideal" else np.uint16)


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} EB"

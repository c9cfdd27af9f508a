"""The whole route: an experiment goes in, images come out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import Floats, Ints
from weakbeam.analysis.moments import ScanMoments
from weakbeam.assemble import Setup, assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.engine import Progress
from weakbeam.imaging.labelled import LabelledArray
from weakbeam.imaging.scan import MOTORS, DetectorScan
from weakbeam.instrument.camera import CAMERAS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXIS_UNITS = {"z": "um", "two_theta": "rad", "chi": "rad", "phi": "rad", "x": "um", "y": "um"}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished simulation.

    Parameters
    ----------
    experiment : Experiment
        What was simulated.
    images : LabelledArray
        Axes: the moving motors, the slowest first, then x (along the beam, decreasing with 2θ)
        and y. Relative intensity, or counts of a camera model.
    """

    experiment: Experiment
    images: LabelledArray

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the run's folder: HDF5 file, experiment and figures.

        Parameters
        ----------
        path : path-like
            The folder.
        overwrite : bool
            Replace a run that is there.

        Raises
        ------
        InputError
            If the folder holds a run already or cannot be written.
        """
        from weakbeam.record import record

        record(self.experiment, path, overwrite=overwrite, images=self.images.values)

    def plot(self) -> dict[str, Figure]:
        """Draw the figures of the run: name -> matplotlib Figure."""
        from weakbeam.figures import draw_run

        return draw_run(self)


@dataclass(frozen=True, eq=False)
class Maps:
    """Centre-of-mass maps: (rows, columns) in rad (µm for z), NaN where dark; None: not scanned."""

    phi: Floats | None = None
    chi: Floats | None = None
    two_theta: Floats | None = None
    z: Floats | None = None


def simulate(
    experiment: Experiment, workers: int | None = None, progress: Progress | None = None
) -> Run:
    """Simulate all frames of an experiment in memory.

    Parameters
    ----------
    experiment : Experiment
        What to simulate.
    workers : int, optional
        Threads; as many as there are cores unless given. The result does not depend on it.
    progress : callable, optional
        Told how many frames are newly done.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If the experiment contradicts physics, or its frames do not fit in memory:
        ``weakbeam forward`` streams them to a file instead.

    Examples
    --------
    >>> import weakbeam as wb
    >>> run = wb.simulate(wb.Experiment().with_settings(["camera.pixels=[40, 120]"]))
    >>> run.images.dims, run.images.shape
    (('x', 'y'), (40, 120))
    """
    setup = assemble(experiment)
    moving = [motor for motor in MOTORS if len(setup.positions[motor]) > 1]
    shape = [len(setup.positions[motor]) for motor in moving]
    pixels = experiment.camera.pixels
    dtype = frame_type(experiment)
    _check_memory(int(np.prod([*shape, *pixels], dtype=object)) * dtype.itemsize)
    images = np.empty((int(np.prod(shape)), *pixels), dtype)
    start = 0
    for index, scan in enumerate(setup.scans):
        for numbers, frames in stack(setup, scan, index, workers, progress):
            images[start + numbers] = frames
        start += scan.frames
    coords = {motor: setup.positions[motor] for motor in moving}
    coords["x"], coords["y"] = setup.grids[0].row_positions, setup.grids[0].column_positions
    labelled = LabelledArray(images.reshape(*shape, *pixels), tuple(coords), coords, AXIS_UNITS)
    return Run(experiment, labelled)


def stack(
    setup: Setup,
    scan: DetectorScan,
    index: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    missing: NDArray[np.bool_] | None = None,
    perfect: bool = False,
) -> Iterator[tuple[Ints, NDArray[Any]]]:
    """Frames of one detector scan, batch by batch, as the camera records them.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    scan : DetectorScan
        One of its scans.
    index : int
        The scan's number in the file, which tells its camera noise from that of other scans.
    workers, progress
        As for :func:`simulate`.
    missing : (frames,) ndarray of bool, optional
        Only batches that hold such frames are computed, and only these frames come.
    perfect : bool
        Leave the defects out.

    Yields
    ------
    numbers : (n,) ndarray of int
        Numbers of the frames in the scan.
    frames : (n, rows, columns) ndarray
        The frames; the memory is used again for the next batch.
    """
    camera = setup.experiment.camera
    wanted = np.ones(scan.frames, np.bool_) if missing is None else missing
    for layer in scan.layers(setup.geometry):
        if not wanted[layer.frames].any():
            continue
        engine = setup.engine(layer.z, workers, perfect)
        batches = engine.batches(
            layer.rock_shifts,
            layer.roll_shifts,
            lambda i, j, frames=layer.frames: bool(wanted[frames[j, i]].any()),
            progress,
        )
        for i, j, batch in batches:
            numbers = layer.frames[j, i].ravel()
            frames = batch.reshape(-1, *engine.shape)
            chosen = wanted[numbers]
            if not chosen.all():
                numbers, frames = numbers[chosen], frames[chosen]
            if camera.model == "ideal":
                yield numbers, frames
                continue
            streams = [(index, int(number)) for number in numbers]
            signal = frames * np.float32(camera.counts_per_s * camera.exposure_s)
            yield (
                numbers,
                CAMERAS[camera.model].counts(
                    signal, camera.exposure_s, camera.seed, streams, workers
                ),
            )


def frame_type(experiment: Experiment) -> np.dtype[Any]:
    """Type of a pixel: float32 for the ideal camera, uint16 for counts."""
    return np.dtype(np.float32 if experiment.camera.model == "ideal" else np.uint16)


def center_of_mass(run: Run) -> Maps:
    """Centre of mass of every pixel over each motor of a run.

    Parameters
    ----------
    run : Run
        With at least one moving motor.

    Returns
    -------
    Maps
        In rad (µm for z); NaN where the pixel is dark.

    Raises
    ------
    InputError
        If nothing moved.
    """
    images = run.images
    motors = [dim for dim in images.dims if dim not in ("x", "y")]
    if not motors:
        raise InputError("scan", None, "nothing moves; a centre of mass needs a scan")
    moments = ScanMoments(run.experiment.camera.pixels, dict.fromkeys(motors, 0.0))
    level = dark_level(run.experiment)
    for index in np.ndindex(*images.shape[:-2]):
        at = {motor: float(images.coords[motor][k]) for motor, k in zip(motors, index, strict=True)}
        moments.add(images.values[index] - level, at)
    return Maps(**{motor: moments.center_of_mass(motor) for motor in motors})


def dark_level(experiment: Experiment) -> float:
    """Counts of a pixel without light; 0 for the ideal camera."""
    camera = experiment.camera
    if camera.model == "ideal":
        return 0.0
    return CAMERAS[camera.model].dark_level(camera.exposure_s)


def q_field(experiment: Experiment, workers: int | None = None) -> LabelledArray:
    """Projection of the deformation on the imaging axes, averaged over each pixel's ray.

    Parameters
    ----------
    experiment : Experiment
        The scan is ignored but for a fixed height z of the sample.
    workers : int, optional
        Threads.

    Returns
    -------
    LabelledArray
        Axes ``component`` (0: q_rock', 1: q_roll, 2: q_2θ), x and y; dimensionless; NaN where
        nothing diffracts.
    """
    setup = assemble(experiment)
    q, _ = setup.engine(float(setup.positions["z"][0]), workers).mean_q()
    grid = setup.grids[0]
    coords = {"component": np.arange(3), "x": grid.row_positions, "y": grid.column_positions}
    return LabelledArray(q, tuple(coords), coords, {"x": "um", "y": "um", "values": ""})


def perfect_intensity(setup: Setup, settings: Floats) -> Floats:
    """Intensity of the perfect crystal relative to its peak.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    settings : (n, 3) ndarray
        φ, χ, 2θ offsets (rad).

    Returns
    -------
    (n,) ndarray
    """
    q = np.asarray(settings) @ setup.geometry.motor_vectors
    return np.asarray(setup.acceptance.density(q) / setup.acceptance.peak)


def _check_memory(size: int) -> None:
    try:
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    if size > 0.8 * available:
        raise InputError(
            "scan",
            None,
            f"the frames take {size / 1e9:.3g} GB and this machine has {available / 1e9:.3g} GB of "
            "memory; weakbeam forward streams them to a file",
        )

"""The whole route: an experiment goes in, images come out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import DARK, DARK_COUNTS, ScanMoments
from weakbeam.analysis.step_weights import step_weights
from weakbeam.assemble import Resolved, Setup, assemble_all, resolve
from weakbeam.assemble.camera import sharp_detector_of
from weakbeam.assemble.given import FieldAxes, GivenField, with_field
from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import MOTORS
from weakbeam.imaging.scan import SCAN_ORDER
from weakbeam.run.acquisition import Acquisition, acquisitions_of
from weakbeam.run.engines import Engines
from weakbeam.run.estimate import check_memory, frame_type
from weakbeam.run.figures import draw, figure_prefix, reflection_heading
from weakbeam.run.frames import camera_frames
from weakbeam.run.labelled import LabelledArray
from weakbeam.run.map_axes import image_axes
from weakbeam.run.pictures import Figures
from weakbeam.run.scan_data import ScanData, frame_to_show
from weakbeam.run.scan_weights import scan_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RELATIVE = "intensity / perfect crystal at peak"

AXIS_UNITS = {name: MOTORS[name].unit for name in SCAN_ORDER} | {"x": "um", "y": "um"}


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """A finished simulation.

    Parameters
    ----------
    experiment : Experiment
        What was simulated.
    images : LabelledArray
        Axes: the moving motors, the slowest first, then x (along the beam, decreasing with 2θ)
        and y, or y and x if the camera turns the image by a quarter of a circle. Relative
        intensity, or counts of a camera model. Of several reflections a further axis
        ``reflection`` comes first, in the order of the experiment, and the last two are ``row``
        and ``column`` of the camera, which sees other places of the sample in each.
    field, field_axes
        As they were given to :func:`simulate`.
    """

    experiment: Experiment
    images: LabelledArray
    field: GivenField | None = field(default=None, repr=False)
    field_axes: FieldAxes = "sample"

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
        from weakbeam.run.record import record

        record(
            self.experiment,
            path,
            overwrite=overwrite,
            images=self.images.values,
            field=self.field,
            field_axes=self.field_axes,
        )

    def plot(self) -> Figures:
        """Draw the figures of the run: name -> matplotlib Figure; a notebook shows them."""
        return Figures(draw_run(self))

    def to_xarray(self) -> Any:
        """The images as an `xarray.DataArray`; see :meth:`LabelledArray.to_xarray`."""
        return self.images.to_xarray()

    def to_dataset(self) -> Any:
        """The images as an `xarray.Dataset`, with the experiment as attribute ``experiment``."""
        return self.images.to_dataset().assign_attrs(experiment=self.experiment.to_toml())

    def __repr__(self) -> str:
        return f"<Run of {self.experiment!r}: {self.images!r}>"

    def _repr_html_(self) -> str:
        return f"{self.images._repr_html_()}{self.experiment._repr_html_()}"


@dataclass(frozen=True, eq=False, repr=False)
class Maps:
    """Centre-of-mass maps: (rows, columns) in rad (µm for z), NaN where dark; None: not scanned.

    Of several reflections their number comes first.
    """

    phi: Floats | None = None
    chi: Floats | None = None
    two_theta: Floats | None = None
    z: Floats | None = None

    def plot(self) -> Figures:
        """Draw the maps, each by the name of its motor, in mrad or µm."""
        return Figures({motor: self._labelled(motor).plot() for motor in self._scanned})

    @property
    def _scanned(self) -> tuple[str, ...]:
        return tuple(motor for motor in SCAN_ORDER if getattr(self, motor) is not None)

    def _labelled(self, motor: str) -> LabelledArray:
        about = MOTORS[motor]
        values = about.shown(getattr(self, motor))
        dims = ("reflection", "row", "column")[-values.ndim :]
        coords = {dim: np.arange(count) for dim, count in zip(dims, values.shape, strict=True)}
        name = {"values": f"centre of mass of {about.symbol}"}
        return LabelledArray(values, dims, coords, {"values": about.shown_unit}, name)

    def __repr__(self) -> str:
        shown = (f"{motor} {self._labelled(motor).span}" for motor in self._scanned)
        return f"<Maps {'; '.join(shown) or 'of nothing'}>"

    def _repr_html_(self) -> str:
        return self.plot()._repr_html_() or repr(self)


def simulate(
    experiment: Experiment | Resolved,
    workers: int | None = None,
    progress: Progress | bool | None = None,
    *,
    field: GivenField | None = None,
    field_axes: FieldAxes = "sample",
) -> Run:
    """Simulate all frames of an experiment in memory.

    Parameters
    ----------
    experiment : Experiment or Resolved
        What to simulate.
    workers : int, optional
        Threads; as many as there are cores unless given. The result does not depend on it.
    progress : callable or bool, optional
        Called with the number of frames newly done, a float: batches count as they go on. True
        shows a bar.
    field : object with add_to, or callable, optional
        A deformation that is added to that of the defects: ``add_to(gradient, points)`` adds β to
        (9, n) gradients at (3, n) points, in µm, in place; or a function gives β (n, 3, 3) at
        points (n, 3). NaN where nothing diffracts.
    field_axes : {"sample", "crystal"}
        Axes of its points and components: of the sample, at the first reflection, or of the
        crystal, Cartesian: x along a, z along c*.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If the experiment contradicts physics, the field is none, or frames do not fit in memory:
        ``weakbeam forward`` streams them to a file instead.

    Examples
    --------
    >>> import weakbeam as wb
    >>> run = wb.simulate(wb.Experiment().with_settings(["camera.pixels=[40, 120]"]))
    >>> run.images.dims, run.images.shape
    (('x', 'y'), (40, 120))

    A lattice that turns about y along x, in an otherwise perfect crystal:

    >>> def bent(points):
    ...     beta = np.zeros((len(points), 3, 3))
    ...     beta[:, 0, 2] = 1e-5 * points[:, 0]
    ...     beta[:, 2, 0] = -beta[:, 0, 2]
    ...     return beta
    >>> perfect = wb.Experiment(defects=())
    >>> run = wb.simulate(perfect, field=bent)
    """
    resolved = resolve(experiment)
    experiment = resolved.experiment
    check_memory(resolved)
    setups = with_field(assemble_all(resolved), field, field_axes)
    positions = setups[0].positions
    moving = [motor for motor in SCAN_ORDER if len(positions[motor]) > 1]
    shape = [len(positions[motor]) for motor in moving]
    pixels = setups[0].detector.shape
    images = np.empty((len(setups) * math.prod(shape), *pixels), frame_type(experiment))
    start, engines = 0, Engines(workers)
    tell = teller(progress, len(images), "frames")
    for index, acquisition in enumerate(acquisitions_of(setups)):
        engine_at, places = engines.of(acquisition.setup), acquisition.scan.places
        for numbers, frames in camera_frames(acquisition, engine_at, index, workers, tell):
            images[start + places[numbers]] = frames
        start += acquisition.scan.frames
    coords = _image_coords(setups, {motor: positions[motor] for motor in moving})
    counting = experiment.camera.is_counting
    labelled = LabelledArray(
        images.reshape([len(axis) for axis in coords.values()]),
        tuple(coords),
        coords,
        AXIS_UNITS | ({"values": "counts"} if counting else {}),
        _long_names(setups) | {"values": "intensity" if counting else _RELATIVE},
    )
    return Run(experiment, labelled, field, field_axes)


def _image_coords(
    setups: Sequence[Setup], inner: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Axes of images of one reflection, or of several, with `inner` axes before the pixels."""
    if len(setups) == 1:
        return {**inner, **{axis.name: axis.values_um for axis in image_axes(setups[0])}}
    rows, columns = setups[0].detector.shape
    numbers = np.arange(len(setups))
    return {
        "reflection": numbers,
        **inner,
        "row": np.arange(rows),
        "column": np.arange(columns),
    }


def _long_names(setups: Sequence[Setup]) -> dict[str, str]:
    """What the axes of images of one reflection are."""
    if len(setups) > 1:
        return {}
    return {axis.name: axis.long_name for axis in image_axes(setups[0])}


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
    motors = [dim for dim in images.dims[:-2] if dim != "reflection"]
    if not motors:
        raise InputError("scan", None, "nothing moves; a centre of mass needs a scan")
    if "reflection" in images.dims:
        parts = [
            center_of_mass(Run(run.experiment, images.nearest(reflection=number)))
            for number in range(images.shape[0])
        ]
        return Maps(
            **{motor: np.stack([getattr(maps, motor) for maps in parts]) for motor in motors}
        )
    level = sharp_detector_of(run.experiment.camera).dark
    moments = ScanMoments(level.shape, dict.fromkeys(motors, 0.0))
    steps = {motor: step_weights(images.coords[motor]) for motor in motors}
    by_motor = {motor: weights / weights.max() for motor, weights in steps.items()}
    for index in np.ndindex(*images.shape[:-2]):
        at = {motor: float(images.coords[motor][k]) for motor, k in zip(motors, index, strict=True)}
        weight = math.prod(
            float(by_motor[motor][k]) for motor, k in zip(motors, index, strict=True)
        )
        moments.add(images.values[index] - level, at, weight)
    dark = DARK_COUNTS if run.experiment.camera.is_counting else DARK
    return Maps(**{motor: moments.center_of_mass(motor, dark) for motor in motors})


def q_field(
    experiment: Experiment,
    workers: int | None = None,
    *,
    field: GivenField | None = None,
    field_axes: FieldAxes = "sample",
) -> LabelledArray:
    """Projection of the deformation on the imaging axes, averaged over each pixel's ray.

    Parameters
    ----------
    experiment : Experiment
        The scan is ignored but for a fixed height z of the sample.
    workers : int, optional
        Threads.
    field, field_axes
        As for :func:`simulate`.

    Returns
    -------
    LabelledArray
        Axes ``component`` (0: q_rock', 1: q_roll, 2: q_2θ), x and y; dimensionless; NaN where
        nothing diffracts. Of several reflections ``reflection`` comes first, as in :class:`Run`.
    """
    setups = with_field(assemble_all(experiment), field, field_axes)
    z = float(setups[0].positions["z"][0])
    q = np.stack(
        [setup.detector.readout.mean(setup.engine(z, workers).mean_q()[0]) for setup in setups]
    )
    coords = _image_coords(setups, {"component": np.arange(3)})
    values = q if len(setups) > 1 else q[0]
    names = _long_names(setups) | {"values": "deformation q"}
    return LabelledArray(values, tuple(coords), coords, {"x": "um", "y": "um", "values": ""}, names)


def draw_run(run: Run) -> dict[str, Figure]:
    """Draw the figures of a run in memory; of several scans of a reflection, the first one's."""
    setups = with_field(assemble_all(run.experiment), run.field, run.field_axes)
    images = run.images.values.reshape(len(setups), -1, *run.images.shape[-2:])
    if len(setups) == 1:
        return _draw_reflection(run.experiment, setups[0], images[0])
    return {
        f"{figure_prefix(number, len(setups), setup)}{name}": figure
        for number, setup in enumerate(setups)
        for name, figure in _draw_reflection(run.experiment, setup, images[number]).items()
    }


def _draw_reflection(
    experiment: Experiment, setup: Setup, images: NDArray[Any]
) -> dict[str, Figure]:
    """Draw the figures of one reflection of a run, whose frames are `images`."""
    acquisition = Acquisition(setup, setup.scans[0])
    scan = acquisition.scan
    frames = images[: scan.frames]
    moments = ScanMoments(setup.detector.shape, dict.fromkeys(scan.moving, 0.0))
    positions = {motor: scan.motor_positions(motor) for motor in scan.moving}
    level, weights = setup.detector.dark, scan_weights(scan)
    for k, frame in enumerate(frames):
        at = {motor: float(x[k]) for motor, x in positions.items()}
        moments.add(frame - level, at, float(weights[k]))
    centers = {motor: moments.center_of_mass(motor) for motor in acquisition.moving_angles}
    number = frame_to_show(acquisition)
    engine = setup.engine(acquisition.first_height)
    data = ScanData(
        number=number,
        frame=frames[number],
        intensity=np.asarray(frames.mean(axis=(1, 2), dtype=np.float64)),
        centers=centers,
        mean_q=setup.detector.readout.mean(engine.mean_q()[0]) if centers else None,
    )
    return draw(acquisition, data, reflection_heading(experiment, setup))

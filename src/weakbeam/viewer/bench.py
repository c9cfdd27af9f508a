"""An experiment set up and ready: its images at any setting of the motors, curves and maps.

What follows from the experiment alone, geometry, acceptance and q of every ray, is kept; a motor
that turns only moves where the acceptance is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import ScanMoments
from weakbeam.assemble import Setup, assemble_all, resolve
from weakbeam.assemble.instrument import back_focal_scale
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.turned import perfect_q
from weakbeam.errors import InputError
from weakbeam.experiment import AngleAxis, Experiment, HeightAxis, Scan
from weakbeam.imaging.motors import ANGLES, MOTORS, SCANNED
from weakbeam.imaging.scan import DetectorScan, detector_scans
from weakbeam.instrument.passage import Passage, Window
from weakbeam.plot.view import View
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.engines import Engines
from weakbeam.run.estimate import FieldParts, check_memory, estimate
from weakbeam.run.figures import image_view
from weakbeam.run.frames import camera_frames, perfect_intensity
from weakbeam.run.scan_weights import scan_weights
from weakbeam.run.view import View as SampleView
from weakbeam.run.view import view_of

MOST_PIXELS = 2**22
"""Most pixels of an image that follows a slider."""

MOST_SECONDS = 30.0
"""Longest time that an image may take, by its estimate."""

MOST_RAYS = 10**8
"""Most rays that are traced, and voxels that they are counted in."""

MOST_STACK_BYTES = 256 * 2**20
"""Largest scan that is kept for the curves of its pixels."""

_REACH = 4.5
"""Half width of the curves of the perfect crystal, in standard deviations."""

_PLANE_POINTS = 121

AT_REST: Mapping[str, float] = dict.fromkeys(SCANNED, 0.0)
"""All motors at the Bragg setting."""


@dataclass(frozen=True)
class CurveRange:
    """A scan over one motor about its zero.

    Parameters
    ----------
    motor : str
        Which one.
    half_range : float
        In the shown unit of the motor.
    steps : int
        Number of positions.
    """

    motor: str
    half_range: float
    steps: int

    @property
    def axis(self) -> AngleAxis | HeightAxis:
        """The axis of a description that visits the positions."""
        if self.motor == "z":
            return HeightAxis(half_range_um=self.half_range, steps=self.steps)
        return AngleAxis(half_range_mrad=self.half_range, steps=self.steps)


def still(experiment: Experiment, motors: Mapping[str, float]) -> Experiment:
    """The experiment with its motors standing where they are, mrad and µm."""
    return experiment.model_copy(update={"scan": _scan(motors)})


def over(experiment: Experiment, motors: Mapping[str, float], curve: CurveRange) -> Experiment:
    """The experiment as a scan over one motor, with the others where they stand."""
    return experiment.model_copy(
        update={"scan": _scan(motors).model_copy(update={curve.motor: curve.axis})}
    )


def _scan(motors: Mapping[str, float]) -> Scan:
    axes: dict[str, AngleAxis | HeightAxis] = {
        motor: AngleAxis(value_mrad=motors[motor]) for motor in ANGLES
    }
    return Scan.model_validate({**axes, "z": HeightAxis(value_um=motors["z"])})


class Bench:
    """An experiment that is set up.

    Parameters
    ----------
    experiment : Experiment
        Crystal, defects, instrument and reflections; its scan does not matter.
    workers : int, optional
        Threads; as many as there are cores unless given.
    earlier : Bench, optional
        One whose traced acceptance serves again where it is the same.

    Raises
    ------
    InputError
        If the experiment contradicts physics, or its images would take too long to follow.
    """

    def __init__(
        self, experiment: Experiment, workers: int | None = None, earlier: Bench | None = None
    ) -> None:
        self._made_of = experiment
        self.experiment = still(experiment, AT_REST)
        self._workers = workers
        self._engines = Engines(workers)
        self._stack: tuple[object, NDArray[Any], Acquisition] | None = None
        resolved = resolve(self.experiment)
        camera = self.experiment.camera
        pixels = math.prod(camera.pixels)
        if isinstance(camera.oversampling, int):
            pixels *= camera.oversampling**2
        if pixels > MOST_PIXELS:
            raise InputError(
                "camera.pixels",
                list(camera.pixels),
                f"too many to follow: at most {MOST_PIXELS} with those of oversampling",
            )
        table = self.experiment.acceptance
        if table.method == "ray-trace":
            for key, value in (("rays", table.rays), ("bins", math.prod(table.bins))):
                if value > MOST_RAYS:
                    raise InputError(f"acceptance.{key}", None, f"at most {MOST_RAYS} to follow")
        self._refuse_slow(FieldParts.guessed(self.experiment))
        check_memory(resolved)
        setups = assemble_all(resolved)
        self._refuse_slow(FieldParts.of(setups[0].defects))
        self.setups = tuple(self._traced(setup, earlier) for setup in setups)

    def _refuse_slow(self, parts: FieldParts) -> None:
        needed = estimate(self.experiment, self._workers, 1.0, parts)
        seconds = needed.seconds / max(1, needed.frames)
        if seconds > MOST_SECONDS:
            raise InputError(
                "defects" if parts.count > 1 else "camera.pixels",
                None,
                f"an image would take about {seconds:.0f} s, too long to follow; "
                "weakbeam forward takes it",
            )

    def _traced(self, setup: Setup, earlier: Bench | None) -> Setup:
        """The setup with its acceptance traced, or that of an earlier one that is the same."""
        if setup.tracing is None:
            return setup
        for known in () if earlier is None else earlier.setups:
            same = earlier is not None and (
                earlier.experiment.acceptance == self.experiment.acceptance
            )
            if same and known.kernel is not None and known.conditions == setup.conditions:
                return replace(setup, kernel=known.kernel, tracing=None)
        return setup.traced()

    def is_for(self, experiment: Experiment) -> bool:
        """Whether it shows an experiment: all but the scan is the same."""
        if experiment is self._made_of:
            return True
        return still(experiment, AT_REST) == self.experiment

    def check_reflection(self, number: int) -> None:
        """Refuse the number of a reflection that there is not."""
        if not 0 <= number < len(self.setups):
            raise InputError("reflection", number, f"must be from 0 to {len(self.setups) - 1}")

    def view(self, reflection: int) -> View:
        """What rows and columns of a stored image are."""
        return image_view(self.setups[reflection])

    def sample_view(self, reflection: int, motors: Mapping[str, float]) -> SampleView:
        """Where points of the crystal are seen."""
        return view_of(self.setups[reflection], self.setups[0], motors["z"])

    def value_label(self, reflection: int) -> str:
        """What the values of an image are."""
        if self.setups[reflection].detector.model is None:
            return "intensity / perfect crystal at peak"
        return "counts (ADU)"

    def image(self, reflection: int, motors: Mapping[str, float]) -> NDArray[Any]:
        """The frame that the camera stores: what ``simulate`` gives.

        Parameters
        ----------
        reflection : int
            Its number in the experiment.
        motors : mapping of str to float
            Offset of each motor, mrad and µm.

        Returns
        -------
        (rows, columns) ndarray
        """
        setup = self.setups[reflection]
        acquisition = Acquisition(setup, self._scan_of(motors))
        [(_, frames)] = camera_frames(
            acquisition, self._engines.of(setup), reflection, self._workers
        )
        return np.array(frames[0])

    def perfect(self, reflection: int, motors: Mapping[str, float]) -> float:
        """Intensity of the perfect crystal relative to its peak."""
        offsets = np.array([[MOTORS[m].inner(motors[m]) for m in ANGLES]], dtype=np.float64)
        return float(perfect_intensity(self.setups[reflection], offsets)[0])

    def stack(
        self, reflection: int, motors: Mapping[str, float], curve: CurveRange
    ) -> tuple[NDArray[Any], Acquisition]:
        """All frames of a scan over one motor; those of the last one are kept.

        Returns
        -------
        frames : (steps, rows, columns) ndarray
            As the camera stores them.
        acquisition : Acquisition
            The scan.
        """
        fixed = {m: x for m, x in motors.items() if m != curve.motor}
        wanted = (reflection, tuple(sorted(fixed.items())), curve)
        if self._stack is None or self._stack[0] != wanted:
            self._stack = None
            setup = self.setups[reflection]
            size = 4.0 * curve.steps * math.prod(setup.detector.shape)
            if size > MOST_STACK_BYTES:
                most = int(MOST_STACK_BYTES / 4.0 / math.prod(setup.detector.shape))
                raise InputError("steps", curve.steps, f"at most {most} frames of this size")
            acquisition = Acquisition(setup, self._scan_of(motors, curve))
            frames: NDArray[Any] | None = None
            for numbers, batch in camera_frames(
                acquisition, self._engines.of(setup), reflection, self._workers
            ):
                if frames is None:
                    frames = np.empty((curve.steps, *batch.shape[1:]), batch.dtype)
                frames[numbers] = batch
            assert frames is not None
            self._stack = wanted, frames, acquisition
        return self._stack[1], self._stack[2]

    def forget_stack(self) -> None:
        """Let the frames of the last scan go."""
        self._stack = None

    def _scan_of(
        self, motors: Mapping[str, float], curve: CurveRange | None = None
    ) -> DetectorScan:
        positions: dict[str, Floats] = {
            motor: np.array([MOTORS[motor].inner(value)]) for motor, value in motors.items()
        }
        if curve is not None:
            positions[curve.motor] = MOTORS[curve.motor].inner(curve.axis.positions)
        return detector_scans(positions)[0]

    def curve(
        self,
        reflection: int,
        motors: Mapping[str, float],
        curve: CurveRange,
        region: tuple[slice, slice],
    ) -> dict[str, Any]:
        """The mean of a region over a motor, beside the perfect crystal's.

        Both are relative to the perfect crystal at its peak, counts as well.
        """
        frames, acquisition = self.stack(reflection, motors, curve)
        setup, motor = self.setups[reflection], MOTORS[curve.motor]
        dark = float(setup.detector.dark[region].mean())
        mean = frames[(slice(None), *region)].mean(axis=(1, 2), dtype=np.float64)
        fine = self._perfect_curve(reflection, motors, curve)
        return {
            "motor": curve.motor,
            "label": motor.label,
            "x": motor.shown(acquisition.scan.positions[curve.motor]).tolist(),
            "y": ((mean - dark) / setup.detector.unit_signal).tolist(),
            "perfect": fine,
        }

    def _perfect_curve(
        self, reflection: int, motors: Mapping[str, float], curve: CurveRange
    ) -> dict[str, list[float]]:
        """Points of the curve of the perfect crystal; none over z, along which it is even."""
        if curve.motor == "z":
            return {"x": [], "y": []}
        shown = np.linspace(-curve.half_range, curve.half_range, 401)
        offsets = np.tile([float(MOTORS[m].inner(motors[m])) for m in ANGLES], (len(shown), 1))
        offsets[:, ANGLES.index(curve.motor)] = MOTORS[curve.motor].inner(shown)
        values = perfect_intensity(self.setups[reflection], offsets)
        return {"x": shown.tolist(), "y": np.asarray(values, dtype=float).tolist()}

    def center_of_mass(
        self, reflection: int, motors: Mapping[str, float], curve: CurveRange
    ) -> Floats:
        """Centre of mass of every pixel over the motor, in its shown unit; NaN where it is dark."""
        frames, acquisition = self.stack(reflection, motors, curve)
        detector = self.setups[reflection].detector
        moments = ScanMoments(detector.shape, {curve.motor: 0.0})
        positions = acquisition.scan.motor_positions(curve.motor)
        weights = scan_weights(acquisition.scan)
        for frame, position, weight in zip(frames, positions, weights, strict=True):
            moments.add(frame - detector.dark, {curve.motor: float(position)}, float(weight))
        return MOTORS[curve.motor].shown(moments.center_of_mass(curve.motor))

    def mean_q(self, reflection: int, motors: Mapping[str, float]) -> Floats:
        """q of every pixel, (3, rows, columns): rock', roll, 2θ; NaN where nothing diffracts."""
        setup = self.setups[reflection]
        mean, _ = self._engines.at(setup, motors["z"]).mean_q()
        return np.asarray(setup.detector.readout.mean(mean))

    @cached_property
    def widths(self) -> list[dict[str, float]]:
        """Standard deviation of the perfect crystal's curve over each angle, in mrad."""
        found = []
        for setup in self.setups:
            inverse = np.linalg.inv(setup.acceptance.covariance())
            widths = {}
            for motor, vector in zip(ANGLES, setup.geometry.motor_vectors, strict=True):
                narrow = float(vector @ inverse @ vector)
                widths[motor] = float(MOTORS[motor].shown(1.0 / math.sqrt(narrow)))
            found.append(widths)
        return found

    def acceptance_plane(
        self, reflection: int, motors: Mapping[str, float], across: str
    ) -> tuple[Floats, tuple[float, float]]:
        """Intensity of the perfect crystal over φ and another angle, the others where they stand.

        Parameters
        ----------
        reflection : int
            Its number.
        motors : mapping of str to float
            Offsets, mrad and µm.
        across : {"chi", "two_theta"}
            The other angle.

        Returns
        -------
        values : (n, n) ndarray
            Rows along φ, from its largest value down; columns along the other angle.
        reach : (float, float)
            Half widths of the plane along the other angle and along φ (mrad).
        """
        widths = self.widths[reflection]
        reach = _REACH * widths[across], _REACH * widths["phi"]
        there, phi = (np.linspace(-r, r, _PLANE_POINTS) for r in reach)
        offsets = np.empty((_PLANE_POINTS, _PLANE_POINTS, 3))
        offsets[...] = [motors[m] for m in ANGLES]
        offsets[..., ANGLES.index("phi")] = phi[::-1, None]
        offsets[..., ANGLES.index(across)] = there[None]
        setup = self.setups[reflection]
        q = perfect_q(setup.geometry, MOTORS["phi"].inner(offsets).reshape(-1, 3))
        values = setup.acceptance.relative(q).reshape(_PLANE_POINTS, _PLANE_POINTS)
        return np.asarray(values), reach

    def back_focal_plane(self, points: int = 161) -> tuple[Floats, float, float]:
        """What passes the back focal plane of the lens: its Gaussian, its aperture and the stop.

        Returns
        -------
        values : (n, n) ndarray
            Transmission; rows along δ in 2θ from the largest value down, columns along ξ, in roll.
        reach : float
            Half width of the plane (µm).
        scale : float
            µm for an angle of 1 rad.

        Raises
        ------
        InputError
            If the focal length is not known.
        """
        optics, scale = self.setups[0].optics, back_focal_scale(self.experiment)
        reach = min(1.15 * optics.aperture, 3.5 * optics.lens)
        angles = np.linspace(-reach, reach, points)
        delta, xi = np.meshgrid(angles[::-1], angles, indexing="ij")
        passed = np.zeros_like(delta)
        for passage in optics.passages:
            passed += _transmission(passage, delta, xi)
        gauss = np.exp(-0.5 * (delta**2 + xi**2) / optics.lens**2)
        return np.asarray(passed * gauss), reach * scale, scale


def _transmission(passage: Passage, delta: Floats, xi: Floats) -> Floats:
    """What one product of the transmission lets pass at lens angles."""
    inside = np.hypot(delta, xi) <= passage.radius
    product = _windows(passage.two_theta, delta) * _windows(passage.roll, xi)
    return np.asarray(passage.weight * inside * product)


def _windows(windows: tuple[Window, ...], angles: Floats) -> Floats:
    passed = np.zeros_like(angles)
    for window in windows:
        there = (angles >= window.low) & (angles < window.high)
        passed[there] += window.transmission
    return passed

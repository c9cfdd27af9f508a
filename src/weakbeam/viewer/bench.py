"""An experiment set up and ready: its images at any setting of the motors, curves and maps.

What follows from the experiment alone, geometry, acceptance and q of every ray, is kept; a motor
that turns only moves where the acceptance is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.moments import ScanMoments
from weakbeam.assemble import Setup, assemble_all, resolve
from weakbeam.assemble.defects import defects_of
from weakbeam.assemble.rays import field_of_view
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.turned import perfect_q
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.plot.view import View
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.estimate import FieldParts, check_memory, estimate
from weakbeam.run.figures import image_view
from weakbeam.run.frames import camera_frames, perfect_intensity
from weakbeam.run.scan_weights import scan_weights
from weakbeam.run.view import View as SampleView
from weakbeam.run.view import view_of
from weakbeam.viewer.sketches import moved_defect
from weakbeam.viewer.standing import AT_REST, CurveRange, scan_at, still
from weakbeam.viewer.stills import Check, Stills

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
        self.stills = tuple(Stills(setup, workers) for setup in self.setups)

    def changed(self, experiment: Experiment) -> Bench | None:
        """The same but for the place of one defect, or of the stop; None if more differs.

        As if it were set up anew, in less time.

        Raises
        ------
        InputError
            If the experiment contradicts physics.
        """
        alike, number = moved_defect(self._made_of, experiment)
        other = copy(self)
        other._made_of, other.experiment = experiment, still(experiment, AT_REST)
        other._stack = None
        setups = self.setups
        if self._made_of.objective != experiment.objective:
            if not alike or any(setup.kernel is not None for setup in setups):
                return None
            setups = tuple(setup.with_instrument(other.experiment) for setup in setups)
        if not alike:
            return None
        if number is not None:
            first = setups[0]
            view = field_of_view(experiment, first.geometry)
            mount = first.sample_from_crystal
            placed = defects_of(experiment, first.crystal, mount, view, number)
            setups = tuple(
                replace(
                    setup,
                    defects=setup.defects.with_table(
                        number, placed.turned(setup.sample_from_crystal @ mount.T)
                    ),
                )
                for setup in setups
            )
        other.setups = setups
        pairs = zip(setups, self.stills, strict=True)
        other.stills = tuple(Stills(setup, self._workers, before) for setup, before in pairs)
        return other

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

    def image(
        self, reflection: int, motors: Mapping[str, float], check: Check | None = None
    ) -> NDArray[Any]:
        """The frame that the camera stores: what ``simulate`` gives.

        Parameters
        ----------
        reflection : int
            Its number in the experiment.
        motors : mapping of str to float
            Offset of each motor, mrad and µm.
        check : callable, optional
            Raises if nobody waits for it any more.

        Returns
        -------
        (rows, columns) ndarray
        """
        stills = self.stills[reflection]
        return stills.stored(stills.intensity(scan_at(motors), check), reflection)

    def perfect(self, reflection: int, motors: Mapping[str, float]) -> float:
        """Intensity of the perfect crystal relative to its peak."""
        offsets = np.array([[MOTORS[m].inner(motors[m]) for m in ANGLES]], dtype=np.float64)
        return float(perfect_intensity(self.setups[reflection], offsets)[0])

    def stack(
        self,
        reflection: int,
        motors: Mapping[str, float],
        curve: CurveRange,
        check: Check | None = None,
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
            acquisition = Acquisition(setup, scan_at(motors, curve))
            frames: NDArray[Any] | None = None
            for numbers, batch in camera_frames(
                acquisition,
                self.stills[reflection].engine_at(acquisition.scan, check),
                reflection,
                self._workers,
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

    def curve(
        self,
        reflection: int,
        motors: Mapping[str, float],
        curve: CurveRange,
        region: tuple[slice, slice],
        check: Check | None = None,
    ) -> dict[str, Any]:
        """The mean of a region over a motor, beside the perfect crystal's.

        Both are relative to the perfect crystal at its peak, counts as well.
        """
        frames, acquisition = self.stack(reflection, motors, curve, check)
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
        self,
        reflection: int,
        motors: Mapping[str, float],
        curve: CurveRange,
        check: Check | None = None,
    ) -> Floats:
        """Centre of mass of every pixel over the motor, in its shown unit; NaN where it is dark."""
        frames, acquisition = self.stack(reflection, motors, curve, check)
        detector = self.setups[reflection].detector
        moments = ScanMoments(detector.shape, {curve.motor: 0.0})
        positions = acquisition.scan.motor_positions(curve.motor)
        weights = scan_weights(acquisition.scan)
        for frame, position, weight in zip(frames, positions, weights, strict=True):
            moments.add(frame - detector.dark, {curve.motor: float(position)}, float(weight))
        return MOTORS[curve.motor].shown(moments.center_of_mass(curve.motor))

    def mean_q(
        self, reflection: int, motors: Mapping[str, float], check: Check | None = None
    ) -> Floats:
        """q of every pixel, (3, rows, columns): rock', roll, 2θ; NaN where nothing diffracts."""
        mean = self.stills[reflection].mean_q(scan_at(motors), check)
        return np.asarray(self.setups[reflection].detector.readout.mean(mean))

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

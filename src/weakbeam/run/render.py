"""Images of dislocations, many of them one after the other, under the conditions of one experiment.

What all the images share, the geometry, the acceptance and the rays, is made once; an image then
costs little more than the field of its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import ArrayLike, Floats, Floats32, Ints
from weakbeam.core.workers import in_order, worker_count
from weakbeam.crystal.slip import burgers_vector, line_of_character
from weakbeam.defects.field import DisplacementGradientField, Superposition
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.tilt import TiltGradient
from weakbeam.experiment import Experiment
from weakbeam.imaging.contract import ImagingEngine
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.scan import Layer
from weakbeam.run.view import view_of

_NOISY_ACCURACY = 0.02
"""Accuracy of images that noise is added to, unless the experiment asks for less."""

_NOISY_TOLERANCE = 2.0
"""How many times larger steps along rays may be in images that noise is added to."""


@dataclass(frozen=True)
class Condition:
    """How one frame is taken.

    Parameters
    ----------
    reflection : int
        Number of the reflection in the experiment.
    phi, chi, two_theta : float
        Offsets of the motors (rad).
    z : float
        Height of the sample (µm).
    """

    reflection: int
    phi: float
    chi: float
    two_theta: float
    z: float


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What images show besides the dislocations and the instrument.

    Parameters
    ----------
    tilt : TiltGradient, optional
        How the lattice is bent, sample frame of the first reflection.
    light : (rows, columns) ndarray of float32, optional
        Factor on the light that falls on what each pixel of the unturned image sees.
    drift : (2,) ndarray, optional
        Way of the sample; see :meth:`Renderer.ways`.
    """

    tilt: TiltGradient | None = None
    light: Floats32 | None = None
    drift: Floats | None = None


@dataclass(frozen=True)
class _Stage:
    """Frames of one reflection at one height of the sample, about one setting of the motors."""

    engine: ImagingEngine
    layer: Layer
    setup: Setup
    reflection: int
    numbers: Ints


def _loosened(setup: Setup) -> Setup:
    """What images that noise is added to need."""
    if setup.averaging is None:
        return replace(setup, grids=setup.grids[: max(1, len(setup.grids) - 1)])
    accuracy = max(setup.averaging.accuracy, _NOISY_ACCURACY)
    return replace(setup, averaging=replace(setup.averaging, accuracy=accuracy))


class Renderer:
    """Images of straight dislocations as an experiment's instrument and scan take them.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, reflections and scan; its own defects are left out.
    workers : int, optional
        Threads of :meth:`images`; as many as there are cores unless given.
    precise : bool
        Without it images are as accurate as 0.02 of their root mean square, for less than noise
        adds, or as the experiment's ``camera.accuracy`` if that is more. Where pixels stand for
        points samples along rays are twice as far apart, and the finest are left out.

    Raises
    ------
    InputError
        If the experiment contradicts physics.
    """

    def __init__(
        self, experiment: Experiment, workers: int | None = None, precise: bool = True
    ) -> None:
        self.experiment = experiment.model_copy(update={"defects": ()})
        self._precise = precise
        setups = tuple(setup.traced() for setup in assemble_all(self.experiment))
        self.setups = self._sampled(setups)
        self._crystal = self.setups[0].crystal
        medium = self._crystal.medium
        self._media = [medium.turned(setup.sample_from_crystal) for setup in self.setups]
        self.workers = worker_count(workers)
        self._middles: dict[int, Floats] = {}
        self._arrange(None)

    def with_instrument(self, experiment: Experiment) -> Renderer:
        """Return a renderer of the same crystal and reflections seen with another instrument.

        That takes some milliseconds only.

        Parameters
        ----------
        experiment : Experiment
            Its beam, objective, camera and scan hold, in scans of as many frames; the rest must be
            that of this renderer. A table of the acceptance stays.

        Raises
        ------
        InputError
            If the instrument is impossible.
        """
        other = copy(self)
        other.experiment = experiment.model_copy(update={"defects": ()})
        other.setups = self._sampled([setup.with_instrument(experiment) for setup in self.setups])
        same = _what_rays_need(experiment) == _what_rays_need(self.experiment)
        other._arrange(self._stages if same else None)
        return other

    def _sampled(self, setups: Sequence[Setup]) -> tuple[Setup, ...]:
        """The setups, without their finest samples if images need not be precise."""
        if self._precise:
            return tuple(setups)
        return tuple(_loosened(setup) for setup in setups)

    def _arrange(self, known: Sequence[_Stage] | None) -> None:
        """List the conditions and what makes their frames; engines that are known serve again."""
        engines = {
            (stage.reflection, stage.layer.z, stage.layer.reference): stage.engine
            for stage in known or ()
        }
        conditions: list[Condition] = []
        self._stages: list[_Stage] = []
        for number, setup in enumerate(self.setups):
            for scan in setup.scans:
                at = {m: scan.motor_positions(m) for m in ("phi", "chi", "two_theta", "z")}
                for layer in scan.layers(setup.geometry):
                    tolerance = 1.0 if self._precise else _NOISY_TOLERANCE
                    at_layer = number, layer.z, layer.reference
                    engine = engines.get(at_layer) or setup.engine(
                        layer.z, 1, perfect=True, tolerance=tolerance, reference=layer.reference
                    )
                    numbers = len(conditions) + np.asarray(layer.frames)
                    self._stages.append(_Stage(engine, layer, setup, number, numbers))
                conditions += [
                    Condition(number, *(float(at[m][k]) for m in at)) for k in range(scan.frames)
                ]
        self.conditions = self._all_conditions = tuple(conditions)
        self._total, self._numbers = len(conditions), np.arange(len(conditions))

    def chosen(
        self, numbers: Sequence[int], middles_px: Mapping[int, Sequence[float]] | None = None
    ) -> Renderer:
        """Return a renderer of some of the conditions, which may look at other places.

        Parameters
        ----------
        numbers : sequence of int
            Which conditions, in the order that is wanted.
        middles_px : mapping of int to (float, float), optional
            Rows and columns from the middle of the field of view to that of the images, for any of
            the reflections. Where dislocations are does not change.
        """
        other = copy(self)
        other._numbers = self._numbers[list(numbers)]
        other.conditions = tuple(self.conditions[k] for k in numbers)
        other._stages = [s for s in self._stages if np.isin(s.numbers, other._numbers).any()]
        other._middles = {
            reflection: np.asarray(middle) @ np.stack(self.pixel_steps(reflection))
            for reflection, middle in (middles_px or {}).items()
        }
        return other

    def held(
        self,
        many: Sequence[StraightLines],
        shifts: Mapping[int, tuple[ArrayLike, ArrayLike]] | None = None,
    ) -> Renderer:
        """Return a renderer with the samples that some crystals need, for images of others.

        Its images change smoothly with dislocations that stay near to those.

        Parameters
        ----------
        many : sequence of StraightLines
            The dislocations of each.
        shifts : mapping of int to (array_like, array_like), optional
            Of :meth:`offset_images`, if the samples are to be those for these.
        """
        other = copy(self)
        other._stages = []
        for s in self._stages:
            engine = s.engine
            if shifts is not None and isinstance(engine, Engine):
                engine = engine.aimed(*self._shifts(s, shifts)[2:])
            held = engine.held([self._field(lines, s, None) for lines in many])
            other._stages.append(replace(s, engine=held))
        return other

    def _shifts(
        self, stage: _Stage, shifts: Mapping[int, tuple[ArrayLike, ArrayLike]]
    ) -> tuple[Ints, Ints, Floats, Floats]:
        """Rolls and rocks of a stage that are wanted, and their shifts with all that is added."""
        wanted = np.isin(stage.numbers, self._numbers)
        j, i = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
        rock, roll = (np.asarray(added, dtype=np.float64) for added in shifts[stage.reflection])
        rocks = (stage.layer.rock_shifts[i, None] + rock).reshape(-1, 3)
        rolls = (stage.layer.roll_shifts[j, None] + roll).reshape(-1, 3)
        return j, i, rocks, rolls

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image as the camera stores it."""
        return self.setups[0].detector.shape

    @property
    def up(self) -> Floats:
        """Unit vector across the sheet of the beam, in the sample frame."""
        return np.asarray(self.setups[0].grids[0].height_axis)

    @property
    def lit_depth(self) -> float:
        """Height (µm) about the origin that more than half of the beam's intensity reaches.

        That of the largest condition, where the sample is moved up and down.
        """
        first = self.setups[0]
        views = [view_of(first, first, z) for z in sorted({c.z for c in self.conditions})]
        return 2.0 * max(abs(end - view.lift) for view in views for end in view.lit)

    def pixel_steps(self, reflection: int = 0) -> tuple[Floats, Floats]:
        """What a shift by a pixel is in the crystal.

        Parameters
        ----------
        reflection : int
            Number of the reflection.

        Returns
        -------
        row, column : (3,) ndarray
            Displacement (µm, sample frame of that reflection) at the height of the beam's centre,
            from a pixel that the camera stores to that in the next row and column.
        """
        setup = self.setups[reflection]
        grid, readout = setup.grids[0], setup.detector.readout
        rows, columns = readout.shape
        # The crystal coordinates of every pixel, sent through the camera like an image.
        place = np.moveaxis(grid.centres(np.arange(grid.pixels)).reshape(rows, columns, 3), -1, 0)
        stored = readout.mean(place)
        return stored[:, 1, 0] - stored[:, 0, 0], stored[:, 0, 1] - stored[:, 0, 0]

    def lines_of(
        self,
        plane: Sequence[int],
        burgers: Sequence[int],
        character_deg: float,
        position_um: ArrayLike = (0.0, 0.0, 0.0),
    ) -> StraightLines:
        """One dislocation of a slip system.

        Parameters
        ----------
        plane, burgers : sequence of 3 int
            Glide plane (hkl) and direction [uvw] of the Burgers vector.
        character_deg : float
            Angle by which the line is turned about the plane normal, from a pure edge at 0 to a
            pure screw at 90 (docs/explanation/physics.md, D2).
        position_um : (3,) array_like
            A point on the line (µm, sample frame of the first reflection).

        Raises
        ------
        ValueError
            If the Burgers vector does not lie in the plane.
        """
        crystal, mount = self._crystal, self.setups[0].sample_from_crystal
        line = line_of_character(crystal.cell, burgers, plane, character_deg)
        vector = burgers_vector(crystal.cell, crystal.centring, burgers)
        return StraightLines(
            (mount @ vector)[None],
            (mount @ line)[None],
            np.asarray(position_um, dtype=np.float64)[None],
            crystal.core_radii(vector),
        )

    def image(self, lines: StraightLines, surroundings: Surroundings | None = None) -> Floats32:
        """Frames of a crystal with some dislocations.

        Parameters
        ----------
        lines : StraightLines
            In the sample frame of the first reflection; µm.
        surroundings : Surroundings, optional
            Light and lattice that are not even, and a sample that moves.

        Returns
        -------
        (conditions, rows, columns) ndarray of float32
            Intensity relative to the perfect crystal at its Bragg setting, blurred, turned, binned
            and cut by the camera but not counted.
        """
        about = surroundings or Surroundings()
        ways = None if about.drift is None else self.ways(about.drift)
        frames = np.empty((self._total, *self.shape), np.float32)
        for stage in self._stages:
            shifts = stage.layer.rock_shifts, stage.layer.roll_shifts
            if ways is None:
                engine = stage.engine.with_field(self._field(lines, stage, about.tilt))
                images = engine.images(*shifts)
            else:
                images = np.stack(
                    [
                        self._moved_frame(lines, stage, about.tilt, ways[number], place)
                        for place, number in np.ndenumerate(stage.numbers)
                    ]
                ).reshape(*stage.numbers.shape, *stage.engine.shape)
            frames[stage.numbers] = _seen(images, stage, about)
        return frames[self._numbers]

    def image_and_parts(
        self, lines: StraightLines, surroundings: Surroundings | None = None
    ) -> Floats32:
        """Frames of a crystal with some dislocations, and of crystals with each of them alone.

        Averages over pixels are taken with the samples that those of all together need, which
        saves choosing some for each.

        Parameters
        ----------
        lines, surroundings
            As of :meth:`image`.

        Returns
        -------
        (1 + dislocations, conditions, rows, columns) ndarray of float32
        """
        alone = [lines.chosen([n]) for n in range(len(lines))]
        about = surroundings or Surroundings()
        averaged = all(stage.setup.averaging is not None for stage in self._stages)
        if about.drift is not None or len(lines) == 1 or not averaged:
            whole = self.image(lines, about)
            parts = [whole] if len(lines) == 1 else [self.image(some, about) for some in alone]
            return np.stack([whole, *parts])
        frames = np.empty((1 + len(lines), self._total, *self.shape), np.float32)
        for stage in self._stages:
            shifts = stage.layer.rock_shifts, stage.layer.roll_shifts
            engine = stage.engine.held([self._field(lines, stage, about.tilt)])
            for n, some in enumerate([lines, *alone]):
                if n > 0:
                    engine = engine.with_field(self._field(some, stage, about.tilt))
                frames[n, stage.numbers] = _seen(engine.images(*shifts), stage, about)
        return frames[:, self._numbers]

    def offset_images(
        self, lines: StraightLines, shifts: Mapping[int, tuple[ArrayLike, ArrayLike]]
    ) -> Floats32:
        """Frames with the motors, or the lattice, off by several amounts at once.

        q of all rays is found once, so that a further amount costs less than another image.

        Parameters
        ----------
        lines : StraightLines
            As of :meth:`image`.
        shifts : mapping of int to (array_like, array_like)
            For each reflection what is added to q, imaging frame: (n, 3) along with φ and 2θ, and
            (m, 3) along with χ; all n by m sums. n and m are the same for all.

        Returns
        -------
        (m, n, conditions, rows, columns) ndarray of float32
        """
        some_rock, some_roll = next(iter(shifts.values()))
        size = len(np.asarray(some_roll)), len(np.asarray(some_rock))
        frames = np.zeros((*size, self._total, *self.shape), np.float32)
        for stage in self._stages:
            j, i, rocks, rolls = self._shifts(stage, shifts)
            images = stage.engine.with_field(self._field(lines, stage, None)).images(rocks, rolls)
            seen = stage.setup.detector.image(images.reshape(-1, *stage.engine.shape))
            parts = seen.reshape(len(j), size[0], len(i), size[1], *self.shape)
            frames[:, :, stage.numbers[np.ix_(j, i)]] = np.moveaxis(parts, (1, 3), (0, 1))
        return frames[:, :, self._numbers]

    def _moved_frame(
        self,
        lines: StraightLines,
        stage: _Stage,
        tilt: TiltGradient | None,
        way: Floats,
        place: tuple[int, ...],
    ) -> Floats32:
        """The frame at a place (roll, rock) of a stage, of a sample that has moved."""
        moved = replace(lines, positions=lines.positions + way)
        field = self._field(moved, stage, None if tilt is None else tilt.moved(way))
        (j, i), layer = place, stage.layer
        rock, roll = layer.rock_shifts[i : i + 1], layer.roll_shifts[j : j + 1]
        frame: Floats32 = stage.engine.with_field(field).images(rock, roll)[0, 0]
        return frame

    def ways(self, drift: ArrayLike) -> Floats:
        """How far the sample has moved under each condition.

        Parameters
        ----------
        drift : (2,) array_like
            Way along x and y of the laboratory (µm) from the first frame of each reflection, for
            which the sample is aligned anew, to its last one.

        Returns
        -------
        (conditions, 3) ndarray
            In µm, sample frame of the first reflection.
        """
        across = np.array([*np.asarray(drift, dtype=np.float64), 0.0])
        ways = np.empty((self._total, 3))
        of = np.array([condition.reflection for condition in self._all_conditions])
        for number, setup in enumerate(self.setups):
            mine = np.flatnonzero(of == number)
            share = np.linspace(0.0, 1.0, len(mine)) if len(mine) > 1 else np.zeros(1)
            way = self.turn(number).T @ setup.geometry.lab_from_sample.T @ across
            ways[mine] = share[:, None] * way
        return ways

    def images(self, many: Iterable[StraightLines]) -> Iterator[Floats32]:
        """Frames of many crystals, in their order; see :meth:`image`.

        Parameters
        ----------
        many : iterable of StraightLines
            The dislocations of each; taken a few ahead.

        Returns
        -------
        iterator of (conditions, rows, columns) ndarray of float32
        """
        return in_order(self.image, many, self.workers)

    def perfect(self) -> Floats:
        """Intensity of the perfect crystal at every condition, (conditions,)."""
        values = np.empty(self._total)
        for stage in self._stages:
            layer = stage.layer
            q = layer.roll_shifts[:, None] + layer.rock_shifts[None]
            values[stage.numbers] = stage.setup.acceptance.relative(q)
        return values[self._numbers]

    def turn(self, reflection: int) -> Floats:
        """Rotation to the sample frame of a reflection from that of the first, (3, 3)."""
        setups = self.setups
        return setups[reflection].sample_from_crystal @ setups[0].sample_from_crystal.T

    def _field(
        self, lines: StraightLines, stage: _Stage, tilt: TiltGradient | None
    ) -> DisplacementGradientField:
        """The field of lines and lattice, carried to where the images of a stage are taken."""
        if stage.reflection > 0:
            turn = self.turn(stage.reflection)
            lines, tilt = lines.turned(turn), None if tilt is None else tilt.turned(turn)
        if stage.reflection in self._middles:
            middle = self._middles[stage.reflection]
            lines = replace(lines, positions=lines.positions - middle)
            tilt = None if tilt is None else tilt.moved(-middle)
        field = field_of(lines, self._media[stage.reflection])
        return field if tilt is None else Superposition((field, tilt))


def _seen(images: Floats32, stage: _Stage, about: Surroundings) -> Floats32:
    """What the camera has of a stage's frames."""
    lit = images if about.light is None else images * about.light
    return stage.setup.detector.image(lit)


def _what_rays_need(experiment: Experiment) -> tuple[object, ...]:
    """The tables that engines are made of; what blurs the image comes after them."""
    camera = experiment.camera.replace(psf_px=None)
    averaged = camera.oversampling == "auto"
    # Samples are chosen for the settings of the motors.
    return experiment.beam, experiment.objective, camera, experiment.scan if averaged else None

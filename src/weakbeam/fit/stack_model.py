r"""The model of a measured stack: lines in a lattice that is bent, seen as a camera counts it.

A frame at motor positions x has the counts

.. math:: M = \mathrm{blur}\,[L(y) \sum w\, p(q + M^T (x + x_0) + t(x, y))] \, (1 + b_f) + B

with zero offsets :math:`x_0` of the motors, polynomials over the field for the change t of q by the
lattice, the light L along the columns and the background B, and a brightness of every frame
(docs/explanation/physics.md, C4, E1 and E9).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup
from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.loop_types import LoopType
from weakbeam.defects.segments import Segments
from weakbeam.defects.types import DislocationType
from weakbeam.diffraction.turned import AT_BRAGG, motor_shifts
from weakbeam.errors import InputError
from weakbeam.fit.fitted_defect import FittedDefect, Room
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.fitted_loop import FittedLoop
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.line_place import place_of
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_shifts import LATTICE, lattice_vectors
from weakbeam.fit.nuisance_terms import light_terms, window_terms
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.motors import ANGLES
from weakbeam.imaging.rays import RayGrid
from weakbeam.imaging.routes import Changes, Means
from weakbeam.imaging.sampling import Block
from weakbeam.imaging.tiles import size
from weakbeam.instrument.point_spread import gaussian_spread
from weakbeam.run.render import Renderer

_FARTHEST = 0.02
"""Angle (rad) from the Bragg setting up to which shifts of q are taken as those at it."""

_SHARP = 0.04
"""Variance of a blur (pixels²) below which there is none."""

_ROUGHER = 2.0
_HELD, _HELD_ANGLE = 0.25, 1e-5
"""Samples are kept up to so much of the longest steps of a line, and so far an offset (rad)."""

_ANGLE_STEP = 1e-7
_FIXED = 1e-12
"""Width of the prior (rad) of an offset that is not fitted."""


@dataclass(frozen=True, eq=False)
class State:
    """Values of all parameters.

    Parameters
    ----------
    offsets : (3,) ndarray
        Added to φ, χ and 2θ (rad).
    tilt : (3, terms) ndarray
        Terms of the lattice's rotation about x and y (rad) and of its dilatation over the field.
    blur : float
        Variance of the blur (pixels²).
    light, background : ndarray
        Terms (counts).
    brightness : (frames,) ndarray
        Relative deviation of each frame.
    lines : tuple of FittedDefect
        The dislocations: lines, loops, walls of them.
    """

    offsets: Floats
    tilt: Floats
    blur: float
    light: Floats
    background: Floats
    brightness: Floats
    lines: tuple[FittedDefect, ...] = ()


class Columns(NamedTuple):
    """Some frames of the model, and what their derivatives are made of."""

    numbers: Ints
    """(n,): which frames."""
    signal: Floats32
    """(n, rows, columns): counts without background, of frames of mean brightness."""
    plain: Floats32
    """The same for light of 1 count."""
    slopes: Floats32
    """(3 + parameters of lines, n, rows, columns): of the signal by q, then by these."""


class StackModel:
    """Frames of a stack and their derivatives.

    Parameters
    ----------
    renderer : Renderer
        Crystal and instrument; the first reflection is taken.
    positions : (frames, 3) ndarray
        Where φ, χ and 2θ stood, from the Bragg setting (rad).
    nuisances : NuisancePriors
        What else may change.
    workers : int, optional
        Threads.
    settings : sequence of (k, 3) ndarray, optional
        As :class:`weakbeam.fit.stack_data.StackData` has them.

    Raises
    ------
    InputError
        If motors stand farther from the Bragg setting than the model holds.
    """

    def __init__(
        self,
        renderer: Renderer,
        positions: Floats,
        nuisances: NuisancePriors,
        workers: int | None = None,
        settings: Sequence[Floats] | None = None,
    ) -> None:
        self.renderer, self.nuisances = renderer, nuisances
        self.setup: Setup = renderer.setups[0]
        self._steps = renderer.pixel_steps()
        self.positions = np.asarray(positions, dtype=np.float64)
        far = float(np.abs(self.positions).max())
        if far > _FARTHEST:
            raise InputError(
                "scan",
                f"{1e3 * far:.3g} mrad from the Bragg setting",
                f"must be within {1e3 * _FARTHEST:g} mrad of it: is it that of this experiment?",
            )
        engine = self.setup.engine(workers=workers, perfect=True)
        assert isinstance(engine, Engine)
        self._engine = self._chosen_anew = engine
        spread = self.setup.detector.spread
        self._given_blur = 0.0 if spread is None else _variance_of(spread.rows, spread.columns)
        self.blurs = nuisances.blur_px.free
        self._medium = self.setup.crystal.medium.turned(self.setup.sample_from_crystal)
        self.workers = workers
        self._own_terms = window_terms(engine.shape, nuisances.tilt_degree)[1:]
        degree = nuisances.illumination_degree if nuisances.illumination > 0.0 else 0
        uneven = light_terms(engine.shape, degree)
        self._own_light = np.concatenate([np.ones((1, *engine.shape)), uneven])
        readout = self.setup.detector.readout
        self.terms = readout.mean(self._own_terms)
        self.light_terms = readout.mean(self._own_light)
        self.shape = readout.stored_shape
        self.background_terms = window_terms(self.shape, nuisances.background_degree)
        self.lattice = lattice_vectors(self.setup.geometry)
        rotation, q0 = self.setup.geometry.imaging_from_sample, self.setup.geometry.q0_sample
        self.q_of_gradient = -np.einsum("im,l->ilm", rotation, q0).reshape(3, 9)
        widths = (nuisances.tilt, nuisances.tilt, nuisances.dilatation)
        self.components = tuple(k for k, width in enumerate(widths) if width > 0.0)
        self.settings = None if settings is None else tuple(settings)
        self._middle, self._standing = np.zeros(3), tuple[FittedDefect, ...]()
        self.groups = groups_of(self.positions)
        row, column = (
            float(count * np.linalg.norm(step))
            for count, step in zip(self.shape, self._steps, strict=True)
        )
        self.room = Room(
            float(self.shape[0]), float(self.shape[1]), row + column, renderer.lit_depth
        )
        grid = self.setup.grids[0]
        place = grid.centres(np.arange(grid.pixels)).reshape(*readout.shape, 3)
        self.image_middle = np.asarray(readout.mean(np.moveaxis(place, -1, 0)).mean(axis=(1, 2)))

    # ------------------------------------------------------------------ parameters

    def start(self, light: float, background: float, blur: float | None = None) -> State:
        """The perfect crystal with the offsets and the blur that are known."""
        known = self.nuisances
        if blur is None:
            blur = self._given_blur + known.blur_px.mean**2
        terms = len(self._own_terms)
        state = State(
            offsets=np.array([known.offsets[motor].mean for motor in ANGLES]),
            tilt=np.zeros((3, terms)),
            blur=blur,
            light=np.append(light, np.zeros(len(self._own_light) - 1)),
            background=np.append(background, np.zeros(len(self.background_terms) - 1)),
            brightness=np.zeros(len(self.positions)),
        )
        return state

    def line(self, kind: DislocationType, position_um: Floats, turning: bool = False) -> FittedLine:
        """A line of a type through a point (µm, sample frame)."""
        direction = self.setup.sample_from_crystal @ kind.line
        position = np.asarray(position_um)
        place, at = place_of(direction, position, self._steps, self.renderer.up)
        return FittedLine(kind, place, at, turning)

    def loop(self, kind: LoopType, centre_um: Floats, radius_um: float) -> FittedLoop:
        """A loop of a type about a point (µm, sample frame)."""
        axes = np.stack([*self._steps, self.renderer.up])
        at = np.linalg.solve(axes.T, np.asarray(centre_um, dtype=np.float64))
        return FittedLoop(kind, axes, at, radius_um)

    def wall(self, kind: DislocationType, position_um: Floats, spacing_um: float) -> FittedWall:
        """A wall of lines of a type, one of them through a point (µm, sample frame)."""
        mount = self.setup.sample_from_crystal
        point = np.asarray(position_um, dtype=np.float64)
        return FittedWall.through(
            kind, point, self.image_middle, spacing_um, mount, self.renderer.up
        )

    def names(self, state: State) -> tuple[str, ...]:
        """Names of all parameters but the brightness of frames."""
        names = [f"offset_{motor}" for motor in ANGLES]
        for c in self.components:
            names += [f"{LATTICE[c]}_{t}" for t in range(len(self._own_terms))]
        names += ["blur"] if self.blurs else []
        names += [f"light_{k}" for k in range(len(state.light))]
        names += [f"background_{k}" for k in range(len(state.background))]
        for k, line in enumerate(state.lines):
            names += [f"{line.kind}_{k}.{name}" for name in line.names]
        return tuple(names)

    def prior(self, state: State) -> tuple[Floats, Floats]:
        """Values of all parameters from the middle of their priors, and the widths of these.

        Infinite for those that the stack alone tells.
        """
        known = self.nuisances
        ranges = 0.5 * np.ptp(self.positions, axis=0)
        middles = np.array([known.offsets[motor].mean for motor in ANGLES])
        own = np.array([known.offsets[motor].width for motor in ANGLES])
        values = [state.offsets - middles]
        widths = [np.where(own > 0.0, np.maximum(own, ranges), _FIXED)]
        for c in self.components:
            values.append(state.tilt[c])
            width = (known.tilt, known.tilt, known.dilatation)[c]
            widths.append(np.full(len(self._own_terms), width))
        if self.blurs:
            values.append(np.array([state.blur - self._given_blur - known.blur_px.mean**2]))
            # Of the variance, to which small blurs add little.
            size = known.blur_px.mean + known.blur_px.width
            widths.append(np.array([2.0 * size * known.blur_px.width]))
        uneven = np.full(len(state.light), known.illumination * max(abs(state.light[0]), 1.0))
        uneven[0] = np.inf
        values.append(state.light)
        widths.append(uneven)
        values.append(np.zeros(len(state.background)))
        widths.append(np.full(len(state.background), np.inf))
        for line in state.lines:
            middle, own = line.prior(self.room)
            values.append(middle)
            widths.append(own)
        return np.concatenate(values), np.concatenate(widths)

    def moved(self, state: State, step: Floats, brightness: Floats) -> State:
        """The state after a step of all parameters."""
        parts = iter(step)

        def some(count: int) -> Floats:
            return np.array([next(parts) for _ in range(count)])

        offsets = state.offsets + some(3)
        tilt = state.tilt.copy()
        for c in self.components:
            tilt[c] += some(len(self._own_terms))
        blur = state.blur
        if self.blurs:
            blur = min(max(blur + float(some(1)[0]), 0.0), 25.0)
        return State(
            offsets=offsets,
            tilt=tilt,
            blur=blur,
            light=state.light + some(len(state.light)),
            background=state.background + some(len(state.background)),
            brightness=state.brightness + brightness,
            lines=tuple(line.moved(some(len(line.names))) for line in state.lines),
        )

    def longest(self, state: State) -> Floats:
        """Longest step of each parameter."""
        steps: list[float] = [np.inf] * len(self.names(state))
        if self.blurs:
            steps[self.names(state).index("blur")] = max(0.5, 0.5 * state.blur)
        first = len(steps) - sum(len(line.names) for line in state.lines)
        for line in state.lines:
            steps[first : first + len(line.names)] = line.longest_steps
            first += len(line.names)
        return np.array(steps)

    # ------------------------------------------------------------------ frames

    def field(self, lines: Sequence[FittedDefect]) -> DisplacementGradientField:
        """The field of some defects."""
        parts = [line.sources(self.renderer) for line in lines]
        away = -self._middle
        lines_ = StraightLines.joined([part.lines for part in parts if len(part.lines)])
        pieces = Segments.joined([part.segments for part in parts if len(part.segments)])
        return field_of(
            replace(lines_, positions=lines_.positions + away),
            self._medium,
            [wall.moved(away) for part in parts for wall in part.walls],
            segments=replace(pieces, starts=pieces.starts + away),
        )

    def tilt_field(self, state: State) -> Floats:
        """Change of q by the lattice's tilt in every pixel before the camera turns it, (3, ...)."""
        tilt = np.einsum("lt,lc,trk->crk", state.tilt, self.lattice, self._own_terms)
        return np.asarray(tilt)

    def rougher(self, times: float = _ROUGHER) -> StackModel | None:
        """The model with averages over pixels that are less accurate; None if it has points."""
        averaging = self.setup.averaging
        if averaging is None:
            return None
        half = replace(averaging, accuracy=times * averaging.accuracy)
        return self._set_up(replace(self.setup, averaging=half))

    def _set_up(self, setup: Setup) -> StackModel:
        """The model with another setup of the same instrument."""
        engine = setup.engine(workers=self.workers, perfect=True)
        assert isinstance(engine, Engine)
        other = copy(self)
        other.setup, other._engine, other._chosen_anew = setup, engine, engine
        return other

    def window(
        self, rows: slice, columns: slice, standing: Sequence[FittedDefect] = ()
    ) -> StackModel:
        """The model of a part of the image, in which some lines stand still.

        Where the lens' acceptance moves over the field, it is offset as in the middle of it, which
        the nuisances take.

        Parameters
        ----------
        rows, columns : slice
            Which part; of frames that are stored as the sample is seen.
        standing : sequence of FittedDefect
            Lines that are there besides those of a state.
        """

        def cut(grid: RayGrid) -> RayGrid:
            return replace(grid, rows=size(rows), columns=size(columns))

        setup, smooth = self.setup, self.setup.smooth_grid
        other = self._set_up(
            replace(
                setup,
                grids=tuple(map(cut, setup.grids)),
                smooth_grid=None if smooth is None else cut(smooth),
            )
        )
        away = [
            0.5 * (part.start + part.stop - count)
            for part, count in zip((rows, columns), self.shape, strict=True)
        ]
        other._middle = np.asarray(np.array(away) @ np.stack(self._steps))
        other._standing = tuple(standing)
        other.shape = size(rows), size(columns)
        for name in ("_own_terms", "_own_light", "terms", "light_terms", "background_terms"):
            setattr(other, name, np.ascontiguousarray(getattr(self, name)[:, rows, columns]))
        return other

    @property
    def is_plain(self) -> bool:
        """Whether frames are stored as the sample is seen: not turned, binned or cut."""
        return self.setup.detector.readout.is_plain

    def of_frames(self, numbers: Ints) -> StackModel:
        """The model of some of the frames."""
        other = copy(self)
        other.positions = self.positions[numbers]
        if self.settings is not None:
            other.settings = tuple(self.settings[number] for number in numbers)
        other.groups = groups_of(other.positions)
        return other

    def held(self, state: State, around: bool = True) -> StackModel:
        """The model with the samples that a state and those near to it need, whatever comes.

        Which samples are chosen changes in jumps as lines move, and the likelihood with it. Without
        those `around` it takes a fraction of the time, and the images are less accurate nearby.
        """
        others = [state.lines]
        most = max((len(line.names) for line in state.lines), default=0) if around else 0
        for k in range(most):
            for way in (-_HELD, _HELD):
                steps = [
                    way * line.longest_steps * (np.arange(len(line.names)) == k)
                    for line in state.lines
                ]
                others.append(
                    tuple(line.moved(s) for line, s in zip(state.lines, steps, strict=True))
                )
        other = copy(self)
        engine = self._chosen_anew.aimed(*self.shifts(state))
        other._engine = engine.held([self.field((*lines, *self._standing)) for lines in others])
        return other

    def is_far(self, state: State, origin: State) -> bool:
        """Whether a state is too far from another for the samples that were chosen for that."""
        if np.abs(state.offsets - origin.offsets).max() > _HELD_ANGLE:
            return True
        for line, other in zip(state.lines, origin.lines, strict=True):
            if np.any(line.apart(other) > _HELD * line.longest_steps):
                return True
        return False

    def batches(self, state: State, slopes: bool = True, most: int = 2**28) -> Iterator[Columns]:
        """Frames of a state, some at a time.

        Parameters
        ----------
        state : State
            The parameters.
        slopes : bool
            Whether derivatives are wanted.
        most : int
            Bytes that a batch may take.
        """
        # Of a model that holds its samples they stay.
        engine = self._engine.aimed(*self.shifts(state)).with_field(
            self.field((*state.lines, *self._standing))
        )
        tilt = self.tilt_field(state)
        changes = self._changes(state.lines) if slopes else None
        count = 3 + sum(len(line.names) for line in state.lines) if slopes else 0
        pixels = engine.shape[0] * engine.shape[1]
        at_once = max(1, most // (12 * (count + 2) * pixels))
        light = np.tensordot(state.light, self._own_light, 1).astype(np.float32)
        known: dict[Block, Changes] = {}
        for group in self.groups:
            for start in range(0, len(group), at_once):
                numbers = group[start : start + at_once]
                shifts, means = self._shifts_of(numbers, state)
                images, by_q = engine.slopes(*shifts, tilt, changes, known, means)
                yield Columns(
                    numbers,
                    self._seen(light * images[0], state.blur),
                    self._seen(images[0], state.blur),
                    self._seen(light * by_q[:, 0], state.blur),
                )

    def shifts(self, state: State) -> tuple[Floats, Floats]:
        """Shifts of q of all settings, by φ and 2θ and by χ, (n, 3) and (m, 3)."""
        every = self.positions if self.settings is None else np.concatenate(self.settings)
        rock, roll = motor_shifts(self.setup.geometry, AT_BRAGG, every + state.offsets)
        return np.unique(rock, axis=0), np.unique(roll, axis=0)

    def _shifts_of(self, numbers: Ints, state: State) -> tuple[tuple[Floats, Floats], Means | None]:
        """Shifts of q of some frames at the same χ, and of which of them each is the mean."""
        if self.settings is None:
            at = self.positions[numbers] + state.offsets
            rock, roll = motor_shifts(self.setup.geometry, AT_BRAGG, at)
            return (rock, roll[:1]), None
        own = [np.unique(self.settings[number][:, [0, 2]], axis=0) for number in numbers]
        chi = np.unique(self.settings[numbers[0]][:, 1])
        first = np.cumsum([0, *(len(one) for one in own[:-1])])
        rock_at = np.insert(np.concatenate(own), 1, 0.0, axis=1)
        roll_at = np.stack([0.0 * chi, chi, 0.0 * chi], axis=1)
        rock, roll = (
            motor_shifts(self.setup.geometry, AT_BRAGG, at + state.offsets)[k]
            for k, at in enumerate((rock_at, roll_at))
        )
        return (rock, roll), Means(first, np.zeros(1, np.intp))

    @property
    def per_motor(self) -> Floats:
        """Change of q with each motor, (3 motors, 3)."""
        steps = _ANGLE_STEP * np.eye(3)
        ends = [np.add(*motor_shifts(self.setup.geometry, AT_BRAGG, s)) for s in (steps, -steps)]
        return np.asarray((ends[0] - ends[1]) / (2.0 * _ANGLE_STEP))

    def _seen(self, images: Floats32, blur: float) -> Floats32:
        """Images (..., rows, columns) as the camera stores them."""
        if blur > _SHARP and images.size:
            images = gaussian_spread(math.sqrt(blur)).blur(images, self.workers)
        return np.ascontiguousarray(self.setup.detector.readout.mean(images), np.float32)

    def _changes(self, lines: Sequence[FittedDefect]) -> Any:
        """How q changes along q itself and with the parameters of lines."""
        ends: list[tuple[DisplacementGradientField, DisplacementGradientField, float]] = []
        for line in lines:
            for k, step in enumerate(map(float, line.small_steps)):
                moves = np.zeros(len(line.names))
                moves[k] = step
                up, down = (self.field([line.moved(way * moves)]) for way in (1.0, -1.0))
                ends.append((up, down, step))
        allowed = np.array([1e-6] * 3 + [step for _, _, step in ends])

        def changes(points: Floats, _: NDArray[Any]) -> Changes:
            shape = points.shape[1:]
            flat = np.ascontiguousarray(points.reshape(3, -1))
            q = np.zeros((3 + len(ends), 3, flat.shape[1]), np.float32)
            for component in range(3):
                q[component, component] = 1.0
            for c, (up, down, step) in enumerate(ends):
                change = np.zeros((9, flat.shape[1]))
                down.add_to(change, flat)
                np.negative(change, out=change)
                up.add_to(change, flat)
                by_step = self.q_of_gradient @ change / (2.0 * step)
                q[3 + c] = np.nan_to_num(by_step, copy=False, posinf=0.0, neginf=0.0)
            return Changes(q.reshape(-1, 3, *shape), allowed)

        return changes


def groups_of(positions: Floats) -> list[Ints]:
    """Numbers of frames that follow each other at the same χ."""
    changes = np.flatnonzero(np.abs(np.diff(positions[:, 1])) > 1e-10) + 1
    return list(np.split(np.arange(len(positions)), changes))


def _variance_of(rows: Floats, columns: Floats) -> float:
    """Mean variance along both axes (pixels²) of a sum of products."""
    image = rows.T @ columns
    half = image.shape[0] // 2
    squares = (np.arange(image.shape[0]) - half) ** 2.0
    return 0.5 * float(squares @ image.sum(axis=1) + squares @ image.sum(axis=0))

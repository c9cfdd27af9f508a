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
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.experiment import Experiment
from weakbeam.imaging.contract import ImagingEngine
from weakbeam.imaging.scan import Layer
from weakbeam.run.view import view_of

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


@dataclass(frozen=True)
class _Stage:
    """Frames of one reflection at one height of the sample."""

    engine: ImagingEngine
    layer: Layer
    setup: Setup
    reflection: int
    numbers: Ints


class Renderer:
    """Images of straight dislocations as an experiment's instrument and scan take them.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, reflections and scan; its own defects are left out.
    workers : int, optional
        Threads of :meth:`images`; as many as there are cores unless given.
    precise : bool
        Without it samples along rays are twice as far apart, and the finest, through the cores of
        dislocations, are left out: the image is off by 0.1 % (rms), and a pixel that a core
        crosses by some percent, in two thirds of the time.

    Raises
    ------
    InputError
        If the experiment contradicts physics.
    """

    def __init__(
        self, experiment: Experiment, workers: int | None = None, precise: bool = True
    ) -> None:
        self.experiment = experiment.model_copy(update={"defects": ()})
        self.setups = tuple(setup.traced() for setup in assemble_all(self.experiment))
        if not precise:
            self.setups = tuple(
                replace(setup, grids=setup.grids[: max(1, len(setup.grids) - 1)])
                for setup in self.setups
            )
        self._crystal = self.setups[0].crystal
        medium = self._crystal.medium
        self._media = [medium.turned(setup.sample_from_crystal) for setup in self.setups]
        self.workers = worker_count(workers)
        conditions: list[Condition] = []
        self._stages: list[_Stage] = []
        for number, setup in enumerate(self.setups):
            for scan in setup.scans:
                at = {m: scan.motor_positions(m) for m in ("phi", "chi", "two_theta", "z")}
                for layer in scan.layers(setup.geometry):
                    tolerance = 1.0 if precise else _NOISY_TOLERANCE
                    engine = setup.engine(layer.z, 1, perfect=True, tolerance=tolerance)
                    numbers = len(conditions) + np.asarray(layer.frames)
                    self._stages.append(_Stage(engine, layer, setup, number, numbers))
                conditions += [
                    Condition(number, *(float(at[m][k]) for m in at)) for k in range(scan.frames)
                ]
        self.conditions = tuple(conditions)
        self._total, self._numbers = len(conditions), np.arange(len(conditions))
        self._middles: dict[int, Floats] = {}

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

    def image(self, lines: StraightLines) -> Floats32:
        """Frames of a crystal with some dislocations.

        Parameters
        ----------
        lines : StraightLines
            In the sample frame of the first reflection; µm.

        Returns
        -------
        (conditions, rows, columns) ndarray of float32
            Intensity relative to the perfect crystal at its Bragg setting, blurred, turned, binned
            and cut by the camera but not counted.
        """
        frames = np.empty((self._total, *self.shape), np.float32)
        for stage in self._stages:
            engine = stage.engine.with_field(self._field(lines, stage))
            images = engine.images(stage.layer.rock_shifts, stage.layer.roll_shifts)
            frames[stage.numbers] = stage.setup.detector.image(images)
        return frames[self._numbers]

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

    def _field(self, lines: StraightLines, stage: _Stage) -> DisplacementGradientField:
        """The field of lines, carried to where the images of a stage are taken."""
        if stage.reflection > 0:
            lines = lines.turned(self.turn(stage.reflection))
        if stage.reflection in self._middles:
            lines = replace(lines, positions=lines.positions - self._middles[stage.reflection])
        return field_of(lines, self._media[stage.reflection])

"""Training sets: images of several dislocations, drawn at random, with labels of each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.random import uniforms
from weakbeam.defects.lines import StraightLines
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Identify
from weakbeam.experiment.vary import Vary
from weakbeam.fit.frame_noise import shortened
from weakbeam.identify.library.candidates import Candidates, candidates_of, identify_table
from weakbeam.identify.library.contrast import contrast_of
from weakbeam.identify.library.library import wants_noise
from weakbeam.identify.library.making import make_all
from weakbeam.identify.library.plan import ImagePlan
from weakbeam.identify.library.variation import Variation
from weakbeam.instrument.camera_loops import frame_key
from weakbeam.run.render import Renderer, Surroundings
from weakbeam.run.view import View, view_of

_OF_SPLIT = 0x5117
"""Tells the random numbers of the split from those of frames."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The dislocations of one image.

    Parameters
    ----------
    types : (n,) ndarray of int
        Number of the type of each.
    positions_um : (n, 3) ndarray
        A point of each (µm), sample frame of the first reflection.
    """

    types: Ints
    positions_um: Floats


@dataclass(frozen=True, eq=False)
class Labels:
    """What is known of an image, but for labels that are images themselves.

    Parameters
    ----------
    number : int
        Its number in the set.
    drawn : Drawn
        What it shows.
    signal_to_noise : (n,) ndarray
        Of each dislocation; see `weakbeam.identify.library.library.Contrast`.
    values : dict of str to ndarray
        What varies in the set; see :meth:`.Variation.draw`.
    piercing : (conditions, n, 2) ndarray
        Row and column where each dislocation crosses the height of the beam's centre.
    ends : (conditions, n, 4) ndarray
        Row, column, row, column of the ends of the part of it that is lit and seen; NaN where
        there is none.
    """

    number: int
    drawn: Drawn
    signal_to_noise: Floats
    values: dict[str, Floats]
    piercing: Floats
    ends: Floats


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One image under all conditions, with its labels.

    Parameters
    ----------
    labels : Labels
        What it shows.
    frames : (conditions, rows, columns) ndarray
        Relative intensities (float32), or counts with noise (uint16).
    contributions : (conditions, most, rows, columns) ndarray of float16
        Image of each dislocation alone less that of the perfect crystal; zero where there are fewer
        than the most. Images do not add up: between lines that are close the sum of these is not
        the image. Empty if labels are not wanted.
    masks : (conditions, most, rows, columns) ndarray of uint8
        1 where the contribution is a good part of its largest value in the image, and stands out of
        the noise.
    """

    labels: Labels
    frames: NDArray[Any]
    contributions: NDArray[np.float16]
    masks: NDArray[np.uint8]

    @property
    def number(self) -> int:
        """Its number in the set."""
        return self.labels.number

    @property
    def drawn(self) -> Drawn:
        """The dislocations that it shows."""
        return self.labels.drawn

    @property
    def signal_to_noise(self) -> Floats:
        """Of each of them."""
        return self.labels.signal_to_noise


@dataclass(frozen=True, eq=False)
class Scene:
    """What an image is taken with and what surrounds its dislocations.

    Parameters
    ----------
    values : dict of str to ndarray
        What was drawn for it.
    renderer : Renderer
        The instrument.
    surroundings : Surroundings, optional
        Lattice, light and drift.
    background : (rows, columns) ndarray, optional
        Light besides the image, relative to the perfect crystal's peak.
    """

    values: dict[str, Floats]
    renderer: Renderer
    surroundings: Surroundings | None = None
    background: Floats32 | None = None

    def image(self, lines: StraightLines) -> Floats32:
        """Images of some dislocations under each condition, without the background."""
        return self.renderer.image(lines, self.surroundings)

    def image_and_parts(self, lines: StraightLines) -> Floats32:
        """The same, and images of each of them alone; see :meth:`.Renderer.image_and_parts`."""
        return self.renderer.image_and_parts(lines, self.surroundings)

    def with_background(self, images: Floats32) -> Floats32:
        """Images with the light that falls on the camera besides."""
        return images if self.background is None else images + self.background

    @cached_property
    def views(self) -> tuple[View, ...]:
        """Where the crystal appears under each condition."""
        renderer = self.renderer
        first = renderer.setups[0]
        known: dict[tuple[int, float], View] = {}
        for condition in renderer.conditions:
            place = condition.reflection, condition.z
            if place not in known:
                known[place] = view_of(renderer.setups[condition.reflection], first, condition.z)
        return tuple(known[c.reflection, c.z] for c in renderer.conditions)

    @cached_property
    def perfect(self) -> Floats32:
        """Images without dislocations, (conditions, rows, columns)."""
        return self.image(StraightLines.of([]))

    def traces(self, lines: StraightLines) -> tuple[Floats, Floats]:
        """Where dislocations appear, as `TrainingSample` has it: piercing points and ends."""
        drift = None if self.surroundings is None else self.surroundings.drift
        ways = np.zeros((len(self.views), 3)) if drift is None else self.renderer.ways(drift)
        count = len(self.views), len(lines)
        piercing, ends = np.empty((*count, 2)), np.empty((*count, 4))
        for k, (view, way) in enumerate(zip(self.views, ways, strict=True)):
            for n, (place, along) in enumerate(zip(lines.positions, lines.lines, strict=True)):
                piercing[k, n] = view.piercing(place + way, along)
                ends[k, n] = view.trace(place + way, along).ravel()
        return piercing, ends


@dataclass(frozen=True, eq=False)
class TrainingPlan(ImagePlan):
    """What a training set will hold; images are drawn and made one after the other.

    Parameters
    ----------
    candidates : Candidates
        The types, and what makes their images.
    table : Identify
        How many images of how many dislocations, and where these are.
    noise : bool
        Whether frames are counts with noise.
    """

    candidates: Candidates
    table: Identify
    noise: bool

    def __len__(self) -> int:
        return self.table.images

    @cached_property
    def variation(self) -> Variation:
        """What varies from image to image."""
        experiment = self.candidates.renderer.experiment
        return Variation(experiment, self.table.vary or Vary(), self.table.seed)

    @cached_property
    def _common(self) -> Scene:
        """The scene of all images where nothing varies."""
        return Scene({}, self.candidates.renderer)

    def scene(self, number: int) -> Scene:
        """What an image is taken with, which depends on its number and the seed alone."""
        variation = self.variation
        if not variation.ranges:
            return self._common
        renderer, values = self.candidates.renderer, variation.draw(number)
        if variation.changes_instrument:
            renderer = renderer.with_instrument(variation.applied(values))
        return Scene(
            values,
            renderer,
            variation.surroundings(values, renderer),
            # The camera is the same under all conditions.
            variation.background(values, renderer.setups[0].detector),
        )

    def draw(self, number: int, scene: Scene | None = None) -> Drawn:
        """Draw the dislocations of an image, which depend on its number and the seed alone.

        Types are those that some reflection shows at all, each equally likely. Where the lines
        cross the height of their depth is distributed evenly over the first condition's image, at
        the same pixels whatever varies.
        """
        table, scene = self.table, scene or self.scene(number)
        random = np.random.default_rng([table.seed, number])
        fewest = table.fewest_dislocations or table.dislocations
        count = int(random.integers(fewest, table.dislocations + 1))
        types = random.choice(self._visible, count)
        low = table.margin_px - 0.5
        high = np.array(self.candidates.renderer.shape) - 1.0 - low
        pixels = random.uniform(low, high, (count, 2))
        depths = random.uniform(-1.0, 1.0, count) * table.half_depth_um
        return Drawn(types, scene.views[0].point(pixels, depths))

    @cached_property
    def _visible(self) -> Ints:
        return self.candidates.visible

    def samples(self, numbers: Sequence[int] | None = None) -> Iterator[TrainingSample]:
        """Images in order, all or some; see `weakbeam.identify.library.making.make_all`."""
        return make_all(self, plan_training, numbers)

    @property
    def rendered(self) -> int:
        """How many images are rendered for one, under each condition."""
        several = self.table.labels and self.table.dislocations > 1
        perfect = self.table.labels and self.variation.ranges
        return 1 + (self.table.dislocations if several else 0) + (1 if perfect else 0)

    def make(self, number: int) -> TrainingSample:
        """Make one image with its labels."""
        scene = self.scene(number)
        drawn = self.draw(number, scene)
        lines = self.candidates.lines(drawn.types.tolist(), drawn.positions_um)
        every = scene.image_and_parts(lines) if self.table.labels else scene.image(lines)[None]
        images = every[0]
        most = self.table.dislocations if self.table.labels else 0
        shape = (len(images), most, *scene.renderer.shape)
        contributions, masks = np.zeros(shape, np.float16), np.zeros(shape, np.uint8)
        ratios = np.full(len(lines), np.nan)
        if most:
            level = self._level(scene)
            behind = scene.with_background(scene.perfect)
        for place in range(len(lines) if most else 0):
            added = every[1 + place] - scene.perfect
            contributions[:, place] = added
            masks[:, place] = self._stands_out(np.abs(added), level)
            ratios[place] = contrast_of(behind + added, behind, self._noises).signal_to_noise
        labels = self._labels(number, drawn, ratios, scene, lines)
        frames = self._frames(number, scene.with_background(images))
        return TrainingSample(labels, frames, contributions, masks)

    def labels(self, number: int, signal_to_noise: Floats) -> Labels:
        """What is known of an image that has been made, given what its pixels told."""
        scene = self.scene(number)
        drawn = self.draw(number, scene)
        lines = self.candidates.lines(drawn.types.tolist(), drawn.positions_um)
        return self._labels(number, drawn, signal_to_noise, scene, lines)

    def _labels(
        self, number: int, drawn: Drawn, ratios: Floats, scene: Scene, lines: StraightLines
    ) -> Labels:
        return Labels(number, drawn, ratios, scene.values, *scene.traces(lines))

    @property
    def parts(self) -> Ints:
        """Which part of a split set each image belongs to, 0, 1, 2 of `SPLIT_NAMES`; else 0.

        It depends on the seed, the shares and the image's number alone.
        """
        numbers = np.arange(len(self))
        if self.table.split is None:
            return np.zeros_like(numbers)
        # SplitMix64: a generator for each of ten million images would take minutes.
        shares = np.empty(len(self))
        uniforms(np.uint64(frame_key(self.table.seed, _OF_SPLIT, 0)), numbers, shares)
        return np.searchsorted(np.cumsum(self.table.split)[:2], shares, side="right")

    def _frames(self, number: int, images: Floats32) -> NDArray[Any]:
        if not self.noise:
            return shortened(images)
        pairs = enumerate(zip(self._noises, images, strict=True))
        return np.array([noise.counts(image, index, number) for index, (noise, image) in pairs])

    def _stands_out(self, sizes: Floats32, level: Floats32) -> NDArray[np.bool_]:
        largest = sizes.max(axis=(-2, -1), keepdims=True)
        above: NDArray[np.bool_] = sizes > np.maximum(level, self.table.mask_fraction * largest)
        return above

    def _level(self, scene: Scene) -> Floats32:
        """What stands out of the noise in each pixel of a scene."""
        return self._noise_level if scene is self._common else self._sigmas(scene)

    @cached_property
    def _noise_level(self) -> Floats32:
        return self._sigmas(self._common)

    def _sigmas(self, scene: Scene) -> Floats32:
        pairs = zip(self._noises, scene.with_background(scene.perfect), strict=True)
        sigma = np.array([noise.sigma(image) for noise, image in pairs], np.float32)
        return self.table.mask_sigma * sigma


def plan_training(experiment: Experiment, workers: int | None = None) -> TrainingPlan:
    """Plan the training set that an experiment describes.

    Parameters
    ----------
    experiment, workers
        As for :func:`.plan_library`.

    Raises
    ------
    InputError
        If the experiment contradicts physics, has no candidates, wants noise of a camera that does
        not count, or margins that leave nothing of the image.
    """
    table, noise = identify_table(experiment), wants_noise(experiment)
    candidates = candidates_of(experiment, workers, precise=not noise)
    rows, columns = candidates.renderer.shape
    if 2.0 * table.margin_px >= min(rows, columns):
        raise InputError(
            "identify.margin_px",
            table.margin_px,
            f"leaves nothing of images of {rows} x {columns} pixels",
        )
    plan = TrainingPlan(candidates, table, noise)
    plan.variation.check(candidates.renderer)
    return plan

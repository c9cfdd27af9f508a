"""Training sets: images of several dislocations, drawn at random, with labels of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Identify
from weakbeam.fit.frame_noise import shortened
from weakbeam.identify.library.candidates import Candidates, candidates_of, identify_table
from weakbeam.identify.library.contrast import contrast_of
from weakbeam.identify.library.library import wants_noise
from weakbeam.identify.library.making import make_all
from weakbeam.identify.library.plan import ImagePlan
from weakbeam.run.view import View, view_of


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
class TrainingSample:
    """One image under all conditions, with its labels.

    Parameters
    ----------
    number : int
        Its number in the set.
    drawn : Drawn
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
    signal_to_noise : (n,) ndarray
        Of each contribution; see `weakbeam.identify.library.library.Contrast`.
    """

    number: int
    drawn: Drawn
    frames: NDArray[Any]
    contributions: NDArray[np.float16]
    masks: NDArray[np.uint8]
    signal_to_noise: Floats


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
    def views(self) -> tuple[View, ...]:
        """Where the crystal appears under each condition."""
        renderer = self.candidates.renderer
        first = renderer.setups[0]
        return tuple(
            view_of(renderer.setups[condition.reflection], first, condition.z)
            for condition in renderer.conditions
        )

    def draw(self, number: int) -> Drawn:
        """Draw the dislocations of an image, which depend on its number and the seed alone.

        Types are those that some reflection shows at all, each equally likely. Where the lines
        cross the height of their depth is distributed evenly over the first condition's image.
        """
        table = self.table
        random = np.random.default_rng([table.seed, number])
        fewest = table.fewest_dislocations or table.dislocations
        count = int(random.integers(fewest, table.dislocations + 1))
        types = random.choice(self.candidates.visible, count)
        low = table.margin_px - 0.5
        high = np.array(self.candidates.renderer.shape) - 1.0 - low
        pixels = random.uniform(low, high, (count, 2))
        depths = random.uniform(-1.0, 1.0, count) * table.half_depth_um
        return Drawn(types, self.views[0].point(pixels, depths))

    def samples(self) -> Iterator[TrainingSample]:
        """All images, in order; see `weakbeam.identify.library.making.make_all`."""
        return make_all(self, plan_training)

    @property
    def rendered(self) -> int:
        """How many images are rendered for one, under each condition."""
        several = self.table.labels and self.table.dislocations > 1
        return 1 + self.table.dislocations if several else 1

    def make(self, number: int) -> TrainingSample:
        """Make one image with its labels."""
        drawn = self.draw(number)
        renderer = self.candidates.renderer
        lines = self.candidates.lines(drawn.types.tolist(), drawn.positions_um)
        images = renderer.image(lines)
        most = self.table.dislocations if self.table.labels else 0
        shape = (len(images), most, *renderer.shape)
        contributions, masks = np.zeros(shape, np.float16), np.zeros(shape, np.uint8)
        ratios = np.full(len(lines), np.nan)
        for place in range(len(lines) if most else 0):
            alone = images if len(lines) == 1 else renderer.image(lines.chosen([place]))
            added = alone - self.perfect
            contributions[:, place] = added
            masks[:, place] = self._stands_out(np.abs(added))
            ratios[place] = contrast_of(alone, self.perfect, self._noises).signal_to_noise
        return TrainingSample(
            number, drawn, self._frames(number, images), contributions, masks, ratios
        )

    def traces(self, drawn: Drawn) -> tuple[Floats, Floats]:
        """Where the dislocations of an image appear.

        Returns
        -------
        piercing : (conditions, n, 2) ndarray
            Row and column where each crosses the height of the beam's centre.
        ends : (conditions, n, 4) ndarray
            Row, column, row, column of the ends of the part of it that is lit and seen; NaN where
            there is none.
        """
        directions = self.candidates.lines(drawn.types.tolist(), drawn.positions_um).lines
        pairs = [*zip(drawn.positions_um, directions, strict=True)]
        piercing = [[view.piercing(*pair) for pair in pairs] for view in self.views]
        ends = [[view.trace(*pair).ravel() for pair in pairs] for view in self.views]
        return np.array(piercing), np.array(ends)

    def _frames(self, number: int, images: Floats32) -> NDArray[Any]:
        if not self.noise:
            return shortened(images)
        pairs = enumerate(zip(self._noises, images, strict=True))
        return np.array([noise.counts(image, index, number) for index, (noise, image) in pairs])

    def _stands_out(self, sizes: Floats32) -> NDArray[np.bool_]:
        largest = sizes.max(axis=(-2, -1), keepdims=True)
        above: NDArray[np.bool_] = sizes > np.maximum(
            self._noise_level, self.table.mask_fraction * largest
        )
        return above

    @cached_property
    def _noise_level(self) -> Floats32:
        pairs = zip(self._noises, self.perfect, strict=True)
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
    return TrainingPlan(candidates, table, noise)

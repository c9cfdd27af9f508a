"""Blind trials: dislocations drawn at random, imaged with noise, identified, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.fit.line_place import place_of
from weakbeam.fit.observation import Bools, Noise, Observation
from weakbeam.fit.refine import refine, starting_point
from weakbeam.identify.identifier import Identification, Identifier, line_at
from weakbeam.identify.study.separation import expected_gap

_DARK_ENTRY = 1_000_003
"""Number of the entry of the dark frames, apart from all draws."""

_CLOSE = 30.0
"""Expected gap below which the nearest image of a competitor is sought without noise."""

_COMPETITORS = 3
"""How many of the refined types the truth is measured against."""


@dataclass(frozen=True, eq=False)
class Trials:
    """What came of a series of draws; arrays have one row for each.

    Parameters
    ----------
    truth, found : (n,) ndarray of int
        Places of the true and of the most probable type in the list.
    right : (n,) ndarray of bool
        Whether both make the same images.
    probability : (n,) ndarray
        Posterior probability of the images of the type that was found.
    truth_probability : (n,) ndarray
        That of the true type.
    every : (n, images) ndarray
        That of each type with images of its own.
    true_image : (n,) ndarray of int
        Which of those is true.
    gap : (n,) ndarray
        Expected difference of log-likelihood between the truth and the strongest competitor.
    errors : (n, 2) ndarray
        Error of the position of the true type in units of the Cramér-Rao bound, along the axes of
        its error ellipse; NaN where the true type was not refined or the position is not
        determined.
    ambiguous : (n,) ndarray of bool
        Whether the fit of the true type says that its place is ambiguous.
    """

    truth: Ints
    found: Ints
    right: Bools
    probability: Floats
    truth_probability: Floats
    every: Floats
    true_image: Ints
    gap: Floats
    errors: Floats
    ambiguous: Bools

    def __len__(self) -> int:
        return len(self.truth)

    def accuracy(self, least_gap: float = 0.0) -> float:
        """Share of right identifications among draws with at least this expected gap."""
        return float(self.right[self.gap >= least_gap].mean())

    @property
    def error_ratio(self) -> float:
        """Error of the position over the Cramér-Rao bound, root mean square; 1 if it is reached.

        Of draws whose place is not said to be ambiguous.
        """
        return float(np.sqrt(np.nanmean(self.errors[~self.ambiguous] ** 2)))

    def reliability(self, edges: Sequence[float]) -> list[tuple[float, float, int, float, float]]:
        """Posterior probabilities against how often they were right.

        Parameters
        ----------
        edges : sequence of float
            Limits of the bins of probability.

        Returns
        -------
        list of (low, high, count, mean probability, share that is true)
            Of all types in all draws; empty bins are left out.
        """
        is_true = np.arange(self.every.shape[1]) == self.true_image[:, None]
        return reliability(self.every.ravel(), is_true.ravel(), edges)


def reliability(
    probabilities: ArrayLike, true: ArrayLike, edges: Sequence[float]
) -> list[tuple[float, float, int, float, float]]:
    """Mean of probabilities and share of what was true, in bins of the probability.

    Returns
    -------
    list of (low, high, count, mean probability, share that is true)
    """
    p, happened = np.asarray(probabilities, dtype=np.float64), np.asarray(true, dtype=np.bool_)
    rows = []
    for low, high in pairwise(edges):
        inside = (p >= low) & ((p < high) | (high == edges[-1]))
        if inside.any():
            share = float(happened[inside].mean())
            rows.append((low, high, int(inside.sum()), float(p[inside].mean()), share))
    return rows


def calibration_error(rows: Sequence[tuple[float, float, int, float, float]]) -> float:
    """Mean distance of probability and share in a table of :func:`reliability`, by count."""
    counts = np.array([row[2] for row in rows], dtype=np.float64)
    distances = np.array([abs(row[3] - row[4]) for row in rows])
    return float(counts @ distances / counts.sum())


class Camera:
    """Takes noisy images as a beamline does: counts minus the mean of some dark frames.

    Parameters
    ----------
    identifier : Identifier
        Whose renderer makes the images; its experiment has a camera that counts.
    dark_frames : int
        Number of dark frames.

    Raises
    ------
    ValueError
        If the camera does not count.
    """

    def __init__(self, identifier: Identifier, dark_frames: int = 20) -> None:
        self._renderer = identifier.renderer
        self._noises = [FrameNoise(setup.detector) for setup in self._renderer.setups]
        first = self._noises[0]
        if first.noise is None:
            raise ValueError("blind trials need a camera that counts")
        self.noise = Noise(first.noise.gain, first.noise.floor * (1.0 + 1.0 / dark_frames))
        self._dark_frames = dark_frames

    @cached_property
    def _darks(self) -> Floats:
        numbers = np.arange(self._dark_frames)
        frames = [
            setup.detector.companions("dark", _DARK_ENTRY + k, numbers, 1)
            for k, setup in enumerate(self._renderer.setups)
        ]
        means = [taken.mean(axis=0, dtype=np.float64) for taken in frames]
        return np.array([means[condition.reflection] for condition in self._renderer.conditions])

    def signal(self, lines: StraightLines) -> Floats:
        """Expected counts above dark (ADU), (conditions, rows, columns)."""
        images = np.asarray(self._renderer.image(lines), dtype=np.float64)
        return images * self._renderer.setups[0].detector.unit_signal

    def observe(self, lines: StraightLines, entry: int) -> Observation:
        """Images of a crystal; draws with another number of entry have other noise."""
        images = self._renderer.image(lines)
        frames = [
            self._noises[condition.reflection].counts(image, entry, number)
            for number, (image, condition) in enumerate(
                zip(images, self._renderer.conditions, strict=True)
            )
        ]
        return Observation(np.array(frames) - self._darks, self.noise)


def run_trials(
    identifier: Identifier,
    count: int,
    seed: int = 0,
    types: Sequence[int] | None = None,
    most: int = 12,
    progress: Callable[[float], None] | None = None,
) -> Trials:
    """Draw dislocations, image and identify them.

    Parameters
    ----------
    identifier : Identifier
        The types, all equally likely, and the prior of the position, from which it is drawn.
    count : int
        Number of draws.
    seed : int
        Seed of types and positions; the noise has that of the camera.
    types : sequence of int, optional
        Places in the list of the types that are drawn; all by default.
    most : int
        Largest number of types that are refined in each.
    progress : callable, optional
        Told of every draw that is done.

    Returns
    -------
    Trials
    """
    camera = Camera(identifier)
    random = np.random.default_rng(seed)
    prior = identifier.prior
    box = np.array([prior.rows, prior.columns, prior.depth_um])
    choice = np.arange(len(identifier.types)) if types is None else np.asarray(types)
    firsts = np.flatnonzero(identifier.same == np.arange(len(identifier.types)))
    rows = []
    for number in range(count):
        truth = int(random.choice(choice))
        at = box * random.uniform(-0.5, 0.5, 3)
        line = line_at(identifier.renderer, identifier.types[truth], at)
        result = identifier.identify(camera.observe(line, number + 1), most, fewest=1)
        every = np.array([identifier.probability(result, int(k)) for k in firsts])
        best = int(firsts[np.argmax(every)])
        same = int(identifier.same[truth])
        rows.append(
            (
                truth,
                best,
                best == same,
                every.max(),
                identifier.probability(result, truth),
                every,
                int(np.flatnonzero(firsts == same)[0]),
                *_against_truth(identifier, camera, result, same, at),
            )
        )
        if progress is not None:
            progress(1)
    return Trials(*(np.array(column) for column in zip(*rows, strict=True)))


def _against_truth(
    identifier: Identifier, camera: Camera, result: Identification, truth: int, at: Floats
) -> tuple[float, Floats, bool]:
    """Gap to the strongest competitor, error over the Cramér-Rao bound, whether ambiguous."""
    kind = identifier.types[truth]
    line = line_at(identifier.renderer, kind, at)
    signal = camera.signal(line)
    # Of types that were not refined the scores tell how far they are.
    left = result.scores.copy()
    refined = {fit.type.number for fit in result.fits}
    left[[k for k, one in enumerate(identifier.types) if one.number in refined]] = -np.inf
    gap = float(result.scores[truth] - left.max())
    for fit in [fit for fit in result.fits if fit.type.number != kind.number][:_COMPETITORS]:
        distance = expected_gap(signal, fit.image, camera.noise)
        if distance < _CLOSE:
            # Noise has moved the competitor away from where it comes nearest to the truth.
            start = starting_point(identifier.renderer, fit.position_um)
            ideal = Observation(signal, camera.noise)
            fit = refine(
                ideal,
                identifier.renderer,
                fit.type,
                start[:2],
                start[2],
                prior=identifier.prior,
                scout=False,
            )
            distance = min(distance, expected_gap(signal, fit.image, camera.noise))
        gap = min(gap, distance)
    own = [fit for fit in result.fits if fit.type.number == kind.number]
    if not own or set(own[0].names[:2]) & set(own[0].undetermined):
        return gap, np.full(2, np.nan), False
    renderer = identifier.renderer
    _, true = place_of(line.lines[0], line.positions[0], renderer.pixel_steps(), renderer.up)
    variances, axes = np.linalg.eigh(own[0].covariance[:2, :2])
    return gap, (own[0].values[:2] - true) @ axes / np.sqrt(variances), own[0].ambiguous

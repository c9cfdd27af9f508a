"""Blind trials: dislocations drawn at random, imaged with noise, matched, and counted.

What is tried is what ``weakbeam identify match`` does: a library without noise, and
:func:`~weakbeam.identify.match.match` with its options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import DislocationType
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.fit.line_place import place_of
from weakbeam.fit.observation import Bools, Noise, Observation
from weakbeam.fit.refine import Refinement, refine, starting_point
from weakbeam.identify.library.library import Library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import Match
from weakbeam.identify.refined_candidates import position_prior
from weakbeam.identify.study.separation import expected_gap
from weakbeam.run.render import Renderer

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
    truth, best : (n,) ndarray of int
        Numbers of the true type and of the most probable one; of types that make the same images
        the lowest stands for all, and for a line that was turned the nearest type of the list.
    right : (n,) ndarray of bool
        Whether both make the same images.
    probability : (n,) ndarray
        Posterior probability of the images of the most probable type.
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
    best: Ints
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
    renderer : Renderer
        Makes the images; its experiment has a camera that counts.
    dark_frames : int
        Number of dark frames.

    Raises
    ------
    ValueError
        If the camera does not count.
    """

    def __init__(self, renderer: Renderer, dark_frames: int = 20) -> None:
        self._renderer = renderer
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
    library: Library,
    count: int,
    seed: int = 0,
    options: MatchOptions | None = None,
    types: Sequence[int] | None = None,
    progress: Callable[[float], None] | None = None,
    renderer: Renderer | None = None,
) -> Trials:
    """Draw dislocations, image them and match the images.

    Parameters
    ----------
    library : Library
        Ideal images of the types; its experiment has a camera that counts.
    count : int
        Number of draws.
    seed : int
        Seed of types and positions; the noise has that of the camera.
    options : MatchOptions, optional
        How to match. Positions are drawn from where it takes dislocations to be.
    types : sequence of int, optional
        Numbers of the types that are drawn, all equally likely; those that can be seen unless
        given.
    progress : callable, optional
        Told of every draw that is done.
    renderer : Renderer, optional
        Makes the images of the draws and of the match; one of the library's experiment, as precise
        as the command's, unless given.

    Returns
    -------
    Trials

    Raises
    ------
    ValueError
        If the camera does not count.
    """
    chosen, trial = options or MatchOptions(), _Trial(library, renderer)
    random = np.random.default_rng(seed)
    prior = position_prior(library, trial.renderer, chosen)
    box = np.array([prior.rows, prior.columns, prior.depth_um])
    choice = trial.visible if types is None else np.asarray(types)
    firsts = np.unique([trial.first[int(k)] for k in trial.visible])
    rows = []
    for number in range(count):
        truth = int(random.choice(choice))
        line = line_at(trial.renderer, library.types[truth], box * random.uniform(-0.5, 0.5, 3))
        observation = trial.camera.observe(line, number + 1)
        result = match(observation, library, chosen, workers=1, renderer=trial.renderer)
        every = np.zeros(len(firsts))
        for candidate in result.candidates:
            own = np.searchsorted(firsts, trial.first[candidate.type.number])
            every[own] += candidate.cautious_probability
        best, same = int(firsts[np.argmax(every)]), trial.first[truth]
        true_image = int(np.searchsorted(firsts, same))
        gap, errors, ambiguous = trial.compared(result, truth, line)
        rows.append(
            (
                same,
                best,
                best == same,
                every.max(),
                every[true_image],
                every,
                true_image,
                gap,
                errors,
                ambiguous,
            )
        )
        if progress is not None:
            progress(1)
    return Trials(*(np.array(column) for column in zip(*rows, strict=True)))


def line_at(
    renderer: Renderer, kind: DislocationType, at: Sequence[float] | Floats
) -> StraightLines:
    """A dislocation of a type, shifted by rows, columns and a depth (µm) from the origin."""
    row, column = renderer.pixel_steps()
    position = at[0] * row + at[1] * column + at[2] * renderer.up
    return renderer.lines_of(kind.plane, kind.burgers, kind.character_deg, position)


class _Trial:
    """What all draws share: the renderer, the camera, and which types make the same images."""

    def __init__(self, library: Library, renderer: Renderer | None) -> None:
        self.renderer = Renderer(library.experiment, 1) if renderer is None else renderer
        self.camera = Camera(self.renderer)
        self.visible: Ints = np.unique(library.members.types[library.visible])
        known = set(self.visible.tolist())
        self.first = {
            k: min([k, *(n for n in library.types[k].same_as if n in known)]) for k in known
        }

    def compared(
        self, result: Match, truth: int, line: StraightLines
    ) -> tuple[float, Floats, bool]:
        """Gap to the strongest competitor, error over the Cramér-Rao bound, whether ambiguous."""
        signal, same = self.camera.signal(line), self.first[truth]
        own: list[Refinement] = []
        others: list[Refinement] = []
        for candidate in result.candidates:
            if candidate.refinement is not None:
                is_true = self.first[candidate.type.number] == same
                (own if is_true else others).append(candidate.refinement)
        # Of types that were not refined the scores tell how far they are.
        refined = {fit.type.number for fit in [*own, *others]}
        score_of = dict(result.ranking)
        left = [
            score
            for number, score in result.ranking
            if number not in refined and self.first[number] != same
        ]
        gap = score_of[truth] - max(left, default=-np.inf)
        for fit in others[:_COMPETITORS]:
            gap = min(gap, self._distance(signal, fit))
        if not own or set(own[0].names[:2]) & set(own[0].undetermined):
            return gap, np.full(2, np.nan), False
        steps, up = self.renderer.pixel_steps(), self.renderer.up
        _, true = place_of(line.lines[0], line.positions[0], steps, up)
        variances, axes = np.linalg.eigh(own[0].covariance[:2, :2])
        return gap, (own[0].values[:2] - true) @ axes / np.sqrt(variances), own[0].ambiguous

    def _distance(self, signal: Floats, fit: Refinement) -> float:
        """Expected gap between a signal and another type, where that comes nearest to it."""
        distance = expected_gap(signal, fit.image, self.camera.noise)
        if distance >= _CLOSE:
            return distance
        # Noise has moved the competitor away from where it comes nearest to the truth.
        start = starting_point(self.renderer, fit.position_um)
        ideal = Observation(signal, self.camera.noise)
        nearest = refine(ideal, self.renderer, fit.type, start[:2], start[2], scout=False)
        return min(distance, expected_gap(signal, nearest.image, self.camera.noise))

"""How well types of dislocations can be told apart under given conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.frame_noise import FrameNoise
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.library.candidates import Candidates, candidates_of
from weakbeam.identify.library.twins import first_equals
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.moving import moved_image, overlap
from weakbeam.identify.search.shift_scores import shift_scores
from weakbeam.identify.search.sub_pixel import fit_shift
from weakbeam.identify.study.separation import confusion_probability, expected_gap
from weakbeam.identify.study.similarity import (
    PAPER_BOUND,
    RELATIONS,
    correlation_matrix,
    relations_of,
)
from weakbeam.run.render import Condition, Renderer

Progress = Callable[[float], None]

LEVELS = (0.001, 0.01, 0.1, 1.0)
"""Exposures, as multiples of the experiment's."""

NEAREST = 4
"""How many of the most similar types each one is measured against."""

TOLD_APART = 0.05
"""Probability of a confusion below which a type counts as told apart."""

_NARROWEST = 12
"""Pixels that the fit of a shift needs: its frame, and a few to compare."""


@dataclass(frozen=True, eq=False)
class Study:
    """How similar the types of an experiment look.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and candidates.
    types : tuple of DislocationType
        Those with images of their own that can be seen at all.
    twins : tuple of tuples of int
        For each of them the numbers of the other types that have the very same images under all
        the conditions, and are therefore left out.
    conditions : tuple of Condition
        How the images are taken; correlations are those of the first one.
    correlations : (types, types) ndarray
        Zero-padded correlation at the best bounded shift, after the background was removed. Images
        near the peak, where dislocations are dark, are inverted first.
    relations : (types, types) ndarray of int
        What the types of a pair have in common, by place in `RELATIONS`; −1 on the diagonal.
    nearest : (types, k) ndarray of int
        The types that look most similar to each.
    levels : tuple of float
        Exposures, as multiples of the experiment's.
    gaps : (levels, images, types, k) ndarray
        Expected log-likelihood gap between each type and its nearest ones, given the first one,
        two, ... conditions.
    """

    experiment: Experiment
    types: tuple[DislocationType, ...]
    twins: tuple[tuple[int, ...], ...]
    conditions: tuple[Condition, ...]
    correlations: Floats
    relations: Ints
    nearest: Ints
    levels: tuple[float, ...]
    gaps: Floats

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """Both types of every pair."""
        first, second = np.triu_indices(len(self.types), 1)
        return first, second

    @property
    def confusions(self) -> Floats:
        """Probability that a type is taken for one of its nearest, (levels, images, types).

        The sum over the nearest types bounds the probability that any of them wins.
        """
        return np.asarray(np.minimum(confusion_probability(self.gaps).sum(axis=-1), 1.0))

    def closest(self, level: int = -1, images: int = 1) -> tuple[int, int]:
        """The pair of types that is the hardest to tell apart."""
        gaps = self.gaps[level, images - 1]
        first, k = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
        return int(first), int(self.nearest[first, k])

    def above(self, bound: float = PAPER_BOUND) -> dict[str, tuple[int, int]]:
        """For each relation the number of pairs that correlate more, and of all pairs."""
        first, second = self.pairs
        kind, high = self.relations[first, second], self.correlations[first, second] > bound
        return {
            name: (int(np.sum(high & (kind == k))), int(np.sum(kind == k)))
            for k, name in enumerate(RELATIONS)
        }


def run_study(
    experiment: Experiment,
    max_shift: int = 20,
    levels: Sequence[float] = LEVELS,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Study:
    """Compare the images of all types of an experiment, each at the sample's origin.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``; a camera that does not count is replaced by
        the default one that does.
    max_shift : int
        Largest shift (pixels) at which images are compared.
    levels : sequence of float
        Exposures, as multiples of the experiment's.
    workers : int, optional
        Threads.
    progress : callable, optional
        Told the share of the work that is newly done.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If the experiment contradicts physics, the images are too small for the shift, or there are
        fewer than two types to compare.
    """
    tell = progress or (lambda share: None)
    candidates = candidates_of(counting(experiment), workers)
    _check_size(candidates.renderer.shape, max_shift)
    visible = [candidates.types[k] for k in candidates.visible]
    images = _images(candidates, visible, tell)
    compared = _at_middles(candidates, visible, images, workers)
    types, twins, images = _without_twins(visible, compared, images)
    if len(types) < 2:
        left = (
            "there is one"
            if len(visible) == 1
            else f"the images of all {len(visible)} are the same"
        )
        raise InputError("identify", None, f"a study compares types that can be seen; {left}")
    clean = remove_background(_as_bright(images[:, 0]), "mean").astype(np.float32)
    correlations = correlation_matrix(clean, max_shift, tell)
    nearest = np.argsort(2.0 * np.eye(len(types)) - correlations, axis=1, kind="stable")
    nearest = nearest[:, : min(NEAREST, len(types) - 1)]
    gaps = _gaps(candidates, images, nearest, max_shift, levels, tell)
    return Study(
        experiment,
        types,
        twins,
        candidates.renderer.conditions,
        correlations,
        relations_of(types),
        nearest,
        tuple(levels),
        gaps,
    )


def extra_images(
    candidates: Candidates,
    first: DislocationType,
    second: DislocationType,
    base: Sequence[int] = (0,),
    max_shift: int = 20,
) -> list[tuple[int, float]]:
    """What every further image would add to the distance of two types.

    Parameters
    ----------
    candidates : Candidates
        Whose renderer has all conditions that could be measured.
    first, second : DislocationType
        The types that are in question.
    base : sequence of int
        Numbers of the conditions that are there.
    max_shift : int
        Largest shift (pixels) between them.

    Returns
    -------
    list of (int, float)
        Number of a condition and expected gap of the log-likelihood once it is added, the largest
        first; the mean of both types being true. The first entry of `base` comes with the gap of
        the base alone.

    Raises
    ------
    InputError
        If the images are too small for the shift.
    """
    renderer = candidates.renderer
    _check_size(renderer.shape, max_shift)
    images = [
        np.asarray(renderer.image(candidates.lines([t.number], np.zeros((1, 3)))), dtype=np.float64)
        for t in (first, second)
    ]
    noise, scale = _noise_of(candidates)
    there = list(base)
    moved = [next(_moved(scale * images[k], images[1 - k][None], noise, max_shift)) for k in (0, 1)]

    def gap(numbers: list[int]) -> float:
        both = [expected_gap(scale * images[k][numbers], moved[k][numbers], noise) for k in (0, 1)]
        return float(np.mean(both))

    others = [k for k in range(len(renderer.conditions)) if k not in there]
    added = sorted(((k, gap([*there, k])) for k in others), key=lambda row: -row[1])
    return [(there[0], gap(there)), *added]


def _check_size(shape: tuple[int, int], max_shift: int) -> None:
    """What two images share is at least half of each side at every shift, and not too narrow."""
    if min(shape) < _NARROWEST:
        least = f"a study needs at least {_NARROWEST} on each side"
        raise InputError("camera.pixels", list(shape), least)
    if 2 * max_shift > min(shape):
        size = f"{shape[0]} x {shape[1]} pixels"
        raise InputError("max_shift", max_shift, f"is more than half of images of {size}")


def counting(experiment: Experiment) -> Experiment:
    """The experiment, with the default camera that counts if its own does not."""
    if experiment.camera.is_counting:
        return experiment
    return experiment.with_settings(["camera.model=pco_edge"])


def _at_middles(
    candidates: Candidates,
    types: Sequence[DislocationType],
    images: Floats32,
    workers: int | None,
) -> Floats32:
    """Images by which types are the same or not: averages are so only within their accuracy."""
    experiment = candidates.renderer.experiment
    if experiment.camera.oversampling != "auto":
        return images
    renderer = Renderer(experiment.replace(camera={"oversampling": "point"}), workers)
    points = Candidates(renderer, candidates.types, candidates.distortion)
    return _images(points, types, lambda share: None)


def _without_twins(
    types: Sequence[DislocationType], compared: Floats32, images: Floats32
) -> tuple[tuple[DislocationType, ...], tuple[tuple[int, ...], ...], Floats32]:
    """Types and images without those that are the same as another's, and the numbers of those."""
    of = first_equals(compared)
    kept = [k for k, first in enumerate(of) if first == k]
    twins = [
        tuple(types[j].number for j, first in enumerate(of) if first == k and j != k) for k in kept
    ]
    return tuple(types[k] for k in kept), tuple(twins), images[kept]


def _images(candidates: Candidates, types: Sequence[DislocationType], tell: Progress) -> Floats32:
    renderer, origin = candidates.renderer, np.zeros((1, 3))
    images = np.empty((len(types), len(renderer.conditions), *renderer.shape), np.float32)
    lines = (candidates.lines([kind.number], origin) for kind in types)
    for number, image in enumerate(renderer.images(lines)):
        images[number] = image
        tell(0.3 / len(types))
    return images


def _as_bright(images: Floats32) -> Floats32:
    """Images whose features are brighter than the crystal, near the peak by inversion."""
    middle = np.median(images)
    is_bright = images.max() - middle >= middle - images.min()
    return images if is_bright else -images


def _noise_of(candidates: Candidates) -> tuple[Noise, float]:
    """Noise of the camera, and its counts where the intensity is 1."""
    detector = candidates.renderer.setups[0].detector
    noise = FrameNoise(detector).noise
    if noise is None:
        raise InputError("camera.model", "ideal", 'needs a camera that counts: "pco_edge"')
    return noise, detector.unit_signal


def _gaps(
    candidates: Candidates,
    images: Floats32,
    nearest: Ints,
    max_shift: int,
    levels: Sequence[float],
    tell: Progress,
) -> Floats:
    noise, scale = _noise_of(candidates)
    count = images.shape[1]
    gaps = np.empty((len(levels), count, *nearest.shape))
    for first, others in enumerate(nearest):
        signal = scale * images[first].astype(np.float64)
        for k, model in enumerate(_moved(signal, images[others], noise, max_shift)):
            for n, level in enumerate(levels):
                for more in range(count):
                    part = slice(0, more + 1)
                    gaps[n, more, first, k] = expected_gap(level * signal[part], model[part], noise)
        tell(0.3 / len(nearest))
    return gaps


def _moved(
    signal: Floats, models: Floats | Floats32, noise: Noise, max_shift: int
) -> Iterator[Floats]:
    """Images of models where they come nearest to a signal; NaN where they do not reach."""
    shape = (signal.shape[1], signal.shape[2])
    observation = Observation(signal, noise)
    scores = shift_scores(observation, [models], max_shift, workers=1)
    for model, start in zip(models, scores.shift[:, 0], strict=True):
        # A pixel more on every side, as far as the fit may go.
        covered = overlap(shape, shape, start, 5)
        good = np.broadcast_to(covered, signal.shape)
        fit = fit_shift(signal, model, noise, good, start, max_shift)
        yield moved_image(model, shape, fit.shift)


def type_named(types: Sequence[DislocationType], number: int, key: str) -> DislocationType:
    """The type of a number.

    Raises
    ------
    InputError
        If there is none.
    """
    for kind in types:
        if kind.number == number:
            return kind
    raise InputError(key, number, f"is no type of the study; there are 0 to {types[-1].number}")


def condition_names(candidates: Candidates) -> Iterator[str]:
    """How each image is taken, in words: what changes from one to another."""
    conditions = candidates.renderer.conditions
    reflections = [setup.hkl for setup in candidates.renderer.setups]
    for condition in conditions:
        words = []
        if len(reflections) > 1:
            words.append("(" + " ".join(map(str, reflections[condition.reflection])) + ")")
        words.append(f"phi {_signed(1e3 * condition.phi)} mrad")
        if any(c.chi for c in conditions):
            words.append(f"chi {_signed(1e3 * condition.chi)} mrad")
        if any(c.two_theta for c in conditions):
            words.append(f"2theta {_signed(1e3 * condition.two_theta)} mrad")
        if any(c.z for c in conditions):
            words.append(f"z {_signed(condition.z)} um")
        yield ", ".join(words)


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"

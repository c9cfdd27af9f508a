"""The best members of a library between the pixels: candidates by interpolated images."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.workers import worker_count
from weakbeam.fit.observation import Bools, Observation
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import Candidate, are_opposite
from weakbeam.identify.posterior import averaged
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.correlation import normalised_correlation
from weakbeam.identify.search.members import Progress
from weakbeam.identify.search.moving import overlap
from weakbeam.identify.search.shift_scores import ShiftScores
from weakbeam.identify.search.sub_pixel import SubPixelFit, fit_shift

_COMMON = 0.25
"""Least share of the image that all candidates must cover to be compared on the same pixels."""

_MOST = 2.0
"""Largest factor for the pixels that a candidate does not cover where they are not the same."""

_MOST_KEPT = 8
"""How many times as many members may be kept as asked for, where many come near."""


def interpolated_candidates(
    observation: Observation,
    library: Library,
    options: MatchOptions,
    numbers: Sequence[int],
    groups: Sequence[int],
    scores: ShiftScores,
    workers: int | None,
    tell: Progress,
) -> list[Candidate]:
    """Fit the members with the highest scores between the pixels.

    Parameters
    ----------
    observation : Observation
        The images.
    library : Library
        Where the members come from.
    options : MatchOptions
        How many to fit, and how far they may be moved.
    numbers : sequence of int
        Number of each image's condition in the library.
    groups : sequence of int
        Conditions of one number share shift and brightness.
    scores : ShiftScores
        Of the visible members.
    workers : int, optional
        Threads.
    tell : callable
        Told the share that is newly done, 0.3 in total.

    Returns
    -------
    list of Candidate
        One for each type, the best first: its best member, and the mean evidence of all of them.
    """
    fitted = _fits(observation, library, options, numbers, groups, scores, workers, tell)
    return _by_type(library, scores, fitted, observation, numbers, groups, options)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A member, its place among the scores, and its fit to each group of conditions."""

    place: int
    member: int
    images: Floats32
    fits: tuple[SubPixelFit, ...]
    pixels: int

    @property
    def log_evidence(self) -> float:
        """That of all groups together."""
        return sum(fit.log_evidence for fit in self.fits)


def _fits(
    observation: Observation,
    library: Library,
    options: MatchOptions,
    numbers: Sequence[int],
    groups: Sequence[int],
    scores: ShiftScores,
    workers: int | None,
    tell: Progress,
) -> list[_Fitted]:
    """The best members between the pixels, and the opposite of the very best."""
    places = _kept(library, scores, options)
    of_group = {g: [k for k, own in enumerate(groups) if own == g] for g in sorted(set(groups))}
    covered = {
        group: _common(observation.shape, library.shape, scores.shift[places, row])
        for row, group in enumerate(of_group)
    }

    def fitted(place: int) -> _Fitted:
        member = int(library.visible[place])
        images = np.asarray(library.images[member], dtype=np.float32)[list(numbers)]
        fits, pixels = [], 0
        for row, (group, indices) in enumerate(of_group.items()):
            start = [int(k) for k in scores.shift[place, row]]
            common = covered[group]
            own = overlap(observation.shape, library.shape, start)
            compared = observation.good[indices] & (own if common is None else common)
            pixels += int(compared.sum())
            fit = fit_shift(
                observation.images[indices],
                images[indices],
                observation.noise,
                compared,
                start,
                options.max_shift,
            )
            fits.append(fit if common is not None else _as_if_whole(observation, indices, own, fit))
        tell(0.3 / len(places))
        return _Fitted(place, member, images, tuple(fits), pixels)

    with ThreadPoolExecutor(worker_count(workers)) as pool:
        return list(pool.map(fitted, places))


def _kept(library: Library, scores: ShiftScores, options: MatchOptions) -> list[int]:
    """Places of the members with the highest scores; and of the best one's sign partner."""
    order = [int(k) for k in np.argsort(-scores.gain, kind="stable")]
    count = max(options.keep, 1)
    kept = order[:count]
    if options.score == "likelihood":
        highest = float(scores.gain[order[0]])
        least = (1.0 - options.rough) * highest - options.certain
        others = order[count : _MOST_KEPT * count]
        kept += [k for k in others if scores.gain[k] > least]
    numbers = library.members.types[library.visible]
    best = library.types[int(numbers[kept[0]])]
    opposite = [t.number for t in library.types if are_opposite(best, t)]
    partner = next((k for k in order if numbers[k] in opposite), None)
    return kept if partner is None or partner in kept else [*kept, partner]


def _common(image: tuple[int, int], model: tuple[int, int], shifts: Ints) -> Bools | None:
    """Pixels that all candidates cover; None if they are too few."""
    areas = [overlap(image, model, (int(row), int(column))) for row, column in shifts]
    common = np.logical_and.reduce(areas)
    return common if common.sum() >= _COMMON * areas[0].size else None


def _as_if_whole(
    observation: Observation, indices: Sequence[int], covered: Bools, fit: SubPixelFit
) -> SubPixelFit:
    """A fit whose gain is raised by the share of the image's contrast that it does not cover."""
    images, good = observation.images[indices], observation.good[indices]

    def contrast(pixels: Bools) -> float:
        parts = [image[own] for image, own in zip(images, good & pixels, strict=True)]
        return sum(float(part.size * part.var()) for part in parts if part.size)

    present = contrast(covered)
    share = contrast(np.ones(covered.shape, np.bool_)) / present if present else _MOST
    raised = min(share, _MOST)
    evidence = fit.log_evidence + (raised - 1.0) * fit.gain
    return replace(fit, gain=raised * fit.gain, log_evidence=evidence, raised=raised)


def _by_type(
    library: Library,
    scores: ShiftScores,
    fitted: Sequence[_Fitted],
    observation: Observation,
    numbers: Sequence[int],
    groups: Sequence[int],
    options: MatchOptions,
) -> list[Candidate]:
    """One candidate for each type: its best member, and the mean evidence of all of them."""
    clean = remove_background(observation.images, options.background, good=observation.good)
    types = library.members.types
    by_type: dict[int, list[_Fitted]] = {}
    for fit in fitted:
        by_type.setdefault(int(types[fit.member]), []).append(fit)
    candidates = []
    for number, members in by_type.items():
        evidences = [member.log_evidence for member in members]
        best = members[int(np.argmax(evidences))]
        light = remove_background(best.images, options.background)
        correlation = sum(
            float(normalised_correlation(clean[k], light[k], options.max_shift).max())
            for k in range(len(numbers))
        ) / len(numbers)
        candidates.append(
            Candidate(
                type=library.types[number],
                member=best.member,
                depth_um=float(library.members.depths_um[best.member]),
                correlation=correlation,
                score=float(scores.gain[best.place]),
                shift_px=np.array([fit.shift for fit in best.fits]),
                shift_errors_px=np.array(
                    [np.sqrt(np.diag(fit.shift_covariance)) for fit in best.fits]
                ),
                scale=np.array([fit.fit.scale for fit in best.fits]),
                background=_per_image([fit.fit.background for fit in best.fits], groups),
                gain=sum(fit.gain for fit in best.fits),
                raised=max(fit.raised for fit in best.fits),
                log_evidence=averaged(evidences),
                misfit=float(np.mean([fit.fit.misfit for fit in best.fits])),
                pixels=best.pixels,
            )
        )
    return sorted(candidates, key=lambda c: -c.log_evidence)


def _per_image(backgrounds: Sequence[Floats], groups: Sequence[int]) -> Floats:
    """Backgrounds of the groups, in the order of the images."""
    values = np.empty(len(groups))
    for group, own in zip(sorted(set(groups)), backgrounds, strict=True):
        values[[k for k, number in enumerate(groups) if number == group]] = own
    return values

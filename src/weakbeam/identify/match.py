"""Match images against a library: which dislocation explains them best, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.workers import worker_count
from weakbeam.errors import InputError
from weakbeam.fit.observation import Bools, Observation
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_result import Candidate, Match, are_opposite
from weakbeam.identify.posterior import averaged, posterior
from weakbeam.identify.refined_candidates import refine_candidates
from weakbeam.identify.search.background import remove_background
from weakbeam.identify.search.correlation import normalised_correlation
from weakbeam.identify.search.members import Progress, score_members
from weakbeam.identify.search.moving import moved_image, overlap
from weakbeam.identify.search.shift_scores import ShiftScores
from weakbeam.identify.search.sub_pixel import SubPixelFit, fit_shift
from weakbeam.identify.verdict import verdict_of

SCORES = ("likelihood", "correlation")
"""What the members of a library may be ranked by before the best are looked at more closely."""

_COMMON = 0.25
"""Least share of the image that all candidates must cover to be compared on the same pixels."""

_MOST = 2.0
"""Largest factor for the pixels that a candidate does not cover where they are not the same."""


@dataclass(frozen=True)
class MatchOptions:
    """How images are matched.

    Parameters
    ----------
    max_shift : int
        Largest shift of a member along rows and columns (pixels).
    score : str
        One of `SCORES`, by which the members are ranked at first.
    background : str
        How the background is removed for the correlation; see
        :data:`~weakbeam.identify.search.background.METHODS`.
    keep : int
        How many members are then fitted between the pixels.
    refine : int
        How many types are fitted with images computed anew at the end.
    free : tuple of str, optional
        What is fitted of these; see :func:`~weakbeam.fit.refine.refine`. The position unless
        given, and of a type that gains evidence by it the character as well.
    """

    max_shift: int = 20
    score: str = "likelihood"
    background: str = "mean"
    keep: int = 8
    refine: int = 0
    free: tuple[str, ...] | None = None


def match(
    observation: Observation,
    library: Library,
    options: MatchOptions | None = None,
    conditions: Sequence[int] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Match:
    """Rank the types of a library by how well they explain images.

    Parameters
    ----------
    observation : Observation
        One or several images of the same dislocation.
    library : Library
        Ideal images of the candidates, without noise.
    options : MatchOptions, optional
        How to match.
    conditions : sequence of int, optional
        Under which condition of the library each image was taken; all of them in their order unless
        given.
    workers : int, optional
        Threads; the result does not depend on it.
    progress : callable, optional
        Told the share that is newly done, from 0 to 1 in total.

    Returns
    -------
    Match

    Raises
    ------
    InputError
        If images and library do not belong together, or nothing can be compared.

    Notes
    -----
    All visible members are scored at all whole-pixel shifts within the bound
    (:func:`~weakbeam.identify.search.shift_scores.shift_scores`); of large images with 2 x 2 pixels
    merged, and then the best 64 with all pixels. The best are fitted between the pixels
    by interpolation, on pixels that all of them cover, and perhaps refined by computing their
    images anew. Images of one reflection share shift and brightness. Each type gets the mean
    evidence of its members that were fitted; together with equal prior probabilities that makes the
    posterior. Members that were not kept count as ruled out.
    """
    chosen = options or MatchOptions()
    numbers = _checked(observation, library, chosen, conditions)
    groups = [library.conditions[c].reflection for c in numbers]
    tell = progress or (lambda share: None)
    scores = score_members(
        observation,
        library,
        numbers,
        groups,
        chosen.max_shift,
        None if chosen.score == "likelihood" else chosen.background,
        workers,
        tell,
    )
    fitted = _fits(observation, library, chosen, numbers, groups, scores, workers, tell)
    candidates = _by_type(library, scores, fitted, observation, numbers, groups, chosen)
    notes: list[str] = []
    if chosen.refine:
        candidates, notes = refine_candidates(
            observation, library, candidates, numbers, chosen.refine, chosen.free, workers
        )
    evidences = np.array([c.log_evidence for c in candidates])
    misfit = candidates[0].misfit
    shares, cautious = posterior(evidences), posterior(evidences, misfit=misfit)
    candidates = [
        replace(c, probability=float(p), cautious_probability=float(q))
        for c, p, q in zip(candidates, shares, cautious, strict=True)
    ]
    best = candidates[0]
    expected = best.refined_image
    if expected is None:
        expected = _expected(best, library, numbers, groups, observation.shape)
    ranking = _ranking(library, scores)
    return Match(
        observation=observation,
        conditions=tuple(library.conditions[c] for c in numbers),
        candidates=tuple(candidates),
        ranking=ranking,
        score=chosen.score,
        expected=expected,
        verdict=verdict_of(
            candidates,
            len(numbers),
            chosen.max_shift,
            notes,
            int(observation.good.sum()),
            len(library.visible),
        ),
    )


def _checked(
    observation: Observation,
    library: Library,
    options: MatchOptions,
    conditions: Sequence[int] | None,
) -> list[int]:
    """Conditions of the images, after all that can be wrong was looked for."""
    if options.score not in SCORES:
        raise InputError("score", options.score, f"must be one of {', '.join(SCORES)}")
    count = len(library.conditions)
    numbers = list(range(count)) if conditions is None else [int(c) for c in conditions]
    if len(numbers) != len(observation):
        raise InputError(
            "images",
            len(observation),
            f"the library has {count} conditions: say which one each image belongs to",
        )
    for number in numbers:
        if not 0 <= number < count:
            raise InputError("condition", number, f"the library has conditions 0 to {count - 1}")
    if len(library.visible) == 0:
        raise InputError(
            "library", None, f"none of its {len(library)} members is visible under its conditions"
        )
    if library.images.dtype.kind != "f":
        raise InputError("library", None, "has noisy counts: make it with identify.noise = false")
    if options.max_shift > max(observation.shape):
        rows, columns = observation.shape
        raise InputError(
            "max_shift", options.max_shift, f"is more than the image has: {rows} x {columns} pixels"
        )
    if any(o < m for o, m in zip(observation.shape, library.shape, strict=True)):
        rows, columns = observation.shape
        raise InputError(
            "image",
            f"{rows} x {columns} pixels",
            f"is smaller than the library's {library.shape[0]} x {library.shape[1]}: make the "
            f"library with camera.pixels = [{rows}, {columns}] or less",
        )
    for number, (image, good) in enumerate(zip(observation.images, observation.good, strict=True)):
        if np.ptp(image[good]) == 0.0:
            raise InputError(
                "image", number, f"is even: all of its pixels are {float(image[good][0]):g}"
            )
    return numbers


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A member, where it stands among the scores, and its fit for each group of conditions."""

    place: int
    member: int
    images: Floats32
    fits: tuple[SubPixelFit, ...]


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
    places = _kept(library, scores, options.keep)
    of_group = {g: [k for k, own in enumerate(groups) if own == g] for g in sorted(set(groups))}
    covered = {
        group: _common(observation.shape, library.shape, scores.shift[places, row])
        for row, group in enumerate(of_group)
    }

    def one(place: int) -> _Fitted:
        member = int(library.visible[place])
        images = np.asarray(library.images[member], dtype=np.float32)[list(numbers)]
        fits = []
        for row, (group, frames) in enumerate(of_group.items()):
            start = [int(k) for k in scores.shift[place, row]]
            common = covered[group]
            own = overlap(observation.shape, library.shape, start)
            fit = fit_shift(
                observation.images[frames],
                images[frames],
                observation.noise,
                observation.good[frames] & (own if common is None else common),
                start,
                options.max_shift,
            )
            fits.append(fit if common is not None else _as_if_whole(observation, frames, own, fit))
        tell(0.3 / len(places))
        return _Fitted(place, member, images, tuple(fits))

    with ThreadPoolExecutor(worker_count(workers)) as pool:
        return list(pool.map(one, places))


def _kept(library: Library, scores: ShiftScores, count: int) -> list[int]:
    """Places of the members with the highest scores; and of the best one's sign partner."""
    order = [int(k) for k in np.argsort(-scores.gain, kind="stable")]
    kept = order[: max(count, 1)]
    numbers = library.members.types[library.visible]
    best = library.types[int(numbers[kept[0]])]
    partner = [t.number for t in library.types if are_opposite(best, t)]
    found = next((k for k in order if numbers[k] in partner), None)
    return kept if found is None or found in kept else [*kept, found]


def _common(image: tuple[int, int], model: tuple[int, int], shifts: Ints) -> Bools | None:
    """Pixels that all candidates cover; None if they are too few."""
    areas = [overlap(image, model, (int(row), int(column))) for row, column in shifts]
    common = np.logical_and.reduce(areas)
    return common if common.sum() >= _COMMON * areas[0].size else None


def _as_if_whole(
    observation: Observation, frames: Sequence[int], covered: Bools, fit: SubPixelFit
) -> SubPixelFit:
    """A fit whose gain is raised by the share of the image's contrast that it does not cover."""
    images, good = observation.images[frames], observation.good[frames]

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
    for one in fitted:
        by_type.setdefault(int(types[one.member]), []).append(one)
    candidates = []
    for number, members in by_type.items():
        evidences = [sum(fit.log_evidence for fit in one.fits) for one in members]
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
            )
        )
    return sorted(candidates, key=lambda c: -c.log_evidence)


def _per_image(backgrounds: Sequence[Floats], groups: Sequence[int]) -> Floats:
    """Backgrounds of the groups, in the order of the images."""
    values = np.empty(len(groups))
    for group, found in zip(sorted(set(groups)), backgrounds, strict=True):
        values[[k for k, own in enumerate(groups) if own == group]] = found
    return values


def _expected(
    best: Candidate,
    library: Library,
    numbers: Sequence[int],
    groups: Sequence[int],
    shape: tuple[int, int],
) -> Floats:
    """Counts of the best candidate, NaN where its image does not reach."""
    images = np.asarray(library.images[best.member], dtype=np.float32)[list(numbers)]
    expected = np.empty((len(numbers), *shape))
    for row, group in enumerate(sorted(set(groups))):
        frames = [k for k, own in enumerate(groups) if own == group]
        moved = moved_image(images[frames], shape, best.shift_px[row])
        expected[frames] = best.scale[row] * moved + best.background[frames][:, None, None]
    return expected


def _ranking(library: Library, scores: ShiftScores) -> tuple[tuple[int, float], ...]:
    """Numbers of all visible types and the scores of their best members, the highest first."""
    best: dict[int, float] = {}
    types = library.members.types[library.visible]
    for number, score in zip(types, scores.gain, strict=True):
        best[int(number)] = max(best.get(int(number), -np.inf), float(score))
    return tuple(sorted(best.items(), key=lambda item: -item[1]))

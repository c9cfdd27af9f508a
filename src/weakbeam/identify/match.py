"""Match images against a library: which dislocation explains them best, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.fit.observation import Observation
from weakbeam.identify.interpolated_candidates import interpolated_candidates
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_options import SCORES, MatchOptions
from weakbeam.identify.match_result import Candidate, Match
from weakbeam.identify.posterior import posterior
from weakbeam.identify.refined_candidates import refine_candidates
from weakbeam.identify.search.members import Progress, score_members
from weakbeam.identify.search.moving import moved_image
from weakbeam.identify.search.shift_scores import ShiftScores
from weakbeam.identify.verdict import verdict_of
from weakbeam.run.render import Renderer


def match(
    observation: Observation,
    library: Library,
    options: MatchOptions | None = None,
    conditions: Sequence[int] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    renderer: Renderer | None = None,
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
    renderer : Renderer, optional
        Of the library's experiment, where one is at hand: many images are matched faster with it.

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
    by interpolation, on pixels that all of them cover, and those types that come near are refined
    by computing their images anew. Images of one reflection share shift and brightness. Each type
    gets the mean evidence of its members that were fitted; together with equal prior probabilities
    that makes the posterior. Members that were not kept count as ruled out.
    """
    chosen = options or MatchOptions()
    numbers = _checked(observation, library, chosen, conditions)
    groups = [library.conditions[c].reflection for c in numbers]
    tell = progress or (lambda share: None)
    if chosen.nuisances is not None:
        from weakbeam.identify.nuisances.tolerant_match import match_with_nuisances

        return match_with_nuisances(observation, library, chosen, numbers, workers, tell)
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
    candidates = interpolated_candidates(
        observation, library, chosen, numbers, groups, scores, workers, tell
    )
    notes: list[str] = []
    if chosen.refine:
        drawing = Renderer(library.experiment, workers) if renderer is None else renderer
        candidates, notes = refine_candidates(
            observation, library, candidates, numbers, chosen, drawing
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
        indices = [k for k, own in enumerate(groups) if own == group]
        moved = moved_image(images[indices], shape, best.shift_px[row])
        expected[indices] = best.scale[row] * moved + best.background[indices][:, None, None]
    return expected


def _ranking(library: Library, scores: ShiftScores) -> tuple[tuple[int, float], ...]:
    """Numbers of all visible types and the scores of their best members, the highest first."""
    best: dict[int, float] = {}
    types = library.members.types[library.visible]
    for number, score in zip(types, scores.gain, strict=True):
        best[int(number)] = max(best.get(int(number), -np.inf), float(score))
    return tuple(sorted(best.items(), key=lambda item: -item[1]))

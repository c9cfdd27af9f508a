"""The best candidates of a match, fitted with images computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.defects.types import DislocationType
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.line_place import FLAT, PositionPrior
from weakbeam.fit.observation import Observation
from weakbeam.fit.refine import CHARACTER, Refinement, promised_by_turning, refine, starting_point
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import Candidate
from weakbeam.identify.posterior import largest_misfit
from weakbeam.run.render import Renderer
from weakbeam.run.view import View, view_of

_TURNED_DEG = 10.0
"""Characters that differ by less are the same candidate once the character is free."""


def position_prior(library: Library, renderer: Renderer, options: MatchOptions) -> PositionPrior:
    """Where a dislocation may be that is matched: evenly in a box about the middle of the images.

    Parameters
    ----------
    library : Library
        What it is matched with; where its members lie, the box reaches around all of them.
    renderer : Renderer
        Of the library's experiment.
    options : MatchOptions
        The largest shift and, if it is given, the depth.

    Returns
    -------
    PositionPrior
    """
    row, column = renderer.pixel_steps()
    axes = np.stack([row, column, renderer.up])
    spread = np.abs(library.members.positions_um @ np.linalg.inv(axes)).max(axis=0)
    depth = options.depth_um
    if depth is None:
        depth = max(renderer.lit_depth, 2.0 * float(spread[2]))
    rows, columns = (max(2.0 * (options.max_shift + float(n)), 1.0) for n in spread[:2])
    return PositionPrior.of_view(renderer, (rows, columns), depth)


def refine_candidates(
    observation: Observation,
    library: Library,
    candidates: Sequence[Candidate],
    conditions: Sequence[int],
    options: MatchOptions,
    renderer: Renderer,
) -> tuple[list[Candidate], list[str]]:
    """Refine the best candidates and rank all of them again.

    Parameters
    ----------
    observation : Observation
        The images.
    library : Library
        Where the candidates come from.
    candidates : sequence of Candidate
        The best first.
    conditions : sequence of int
        Number of each image's condition in the library.
    options : MatchOptions
        How many to refine, and what is fitted.
    renderer : Renderer
        Computes images under the library's conditions.

    Returns
    -------
    candidates : list of Candidate
        The best first. The evidence of those that were not refined is raised by as much as that of
        the refined one that gained most.
    notes : list of str
        What to tell of it.
    """
    turning = options.free is None or "character" in options.free
    prior = position_prior(library, renderer, options)
    refined: dict[int, Candidate] = {}
    elsewhere: list[Candidate] = []
    before = {c.type.number: c.log_evidence for c in candidates}
    best = candidates[0]
    least = best.log_evidence - options.certain - options.rough * max(best.gain, 0.0)
    for candidate in candidates:
        if len(refined) == options.refine or (refined and candidate.log_evidence <= least):
            break
        if turning or not any(number in refined for number in candidate.type.same_as):
            fit, *turned_away = _refined(
                observation, library, candidate, renderer, conditions, options, prior
            )
            refined[candidate.type.number] = fit
            elsewhere += turned_away
            if fit.misfit <= largest_misfit(fit.pixels):
                wrong = options.climbed * _interpolated_worse(candidate, fit)
                least = max(least, candidate.log_evidence - options.certain - wrong)
    raised = max(c.log_evidence - before[number] for number, c in refined.items())
    again, left = elsewhere, 0
    for candidate in candidates:
        own = candidate.type
        if own.number in refined:
            again.append(refined[own.number])
            continue
        twin = None if turning else next((n for n in own.same_as if n in refined), None)
        if twin is not None:
            again.append(replace(refined[twin], type=own))
            continue
        left += candidate.log_evidence > least
        again.append(replace(candidate, log_evidence=candidate.log_evidence + raised))
    notes = [
        f"refinement of {c.type.name} did not converge"
        for c in refined.values()
        if c.refinement is not None and not c.refinement.converged
    ]
    if left:
        notes.append(f"{left} more candidates may come near when refined: raise their number")
    again.sort(key=lambda c: -c.log_evidence)
    notes += _places(again[0])
    return (_apart(again) if turning else again), notes


def _interpolated_worse(candidate: Candidate, refined: Candidate) -> float:
    """By how much interpolation has lowered the log-likelihood, on the pixels it was fitted to."""
    return 0.5 * max(candidate.misfit - refined.misfit, 0.0) * candidate.pixels


def _places(candidate: Candidate) -> list[str]:
    """Where else the dislocation may be."""
    fit = candidate.refinement
    if fit is None or not fit.ambiguous:
        return []
    places = [
        " and ".join(
            f"{name} {value:.3f}" for name, value in zip(fit.names[:2], other.values, strict=False)
        )
        + f" ({100.0 * other.probability:.0f} %)"
        for other in fit.others
    ]
    return [
        f"the place of {candidate.type.name} is ambiguous: it may also be at {', '.join(places)}"
    ]


def _apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates without those that a better one, whose line was turned, has come to stand for."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if not any(_stands_for(other, candidate) for other in kept):
            kept.append(candidate)
    return kept


def _stands_for(better: Candidate, candidate: Candidate) -> bool:
    """Whether two candidates of one slip system have come together by turning."""
    if not (_was_turned(better) or _was_turned(candidate)):
        return False
    first, second = better.type, candidate.type
    near = _angle(first.character_deg, second.character_deg) < _TURNED_DEG
    return first.number == second.number or (
        near and (first.plane, first.burgers) == (second.plane, second.burgers)
    )


def _was_turned(candidate: Candidate) -> bool:
    return candidate.refinement is not None and CHARACTER in candidate.refinement.names


def numbered_type(kind: DislocationType, types: Sequence[DislocationType]) -> DislocationType:
    """A type whose line was turned, with the number of the nearest one on the list."""
    alike = [other for other in types if (other.plane, other.burgers) == (kind.plane, kind.burgers)]
    nearest = min(alike, key=lambda other: _angle(other.character_deg, kind.character_deg))
    return replace(kind, number=nearest.number)


def _angle(first: float, second: float) -> float:
    return abs((first - second + 180.0) % 360.0 - 180.0)


def _refined(
    observation: Observation,
    library: Library,
    candidate: Candidate,
    renderer: Renderer,
    conditions: Sequence[int],
    options: MatchOptions,
    prior: PositionPrior,
) -> list[Candidate]:
    """Fit one candidate, from where the library's image lay best.

    If its line gains evidence by turning nearer to another character of the list than to its own,
    that is a second candidate beside the one that was not turned.

    Of larger images the fit takes windows of the library's size, one for each reflection, about
    where the line is seen; places are counted from the middle of the whole images.
    """
    whole, own = np.array(observation.shape), np.array(renderer.shape)
    # Shifts are counted from where the pixels of both images coincide.
    shift = candidate.shift_px[0] - (whole - own) % 2 / 2.0
    steps = np.stack(renderer.pixel_steps())
    position = library.members.positions_um[candidate.member] + shift @ steps
    rows, columns, depth = starting_point(renderer, position)
    kind = candidate.type
    direction = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg).lines[0]
    reflections = [renderer.conditions[k].reflection for k in conditions]
    corners = {
        reflection: _corner(
            view_of(renderer.setups[reflection], renderer.setups[0], renderer.conditions[k].z),
            position,
            direction,
            whole,
        )
        for k, reflection in zip(conditions, reflections, strict=True)
    }
    windows = [
        tuple(slice(int(c), int(c + n)) for c, n in zip(corners[reflection], own, strict=True))
        for reflection in reflections
    ]
    part = Observation(
        np.stack([image[w] for image, w in zip(observation.images, windows, strict=True)]),
        observation.noise,
        np.stack([good[w] for good, w in zip(observation.good, windows, strict=True)]),
    )
    middles = {reflection: corner - (whole - own) / 2.0 for reflection, corner in corners.items()}
    looking = renderer.chosen(conditions, middles)

    def fitted(place: tuple[float, float, float], what: Sequence[str], scout: bool) -> Refinement:
        return refine(part, looking, kind, place[:2], place[2], what, prior, scout)

    free = options.free
    fits = [fitted((rows, columns, depth), ("position",) if free is None else free, True)]
    if free is None and promised_by_turning(part, looking, fits[0], prior) > 0.0:
        there = starting_point(renderer, fits[0].position_um)
        turned = fitted(there, ("position", "character"), False)
        if turned.log_evidence > fits[0].log_evidence:
            if numbered_type(turned.type, library.types).number == kind.number:
                fits = []
            fits.append(turned)
    flat = fit_scale(part.images, np.zeros(part.images.shape), part.noise, part.good)
    return [
        replace(
            candidate,
            type=fit.type if fit.type == kind else numbered_type(fit.type, library.types),
            gain=fit.log_likelihood - flat.log_likelihood,
            raised=1.0,
            log_evidence=fit.log_evidence,
            misfit=fit.misfit,
            pixels=int(part.good.sum()),
            scale=fit.scales,
            background=fit.values[-len(part) :],
            refinement=fit,
            refined_image=_whole(observation, windows, fit.image),
        )
        for fit in fits
    ]


def _whole(
    observation: Observation, windows: Sequence[tuple[slice, ...]], images: Floats
) -> Floats:
    """Images of windows in frames of the observation's size, NaN outside."""
    whole = np.full(observation.images.shape, np.nan)
    for frame, window, image in zip(whole, windows, images, strict=True):
        frame[window] = image
    return whole


def _corner(view: View, position: Floats, direction: Floats, whole: Ints) -> Ints:
    """First row and column of a window of larger images about where a line is seen."""
    steep = abs(float(direction @ view.up)) >= FLAT
    pixel = view.piercing(position, direction) if steep else view.pixel(position)
    room = whole - np.array(view.shape)
    first = pixel - (np.array(view.shape) - 1) / 2.0 + room / 2.0
    return np.asarray(np.clip(np.round(first).astype(np.int64), 0, room))

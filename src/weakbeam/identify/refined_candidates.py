"""The best candidates of a match, fitted with images computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.line_place import FLAT, PositionPrior
from weakbeam.fit.observation import Observation
from weakbeam.fit.refine import CHARACTER, Refinement, refine, starting_point
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_result import Candidate
from weakbeam.run.render import Renderer
from weakbeam.run.view import View, view_of

_FAR = 10.0
"""Gap of the evidence beyond which the candidates that were not refined do not matter."""

_TURNED_DEG = 10.0
"""Characters that differ by less are the same candidate once the character is free."""


def refine_candidates(
    observation: Observation,
    library: Library,
    candidates: Sequence[Candidate],
    conditions: Sequence[int],
    count: int,
    free: Sequence[str] | None = None,
    workers: int | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Refine the best candidates and rank all of them again.

    Parameters
    ----------
    observation : Observation
        The images.
    library : Library
        Where the candidates come from; its experiment tells how to compute images.
    candidates : sequence of Candidate
        The best first.
    conditions : sequence of int
        Number of each image's condition in the library.
    count : int
        How many to refine; candidates that make the same images count once.
    free : sequence of str, optional
        What is fitted; see :func:`~weakbeam.fit.refine.refine`. The position unless given, and
        of a type that gains evidence by it the character as well.
    workers : int, optional
        Threads.

    Returns
    -------
    candidates : list of Candidate
        The best first. The evidence of those that were not refined is raised by as much as that of
        the refined one that gained most.
    notes : list of str
        What to tell of it.
    """
    renderer = Renderer(library.experiment, workers)
    turning = free is None or "character" in free
    found: dict[int, Candidate] = {}
    for candidate in candidates:
        if len(found) == count:
            break
        if turning or not any(number in found for number in candidate.type.same_as):
            number = candidate.type.number
            found[number] = _refined(observation, library, candidate, renderer, conditions, free)
    before = {c.type.number: c.log_evidence for c in candidates}
    raised = max(c.log_evidence - before[number] for number, c in found.items())
    highest = max(c.log_evidence for c in found.values())
    again, close = [], 0
    for candidate in candidates:
        own = candidate.type
        same = () if turning else own.same_as
        twin = next((n for n in (own.number, *same) if n in found), None)
        if twin is not None:
            turned = found[twin].type.character_deg
            again.append(replace(found[twin], type=replace(own, character_deg=turned)))
            continue
        evidence = candidate.log_evidence + raised
        close += evidence > highest - _FAR
        again.append(replace(candidate, log_evidence=evidence))
    notes = [
        f"refinement of {c.type.name} did not converge"
        for c in found.values()
        if c.refinement is not None and not c.refinement.converged
    ]
    if close:
        notes.append(f"{close} more candidates may come near when refined: raise their number")
    again.sort(key=lambda c: -c.log_evidence)
    notes += _places(again[0])
    return (_apart(again) if turning else again), notes


def _places(candidate: Candidate) -> list[str]:
    """Where else the dislocation may be."""
    fit = candidate.refinement
    if fit is None or not fit.ambiguous:
        return []
    told = [
        " and ".join(
            f"{name} {value:.3f}" for name, value in zip(fit.names[:2], other.values, strict=False)
        )
        + f" ({100.0 * other.probability:.0f} %)"
        for other in fit.others
    ]
    return [f"the place of {candidate.type.name} is ambiguous: it may also be at {', '.join(told)}"]


def _apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates without those that a better one, whose line was turned, has come to stand for."""
    kept: list[Candidate] = []
    for one in candidates:
        if not any(
            (_was_turned(one) or _was_turned(other))
            and (other.type.plane, other.type.burgers) == (one.type.plane, one.type.burgers)
            and _angle(other.type.character_deg, one.type.character_deg) < _TURNED_DEG
            for other in kept
        ):
            kept.append(one)
    return kept


def _was_turned(one: Candidate) -> bool:
    return one.refinement is not None and CHARACTER in one.refinement.names


def _angle(one: float, other: float) -> float:
    return abs((one - other + 180.0) % 360.0 - 180.0)


def _refined(
    observation: Observation,
    library: Library,
    candidate: Candidate,
    renderer: Renderer,
    conditions: Sequence[int],
    free: Sequence[str] | None,
) -> Candidate:
    """Fit one candidate, from where the library's image lay best.

    Of larger images the fit takes windows of the library's size, one for each reflection, about
    where the line is seen; places are counted from the middle of the whole images.
    """
    seen, own = np.array(observation.shape), np.array(renderer.shape)
    # Shifts are counted from where the pixels of both images coincide.
    shift = candidate.shift_px[0] - (seen - own) % 2 / 2.0
    steps = np.stack(renderer.pixel_steps())
    position = library.members.positions_um[candidate.member] + shift @ steps
    rows, columns, depth = starting_point(renderer, position)
    one = candidate.type
    direction = renderer.lines_of(one.plane, one.burgers, one.character_deg).lines[0]
    reflections = [renderer.conditions[k].reflection for k in conditions]
    corners = {
        reflection: _corner(
            view_of(renderer.setups[reflection], renderer.setups[0], renderer.conditions[k].z),
            position,
            direction,
            seen,
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
    middles = {reflection: corner - (seen - own) / 2.0 for reflection, corner in corners.items()}
    looking = renderer.chosen(conditions, middles)
    prior = PositionPrior.of_view(renderer, observation.shape)

    def fitted(place: tuple[float, float, float], what: Sequence[str], scout: bool) -> Refinement:
        return refine(part, looking, one, place[:2], place[2], what, prior, scout)

    fit = fitted((rows, columns, depth), ("position",) if free is None else free, True)
    if free is None:
        there = starting_point(renderer, fit.position_um)
        turned = fitted(there, ("position", "character"), False)
        fit = max(fit, turned, key=lambda one: one.log_evidence)
    flat = fit_scale(part.images, np.zeros(part.images.shape), part.noise, part.good)
    image = np.full(observation.images.shape, np.nan)
    for frame, window, light in zip(image, windows, fit.image, strict=True):
        frame[window] = light
    return replace(
        candidate,
        type=fit.type,
        gain=fit.log_likelihood - flat.log_likelihood,
        raised=1.0,
        log_evidence=fit.log_evidence,
        misfit=fit.misfit,
        scale=fit.scales,
        background=fit.values[-len(part) :],
        refinement=fit,
        refined_image=image,
    )


def _corner(view: View, position: Floats, direction: Floats, seen: Ints) -> Ints:
    """First row and column of a window of larger images about where a line is seen."""
    steep = abs(float(direction @ view.up)) >= FLAT
    pixel = view.piercing(position, direction) if steep else view.pixel(position)
    room = seen - np.array(view.shape)
    first = pixel - (np.array(view.shape) - 1) / 2.0 + room / 2.0
    return np.asarray(np.clip(np.round(first).astype(np.int64), 0, room))

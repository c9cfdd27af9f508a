"""Whether images decide which dislocation they show, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.identify.match_result import Candidate, Verdict, are_opposite
from weakbeam.identify.posterior import credible_set, largest_misfit, merged

LEVEL = 0.95
"""Probability from which a type counts as identified."""

_SEEN = 10.0
"""Log-likelihood above an even background from which there is a dislocation at all. Shifts and
types to choose from raise the best of pure noise by about the logarithm of their number."""

_SHOWN = 4


def verdict_of(
    candidates: Sequence[Candidate],
    images: int,
    max_shift: int,
    notes: Sequence[str] = (),
    pixels: int = 10_000,
) -> Verdict:
    """Put the probabilities of candidates into words.

    Parameters
    ----------
    candidates : sequence of Candidate
        The best first; with probabilities.
    images : int
        How many images there are.
    max_shift : int
        Largest shift that was tried (pixels).
    notes : sequence of str
        What is known already.
    pixels : int
        How many the images have together.

    Returns
    -------
    Verdict
        Decided by the cautious probabilities, which allow for a misfit of the best candidate; never
        if that is more than noise leaves.
    """
    groups, shares = _groups(candidates)
    best = candidates[0]
    told = list(notes)
    most = largest_misfit(pixels)
    explained = best.misfit <= most
    if not explained:
        told.append(
            f"the best candidate leaves residuals of {best.misfit:.3g} times the variance of the "
            f"noise, where {most:.3g} is the most that noise leaves"
            + (": refine the best candidates" if best.refinement is None else "")
            + "; probabilities are only those among the candidates"
        )
    if max_shift and np.abs(best.shift_px).max() >= max_shift - 0.5:
        told.append(f"the best shift lies at the bound of {max_shift} pixels: allow a larger one")
    gap = math.inf if len(groups) < 2 else best.log_evidence - _first(groups[1], candidates)
    chosen = credible_set(shares, LEVEL)
    numbers = tuple(candidates[k].type.number for g in chosen for k in groups[g])
    if best.gain < _SEEN:
        sentence = (
            "no dislocation is seen: the best candidate explains the images hardly better than an "
            "even background"
        )
        return Verdict(False, False, sentence, numbers, gap, tuple(told), explained)
    if not explained:
        sentence = (
            "no type of the library explains the images within their noise; "
            f"{best.type.name} comes nearest"
        )
        return Verdict(True, False, sentence, numbers, gap, tuple(told), False)
    if len(chosen) == 1:
        share = min(float(shares[chosen[0]]), 1.0 - 1e-9)
        shown = f"{100.0 * share:.3g} %" if share < 0.9995 else "more than 99.9 %"
        names = " or ".join(candidates[k].type.name for k in groups[chosen[0]])
        sentence = f"{names} (probability {shown})"
        if len(groups[chosen[0]]) > 1:
            told.append("screws of one Burgers vector in two planes are the same dislocation")
        return Verdict(True, True, sentence, numbers, gap, tuple(told))
    first = [groups[g][0] for g in chosen]
    names = ", ".join(
        f"{candidates[k].type.name} ({100.0 * float(shares[g]):.0f} %)"
        for k, g in zip(first[:_SHOWN], chosen, strict=False)
    )
    more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
    sentence = f"the images cannot decide between {names}{more}"
    if any(are_opposite(best.type, candidates[k].type) for k in first[1:]):
        told.append(
            "b and -b are not told apart"
            + (": a pair of images at +phi and -phi does that" if images == 1 else "")
        )
    return Verdict(True, False, sentence, numbers, gap, tuple(told))


def _groups(candidates: Sequence[Candidate]) -> tuple[list[tuple[int, ...]], list[float]]:
    """Candidates that make the same images, and the probability of each group; the best first."""
    place = {c.type.number: k for k, c in enumerate(candidates)}
    same = [[place[n] for n in c.type.same_as if n in place] for c in candidates]
    shares, groups = merged([c.cautious_probability for c in candidates], same)
    order = sorted(range(len(groups)), key=lambda g: _first(groups[g], candidates), reverse=True)
    return [groups[g] for g in order], [float(shares[g]) for g in order]


def _first(group: Sequence[int], candidates: Sequence[Candidate]) -> float:
    return max(candidates[k].log_evidence for k in group)

"""Whether images decide which dislocation they show, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammainccinv

from weakbeam.identify.match_result import Candidate, Verdict, are_opposite
from weakbeam.identify.posterior import credible_set, largest_misfit, merged

LEVEL = 0.95
"""Probability from which a type counts as identified."""

FALSE_ALARM = 1e-3
"""Largest probability with which pure noise counts as a dislocation."""

_MEMBERS = 432
"""Members of the usual library: all types of an fcc crystal at steps of 10 degrees."""

_SHOWN = 4


def verdict_of(
    candidates: Sequence[Candidate],
    images: int,
    max_shift: int,
    notes: Sequence[str] = (),
    pixels: int = 10_000,
    members: int = _MEMBERS,
    tolerated: float = 1.0,
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
    members : int
        How many of the library were tried at all shifts.
    tolerated : float
        Misfit that counts as explained even if noise alone leaves less.

    Returns
    -------
    Verdict
        Decided by the cautious probabilities, which allow for a misfit of the best candidate; never
        if that is more than noise leaves.
    """
    groups, shares = _groups(candidates)
    best = candidates[0]
    remarks = list(notes)
    most = max(largest_misfit(pixels), tolerated)
    explained = best.misfit <= most
    if not explained:
        remarks.append(
            f"the best candidate leaves residuals of {best.misfit:.3g} times the variance of the "
            f"noise, where {most:.3g} is the most that noise leaves"
            + (": refine the best candidates" if best.refinement is None else "")
            + "; probabilities are only those among the candidates"
        )
    if max_shift and np.abs(best.shift_px).max() >= max_shift - 0.5:
        remarks.append(
            f"the best shift lies at the bound of {max_shift} pixels: allow a larger one"
        )
    gap = math.inf if len(groups) < 2 else best.log_evidence - _first(groups[1], candidates)
    chosen = credible_set(shares, LEVEL)
    numbers = tuple(candidates[k].type.number for g in chosen for k in groups[g])
    if best.gain < best.raised * least_gain(members, max_shift, len(best.shift_px)):
        sentence = (
            "no dislocation is seen: the best candidate explains the images hardly better than an "
            "even background"
        )
        return Verdict(False, False, sentence, numbers, gap, tuple(remarks), explained)
    if not explained:
        sentence = (
            "no type of the library explains the images within their noise; "
            f"{best.type.name} comes nearest"
        )
        return Verdict(True, False, sentence, numbers, gap, tuple(remarks), False)
    if len(chosen) == 1:
        share = min(float(shares[chosen[0]]), 1.0 - 1e-9)
        shown = f"{100.0 * share:.3g} %" if share < 0.9995 else "more than 99.9 %"
        names = " or ".join(candidates[k].type.name for k in groups[chosen[0]])
        sentence = f"{names} (probability {shown})"
        if len(groups[chosen[0]]) > 1:
            remarks.append("screws of one Burgers vector in two planes are the same dislocation")
        return Verdict(True, True, sentence, numbers, gap, tuple(remarks))
    first = [groups[g][0] for g in chosen]
    names = ", ".join(
        f"{candidates[k].type.name} ({100.0 * float(shares[g]):.0f} %)"
        for k, g in zip(first[:_SHOWN], chosen, strict=False)
    )
    more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
    sentence = f"the images cannot decide between {names}{more}"
    if any(are_opposite(best.type, candidates[k].type) for k in first[1:]):
        remarks.append(
            "b and -b are not told apart"
            + (": a pair of images at +phi and -phi does that" if images == 1 else "")
        )
    return Verdict(True, False, sentence, numbers, gap, tuple(remarks))


def least_gain(members: int, max_shift: int, reflections: int = 1) -> float:
    r"""Gain of the log-likelihood that pure noise hardly ever reaches.

    Parameters
    ----------
    members : int
        How many of a library are tried.
    max_shift : int
        Largest shift along rows and columns (pixels) at which each is tried.
    reflections : int
        How many have a shift and a brightness of their own.

    Returns
    -------
    float
        The u with :math:`N\,Q(r/2, u) =` `FALSE_ALARM`, for r reflections and
        :math:`N = n(2M+1)^{2r}` trials.

    Notes
    -----
    Twice the gain of one fitted brightness is the square of a standard normal variable (Wilks), and
    for r of them the sum of r squares, of which :math:`Q(r/2, u)`, the regularised upper incomplete
    gamma function, tells how often half of it exceeds u. The best of N trials exceeds it N times as
    often at most (Bonferroni): the look-elsewhere effect. Neighbouring shifts and similar types are
    no independent trials, so that the true rate is lower.
    """
    trials = members * float(2 * max_shift + 1) ** (2 * reflections)
    return float(gammainccinv(0.5 * reflections, FALSE_ALARM / trials))


def _groups(candidates: Sequence[Candidate]) -> tuple[list[tuple[int, ...]], list[float]]:
    """Candidates that make the same images, and the probability of each group; the best first."""
    place = {c.type.number: k for k, c in enumerate(candidates)}
    same = [[place[n] for n in c.type.same_as if n in place] for c in candidates]
    shares, groups = merged([c.cautious_probability for c in candidates], same)
    order = sorted(range(len(groups)), key=lambda g: _first(groups[g], candidates), reverse=True)
    return [groups[g] for g in order], [float(shares[g]) for g in order]


def _first(group: Sequence[int], candidates: Sequence[Candidate]) -> float:
    return max(candidates[k].log_evidence for k in group)

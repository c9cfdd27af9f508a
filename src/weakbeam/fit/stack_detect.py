"""The dislocations that explain a map: added, exchanged and taken away one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.stack_maps import Candidate, MapFit, MapModel, Pattern

_TRIED = 6
_ROUNDS = 3
_HOPELESS = 0.6
"""Candidates that gain less than this share of what the best one gains are not tried."""

_ALIKE = 0.05
"""Sets of lines are the same if their log-likelihoods are so near to each other."""

_NEXT = 4
"""Lines next to one that is new of which it is tried at once whether they are others now."""

_SHORT = 8
"""Steps of a climb that only tells candidates apart."""


def found_lines(
    map_model: MapModel,
    patterns: Sequence[Pattern],
    price: float,
    most: int,
    start: Sequence[FittedDefect] = (),
    width: int = 1,
    tell: Callable[[str], None] | None = None,
    doubt: tuple[int, float] | None = None,
) -> tuple[MapFit, list[list[Candidate]], list[float]]:
    """Add lines to a map, one after the other, as long as each explains enough of it.

    After each, every line is exchanged for one of another type nearby where that explains more.

    Parameters
    ----------
    map_model : MapModel
        The map.
    patterns : sequence of Pattern
        What may be there.
    price : float
        By how much each line must raise the log-likelihood, in units of the misfit of the map.
    most : int
        Largest number of lines.
    start : sequence of FittedDefect
        Lines that are there already.
    width : int
        So many sets of lines are followed at a time: the best one may be no part of the best with a
        line more.
    tell : callable, optional
        Told what is done.
    doubt : (int, float), optional
        After so many lines that leave such a misfit it ends: more of them may be something else.

    Returns
    -------
    fit : MapFit
        The map with all lines.
    others : list of list of Candidate
        For each line the types that explain the map best in its place, by the log-likelihood of the
        map with each of them, the best first.
    gains : list of float
        What each line is worth to the map.
    """
    beam = [map_model.fit(start)]
    while len(beam[0].lines) < most:
        if doubt and len(beam[0].lines) >= doubt[0] and beam[0].reduced > doubt[1]:
            break
        grown = _grown(map_model, patterns, beam, width)
        if not grown:
            break
        best, _ = exchanged(map_model, patterns, grown[0], 1, _next_to_last(grown[0]))
        gained = (best.log_likelihood - beam[0].log_likelihood) / max(1.0, best.reduced)
        if tell is not None:
            tell(f"{len(best.lines)} lines: gain {gained:.1f}, misfit {best.reduced:.2f}")
        if gained < price:
            break
        beam = _distinct([best, *grown], width)
    fit = beam[0]
    fit, gains = without_needless(map_model, fit, price)
    return (*exchanged(map_model, patterns, fit), gains)


def _grown(
    map_model: MapModel, patterns: Sequence[Pattern], beam: Sequence[MapFit], width: int
) -> list[MapFit]:
    """Some sets of lines with one line more each, the best first."""
    grown = []
    for fit in beam:
        rest = map_model.rest_of(fit.lines)
        tried = [
            map_model.fit([*fit.lines, candidate.line], [len(fit.lines)], _SHORT)
            for candidate in hopeful(map_model.search(patterns, rest, _TRIED))
        ]
        tried.sort(key=lambda one: -one.log_likelihood)
        grown += [map_model.fit(one.lines) for one in tried[:width]]
    return _distinct(grown, width)


def _next_to_last(fit: MapFit) -> list[int]:
    """The last line of some, and those next to it."""
    last = fit.lines[-1].position_um
    away = [float(np.linalg.norm(line.position_um - last)) for line in fit.lines]
    return sorted(np.argsort(away)[: _NEXT + 1].tolist())


def _distinct(fits: Sequence[MapFit], most: int) -> list[MapFit]:
    """The best of some fits that are not alike, the best first."""
    kept: list[MapFit] = []
    for fit in sorted(fits, key=lambda one: -one.log_likelihood):
        if all(abs(fit.log_likelihood - one.log_likelihood) > _ALIKE for one in kept):
            kept.append(fit)
    return kept[:most]


def without_needless(map_model: MapModel, fit: MapFit, price: float) -> tuple[MapFit, list[float]]:
    """Take lines away that explain too little by now; what each of the others is worth."""
    while True:
        less = [map_model.fit([line for line in fit.lines if line is not one]) for one in fit.lines]
        heights = np.array([one.log_likelihood for one in less])
        gains = (fit.log_likelihood - heights) / max(1.0, fit.reduced)
        if not len(gains) or gains.min() >= price:
            return fit, gains.tolist()
        fit = less[int(gains.argmin())]


def hopeful(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that gain about as much as the best; none where even that gains nothing."""
    least = _HOPELESS * candidates[0].gain if candidates else 0.0
    return [candidate for candidate in candidates if candidate.gain >= least > 0.0]


def exchanged(
    map_model: MapModel,
    patterns: Sequence[Pattern],
    fit: MapFit,
    rounds: int = _ROUNDS,
    which: Sequence[int] | None = None,
) -> tuple[MapFit, list[list[Candidate]]]:
    """Exchange lines, all or some, for others nearby where these explain the map better."""
    ranked: list[list[Candidate]] = [[] for _ in fit.lines]
    for _ in range(rounds):
        changed = False
        for k in range(len(fit.lines)) if which is None else which:
            others = [line for n, line in enumerate(fit.lines) if n != k]
            rest = map_model.rest_of(others)
            options = map_model.search(patterns, rest, _TRIED, near=fit.lines[k])
            # The last one: perhaps it belongs somewhere else by now.
            options = [*hopeful(options[:-1]), options[-1]]
            tried = []
            for candidate in options:
                lines = list(fit.lines)
                lines[k] = candidate.line
                tried.append(map_model.fit(lines, [k], _SHORT))
            if not tried:
                continue
            ranked[k] = sorted(
                [Candidate(one.lines[k], one.log_likelihood) for one in tried],
                key=lambda one: -one.gain,
            )
            best = max(tried, key=lambda one: one.log_likelihood)
            if best.log_likelihood > fit.log_likelihood + 0.5:
                fit = map_model.fit(best.lines)
                changed = True
        if not changed:
            break
    return fit, ranked

"""Match images of which not everything is known: types and nuisances together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.bad_pixels import bad_pixels, full_count
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.nuisance_noise import ModelNoise
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Observation
from weakbeam.fit.refine import Refinement
from weakbeam.identify.library.library import Library
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import Candidate, Match, NuisanceValue
from weakbeam.identify.nuisances.orientations import DISTINCT, Orientation
from weakbeam.identify.nuisances.regions import Regions, regions_of
from weakbeam.identify.nuisances.tolerant_search import TolerantOptions, TolerantSearch
from weakbeam.identify.nuisances.window_fit import Fitted
from weakbeam.identify.posterior import posterior
from weakbeam.identify.refined_candidates import numbered_type, position_prior
from weakbeam.identify.search.members import Progress
from weakbeam.identify.verdict import verdict_of
from weakbeam.run.render import Renderer

TOLERATED = 1.3
"""Largest misfit, errors of the model being part of the noise, at which images are explained."""

_SURE = 0.97
"""Share of the window that must be explained before anything is decided."""

_TWINS_DEG = 2.0
"""How far from a character that has twins the images of these are still the same."""

_FAR = 3.5
"""Widths of its prior at which a nuisance makes a match doubtful."""

_POOR = 1.2
"""Misfit of the best coarse fit from which another condenser is tried before anything else."""

_WHOLE = TolerantOptions()
_NARROW = TolerantOptions(reach=0.3, fine_reach=0.3)
"""How images are searched that show something else besides."""

_GLANCE = TolerantOptions(again=24, turned=6)
"""How it is seen whether images may be mirrored."""

_ALIKE = 3.0
"""Log-evidence by which one orientation must lie above another one to be told from it."""


def match_with_nuisances(
    observation: Observation,
    library: Library,
    options: MatchOptions,
    numbers: Sequence[int],
    workers: int | None,
    tell: Progress,
) -> Match:
    """Rank the types of a library, nuisances being fitted along with each.

    Parameters
    ----------
    observation, library, options
        As of :func:`~weakbeam.identify.match.match`; the options have the priors.
    numbers : sequence of int
        Number of each image's condition in the library.
    workers : int, optional
        Threads.
    tell : callable
        Told the share that is newly done, 1 in total.

    Returns
    -------
    Match
    """
    priors = options.nuisances or NuisancePriors.of(None)
    prior = position_prior(library, Renderer(library.experiment, 1, False), options)
    notes: list[str] = []
    cleaned = _without_bad_pixels(observation, notes) if priors.bad_pixels else observation
    tried = DISTINCT if options.orientations else DISTINCT[:1]
    searched = []
    for orientation in tried:
        seen = orientation.undone(cleaned)
        search = _search(seen, library, options, numbers, priors, prior, workers)
        share = 1.0 / (len(tried) if options.camera_known else len(tried) + 0.6)

        def part(amount: float, share: float = share) -> None:
            tell(amount * share)

        turned = search.turned_fits(search.coarse_fits(part), part)
        searched.append((turned[0].log_evidence, orientation, search, turned))
    searched.sort(key=lambda entry: -entry[0])
    best_evidence, orientation, search, turned = searched[0]
    others = [(orientation_, evidence) for evidence, orientation_, _, _ in searched[1:]]
    if not options.orientations and not options.camera_known:
        seen = DISTINCT[1].undone(cleaned)
        flipped = _search(seen, library, options, numbers, priors, prior, workers, _GLANCE)
        coarse = flipped.coarse_fits(tell)
        again = flipped.turned_fits(coarse, lambda x: None)
        others.append((DISTINCT[1], again[0].log_evidence))
    poor = turned[0].misfit > _POOR and priors.condenser.free
    if poor:
        turned = _other_condensers(search, turned)
    fine = search.fine_fits(turned, tell)
    sure = _regions(search, fine[0]).share >= _SURE
    if not sure and not poor and priors.condenser.free:
        again = _other_condensers(search, turned)
        if again is not turned:
            turned, fine = again, search.fine_fits(again, lambda x: None)
            sure = _regions(search, fine[0]).share >= _SURE
    if not sure:
        # Something else is in the window, or near it: look at the middle, where it does least.
        seen = search.observation
        search = _search(seen, library, options, numbers, priors, prior, workers, _NARROW)
        coarse = search.coarse_fits(lambda x: None)
        turned = search.turned_fits(coarse, lambda x: None)
        fine = search.fine_fits(turned, lambda x: None)
        notes.append("the whole window is not explained: its middle counts most, about the line")
    return _result(
        search, library, options, numbers, fine, turned, notes, orientation, others, best_evidence
    )


def _other_condensers(search: TolerantSearch, turned: list[Fitted]) -> list[Fitted]:
    """Fits from coarse ones of a wider or a narrower condenser, if they explain more.

    No offset or tilt of the lattice stands in for it: it moves both flanks of the acceptance apart.
    """

    def quiet(share: float) -> None:
        pass

    for factor in np.exp(np.array([1.5, -1.5]) * search.priors.condenser.width).tolist():
        other = search.turned_fits(search.coarse_fits(quiet, factor), quiet, factor)
        if other[0].log_evidence > turned[0].log_evidence + _ALIKE:
            turned = other
    return turned


def _without_bad_pixels(observation: Observation, notes: list[str]) -> Observation:
    good = observation.good.copy()
    full = 0
    for number, image in enumerate(observation.images):
        count = full_count(np.where(good[number], image, np.nan))
        if count is not None:
            own = good[number] & (image >= count)
            full += int(own.sum())
            good[number] &= ~own
    found = bad_pixels(observation.images, observation.noise, good)
    odd = int(found[0].sum())
    if full:
        notes.append(f"{full} pixels of one highest count are taken to be saturated")
    if odd:
        notes.append(f"{odd} hot or dead pixels are left out")
    return Observation(observation.images, observation.noise, good & ~found)


def _search(
    observation: Observation,
    library: Library,
    options: MatchOptions,
    numbers: Sequence[int],
    priors: NuisancePriors,
    prior: PositionPrior,
    workers: int | None,
    how: TolerantOptions = _WHOLE,
) -> TolerantSearch:
    return TolerantSearch(
        observation, library, numbers, priors, prior, options.max_shift, how, workers
    )


def _regions(search: TolerantSearch, fit: Fitted) -> Regions:
    """Where a fit explains the images."""
    observation = search.observation
    expected, variance = _whole(search, fit)
    residual = (observation.images - expected) / np.sqrt(variance)
    return regions_of(residual, observation.good)


def _result(
    search: TolerantSearch,
    library: Library,
    options: MatchOptions,
    numbers: Sequence[int],
    fine: Sequence[Fitted],
    turned: Sequence[Fitted],
    notes: list[str],
    orientation: Orientation,
    others: Sequence[tuple[Orientation, float]],
    evidence: float,
) -> Match:
    observation = search.observation
    best = fine[0]
    evidences = [fit.log_evidence for fit in fine]
    fits = list(fine)
    # The coarse fits of the others were made with larger errors of the model: they differ less.
    for fit in turned[search.options.fine :]:
        fits.append(fit)
        evidences.append(best.log_evidence - (turned[0].log_evidence - fit.log_evidence))
    order = np.argsort(-np.array(evidences), kind="stable")
    fits, evidences = [fits[k] for k in order], [evidences[k] for k in order]
    best = fits[0]
    shares = posterior(evidences)
    cautious = posterior(evidences, misfit=best.misfit)
    candidates = [
        _candidate(search, library, fit, own, float(share), float(careful))
        for fit, own, share, careful in zip(fits, evidences, shares, cautious, strict=True)
    ]
    expected, variance = _whole(search, best)
    regions = _regions(search, best)
    told = list(notes)
    if not regions.explained:
        told.append(regions.sentence + ": other defects may be there")
    told += _orientation_notes(orientation, others, evidence)
    verdict = verdict_of(
        candidates,
        len(numbers),
        options.max_shift,
        told,
        int(observation.good.sum()),
        len(library.visible),
        TOLERATED,
    )
    strained = _strained(best)
    rivals = [o for o, value in others if value > evidence - _ALIKE]
    if verdict.decided and regions.share < _SURE:
        verdict = replace(
            verdict,
            decided=False,
            sentence=f"{best.type.name} comes nearest, but the images are {regions.sentence}",
        )
    elif verdict.decided and strained:
        verdict = replace(
            verdict,
            decided=False,
            sentence=f"{best.type.name} comes nearest, but only with {', '.join(strained)} far "
            "from what is known beforehand",
        )
    elif verdict.decided and (rivals or not options.camera_known):
        kind = best.type
        sentence = (
            f"{kind.name}, or the same with -b if the camera is turned by 180 degrees, which the "
            "images cannot tell"
        )
        if rivals:
            sentence += f"; they may as well be {', '.join(o.name for o in rivals)}"
        verdict = replace(verdict, decided=False, sentence=sentence)
    return Match(
        observation=observation,
        conditions=tuple(library.conditions[c] for c in numbers),
        candidates=tuple(candidates),
        ranking=tuple((c.type.number, c.log_evidence) for c in candidates),
        score="evidence",
        expected=expected,
        verdict=verdict,
        variance=variance,
        nuisances=_values(search, best),
        regions=regions,
        orientation=orientation.name,
    )


def _strained(fit: Fitted) -> list[str]:
    """Names of nuisances that lie farther from what is known beforehand than chance puts them."""
    return [
        p.name
        for p, value in zip(fit.parameters, fit.values, strict=True)
        if math.isfinite(p.width) and p.name != "blur2" and abs(value - p.mean) > _FAR * p.width
    ]


def _orientation_notes(
    orientation: Orientation, others: Sequence[tuple[Orientation, float]], evidence: float
) -> list[str]:
    notes = []
    if orientation != Orientation():
        notes.append(f"the images are explained best as {orientation.name}")
    for other, value in others:
        gap = evidence - value
        if gap < _ALIKE:
            notes.append(
                f"images that are {other.name} are explained "
                + ("as well" if gap > -_ALIKE else "better")
                + f" (log-evidence {-gap:+.1f})"
            )
    return notes


def with_twins(kind: DislocationType, types: Sequence[DislocationType]) -> DislocationType:
    """A type whose line was turned, with the number of the nearest one on a list, and its twins.

    Types make the same images at single characters, such as screws of one Burgers vector in two
    planes; a fit turns them off these by some tenths of a degree.
    """
    numbered = numbered_type(kind, types)
    (nearest,) = (other for other in types if other.number == numbered.number)
    turned = abs((nearest.character_deg - kind.character_deg + 180.0) % 360.0 - 180.0)
    return replace(numbered, same_as=nearest.same_as if turned < _TWINS_DEG else ())


def _candidate(
    search: TolerantSearch,
    library: Library,
    fit: Fitted,
    evidence: float,
    share: float,
    cautious: float,
) -> Candidate:
    kind = with_twins(fit.type, library.types)
    place = [fit.value(name) for name in fit.place.names]
    crossing = np.array([[value for value, _ in place]])
    errors = np.array([[error for _, error in place]])
    scales = [k for k, name in enumerate(fit.linear_names) if name.startswith("scale")]
    ground = [
        k
        for k, name in enumerate(fit.linear_names)
        if name.startswith("background") and name.endswith("[0]")
    ]
    members = np.flatnonzero(library.members.types == kind.number)
    names = tuple(p.name for p in fit.parameters) + fit.linear_names
    values = np.concatenate([fit.values, fit.linear])
    expected, _ = _whole(search, fit)
    refinement = Refinement(
        type=fit.type,
        position_um=fit.position_um,
        names=names,
        values=values,
        covariance=fit.covariance,
        undetermined=(),
        log_likelihood=fit.log_likelihood,
        log_evidence=evidence,
        misfit=fit.misfit,
        image=expected,
        converged=True,
        renderings=0,
    )
    return Candidate(
        type=kind,
        member=int(members[0]) if len(members) else 0,
        depth_um=0.0,
        correlation=_correlation(search, fit),
        score=evidence,
        shift_px=crossing if not fit.place.in_sheet else np.zeros((1, 2)),
        shift_errors_px=errors,
        scale=fit.linear[scales],
        background=fit.linear[ground],
        gain=_gain(fit),
        log_evidence=evidence,
        misfit=fit.misfit,
        pixels=int((fit.window.number > 0).sum()),
        probability=share,
        cautious_probability=cautious,
        refinement=refinement,
        refined_image=expected,
    )


def _gain(fit: Fitted) -> float:
    """Log-likelihood above that of an even background, the weights being those of the fit."""
    weight, counts = fit.weight, fit.window.counts
    total = weight.sum(axis=(1, 2), keepdims=True)
    mean = (weight * counts).sum(axis=(1, 2), keepdims=True) / np.maximum(total, 1e-300)
    left = counts - fit.light - fit.background
    return float(0.5 * np.sum(weight * ((counts - mean) ** 2 - left**2)))


def _correlation(search: TolerantSearch, fit: Fitted) -> float:
    """Correlation of images and model over the window, the mean of the images."""
    values = []
    for image, light, number in zip(fit.window.counts, fit.light, fit.window.number, strict=True):
        own = number > 0
        a, b = image[own] - image[own].mean(), light[own] - light[own].mean()
        size = math.sqrt(float(a @ a) * float(b @ b))
        values.append(float(a @ b) / size if size > 0 else 0.0)
    return float(np.mean(values))


def _whole(search: TolerantSearch, fit: Fitted) -> tuple[Floats, Floats]:
    """Expected counts and their variance in frames of the images' size, NaN outside the window."""
    observation, window, p = search.observation, fit.window, search.priors
    noise = ModelNoise(observation.noise, p.model_error, p.background_error)
    expected = np.full(observation.images.shape, np.nan)
    variance = np.full(observation.images.shape, np.nan)
    f = window.factor
    rows, columns = window.shape
    for k, reflection in enumerate(search.reflections):
        row, column = (int(n) for n in window.corners[reflection])
        own = slice(row, row + f * rows), slice(column, column + f * columns)
        light = np.repeat(np.repeat(fit.light[k], f, 0), f, 1)
        ground = np.repeat(np.repeat(fit.background[k], f, 0), f, 1)
        expected[k][own] = light + ground
        variance[k][own] = noise.variance(light, ground)
    return expected, variance


_UNITS = {
    "phi_offset": ("urad", 1e6),
    "chi_offset": ("urad", 1e6),
    "two_theta_offset": ("urad", 1e6),
    "tilt": ("urad", 1e6),
}


def _values(search: TolerantSearch, fit: Fitted) -> tuple[NuisanceValue, ...]:
    """Nuisances with errors, in units that people read."""
    found = []
    scale = max(float(fit.linear[0]), 1e-12)
    for k, p in enumerate(fit.parameters):
        if p.name in fit.place.names or p.name == "character_deg":
            continue
        value, error, width = (
            float(fit.values[k]),
            math.sqrt(max(fit.covariance[k, k], 0.0)),
            p.width,
        )
        if p.name == "blur2":
            blur = math.sqrt(max(value, 0.0))
            found.append(
                NuisanceValue("blur", blur, error / max(2.0 * blur, math.sqrt(error)), width, "px")
            )
        elif p.name.startswith("log_"):
            factor = math.exp(value)
            name = p.name.removeprefix("log_")
            found.append(NuisanceValue(f"{name} factor", factor, factor * error, width, ""))
        else:
            unit, times = next(u for key, u in _UNITS.items() if p.name.startswith(key))
            found.append(NuisanceValue(p.name, times * value, times * error, times * width, unit))
    start = len(fit.parameters)
    for k, name in enumerate(fit.linear_names):
        value, error = float(fit.linear[k]), math.sqrt(max(fit.covariance[start + k, start + k], 0))
        if name.startswith("light"):
            found.append(
                NuisanceValue(name, value / scale, error / scale, search.priors.illumination, "")
            )
        elif name.startswith("brightness"):
            found.append(
                NuisanceValue(name, value / scale, error / scale, search.priors.brightness, "")
            )
        elif name.startswith("background"):
            found.append(NuisanceValue(name, value, error, math.inf, "ADU"))
    return tuple(found)

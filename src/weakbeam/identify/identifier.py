"""Identification of images, many of one kind one after the other.

All types are rendered once and kept in memory, at fractions of a pixel and, where depth matters, at
several depths: a search over whole-pixel shifts then comes near to the truth, and a refinement of
the best few ends there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.types import DislocationType
from weakbeam.fit.likelihood import fit_scale
from weakbeam.fit.line_place import FLAT, PositionPrior
from weakbeam.fit.observation import Observation
from weakbeam.fit.refine import Refinement, merged, refine
from weakbeam.identify.posterior import largest_misfit, posterior
from weakbeam.identify.search.shift_scores import shift_scores
from weakbeam.run.render import Renderer

_STEEP = 0.5
"""Sine of the angle to the sheet of the beam above which depth is as good as a shift."""

_DEPTH_STEP_UM = 0.1
_FINE_DEPTH_STEP_UM = 0.04
"""Steps of the depths at which a type is rendered; the fine one for a line in the sheet."""

_APART = (0.4, 0.4, 0.07)
"""Rows, columns and depth (µm) by which starts of a refinement differ."""

_CERTAIN = 9.0
"""A type is refined if its log-likelihood comes within this of the best one's,"""

_COARSE = 0.08
"""and within this share of what the best one explains: scores know no fractions of a pixel."""

_OTHER_START = 0.85
"""Share of a type's best score above which another start is tried as well,"""

_STARTS = 2
"""up to this many, if"""

_CLIMB = 2.0
"""the score is not further below the best one than what a climb gains, times this. So with other
types, once the best one explains the images."""


@dataclass(frozen=True, eq=False)
class Identification:
    """What an observation says of the type.

    Parameters
    ----------
    fits : tuple of Refinement
        The types that were refined, the most probable first. Of types that make the same images
        the first one stands for all.
    probabilities : (types,) ndarray
        Of all types; those that make the same images share theirs evenly.
    scores : (types,) ndarray
        Log-likelihood of each above that of an even background, before any refinement; −inf for
        types that another one stands for.
    """

    fits: tuple[Refinement, ...]
    probabilities: Floats
    scores: Floats

    @property
    def explained(self) -> bool:
        """Whether the best fit leaves no more than noise; if not, no type on the list is right."""
        return _explains(self.fits[0])


class Identifier:
    """Types to choose from, with images of each.

    Parameters
    ----------
    renderer : Renderer
        Computes images under the conditions of the observations.
    types : sequence of DislocationType
        What the dislocation may be.
    prior : PositionPrior
        Where it may be. Choose it small: so is the search.
    offsets : int
        Fractions of a pixel along rows and along columns at which each type is rendered.
    """

    def __init__(
        self,
        renderer: Renderer,
        types: Sequence[DislocationType],
        prior: PositionPrior,
        offsets: int = 2,
    ) -> None:
        self.renderer, self.types, self.prior = renderer, tuple(types), prior
        places = {one.number: k for k, one in enumerate(self.types)}
        self.same: Ints = np.array(
            [
                min([k, *(places[n] for n in one.same_as if n in places)])
                for k, one in enumerate(self.types)
            ]
        )
        """For each type the first one that makes the same images."""
        self.max_shift = (int(np.ceil(prior.rows / 2)), int(np.ceil(prior.columns / 2)))
        self.of, self.starts = self._members(offsets)
        wide = wider(renderer, self.max_shift)
        lines = (self._line(int(k), at) for k, at in zip(self.of, self.starts, strict=True))
        self.images: Floats32 = np.stack(list(wide.images(lines)))
        """(members, conditions, rows, columns), wider than an observation by the largest shift."""

    def identify(self, observation: Observation, most: int = 12, fewest: int = 2) -> Identification:
        """Compare an observation with all types, and refine those that come near.

        Parameters
        ----------
        observation : Observation
            Its images, one for each condition of the renderer.
        most, fewest : int
            Largest and smallest number of types that are refined.
        """
        scores = shift_scores(observation, [self.images], self.max_shift, workers=1)
        best = np.full(len(self.types), -np.inf)
        np.maximum.at(best, self.of, scores.gain)
        least = (1.0 - _COARSE) * float(best.max()) - _CERTAIN
        order = [int(k) for k in np.argsort(-best, kind="stable")]
        peaks = scores.peak[:, 0]
        fits: dict[int, Refinement] = {}
        for k in order[:most]:
            if len(fits) >= fewest and best[k] <= least:
                break
            fits[k] = self._refined(observation, k, scores.gain, peaks)
            if len(fits) == 1 and _explains(fits[k]):
                climbed = self._climbed(observation, fits[k], float(best[k]))
                least = max(least, float(best[k]) - _CERTAIN - _CLIMB * climbed)
        # The others lie as far below in evidence as they do in score.
        evidence = best + float(np.median([fit.log_evidence - best[k] for k, fit in fits.items()]))
        for k, fit in fits.items():
            evidence[k] = fit.log_evidence
        ranked = sorted(fits.values(), key=lambda fit: -fit.log_evidence)
        return Identification(tuple(ranked), posterior(evidence[self.same]), best)

    def probability(self, found: Identification, k: int) -> float:
        """Probability that the images are those of type number k of the list."""
        return float(found.probabilities[self.same == self.same[k]].sum())

    def _refined(self, observation: Observation, k: int, gain: Floats, peak: Floats) -> Refinement:
        """The best fit of a type, from its best image and from others that come near."""
        own = np.flatnonzero(self.of == k)
        own = own[np.argsort(-gain[own], kind="stable")]
        starts: list[Floats] = []
        fits: list[Refinement] = []
        least = _OTHER_START * float(gain[own[0]])
        for member in own:
            if len(fits) == _STARTS or gain[member] < least:
                break
            place = self.starts[member] + np.pad(peak[member], (0, 1))
            if any(np.all(np.abs(place - other) <= _APART) for other in starts):
                continue
            starts.append(place)
            rows, columns, depth = (float(value) for value in place)
            fits.append(
                refine(
                    observation,
                    self.renderer,
                    self.types[k],
                    (rows, columns),
                    depth,
                    prior=self.prior,
                    scout=False,
                )
            )
            # What the first start gained by its climb is about what another one may.
            climbed = self._climbed(observation, fits[0], float(gain[own[0]]))
            least = max(least, float(gain[own[0]]) - _CERTAIN - _CLIMB * climbed)
        return merged(fits)

    def _climbed(self, observation: Observation, fit: Refinement, score: float) -> float:
        """By how much a fit has raised the log-likelihood above the score of its start."""
        nothing = np.zeros(observation.images.shape)
        flat = fit_scale(observation.images, nothing, observation.noise, observation.good)
        return max(fit.log_likelihood - flat.log_likelihood - score, 0.0)

    def _members(self, offsets: int) -> tuple[Ints, Floats]:
        """Type of each image, and the rows, columns and depth (µm) by which it is shifted."""
        even = _fractions(offsets)
        of, starts = [], []
        for k in np.flatnonzero(self.same == np.arange(len(self.types))):
            direction = self._line(int(k), np.zeros(3)).lines[0]
            slope = abs(float(direction @ self.renderer.up))
            rows, columns, depths = even, even, np.zeros(1)
            if slope < FLAT:
                # Only the shift across the line counts, and the depth is independent of it.
                along = np.abs(np.linalg.lstsq(self.prior.steps.T, direction, rcond=None)[0])
                rows, columns = _fractions(2 * offsets), np.zeros(1)
                if along[0] > along[1]:
                    rows, columns = columns, rows
                depths = self._depths(_FINE_DEPTH_STEP_UM)
            elif slope < _STEEP:
                depths = self._depths(_DEPTH_STEP_UM)
            for at in product(rows, columns, depths):
                of.append(int(k))
                starts.append(at)
        return np.array(of), np.array(starts, dtype=np.float64)

    def _depths(self, step_um: float) -> Floats:
        return self.prior.depth_um * _fractions(max(1, round(self.prior.depth_um / step_um)))

    def _line(self, k: int, at: Floats) -> StraightLines:
        return line_at(self.renderer, self.types[k], at)


def _explains(fit: Refinement) -> bool:
    return fit.misfit <= largest_misfit(fit.image.size)


def _fractions(count: int) -> Floats:
    """Middles of as many equal parts of a unit about 0."""
    return np.asarray((np.arange(count) + 0.5) / count - 0.5)


def line_at(
    renderer: Renderer, one: DislocationType, at: Sequence[float] | Floats
) -> StraightLines:
    """A dislocation of a type, shifted by rows, columns and a depth (µm) from the origin."""
    row, column = renderer.pixel_steps()
    position = at[0] * row + at[1] * column + at[2] * renderer.up
    return renderer.lines_of(one.plane, one.burgers, one.character_deg, position)


def wider(renderer: Renderer, margin: tuple[int, int]) -> Renderer:
    """A renderer of images with `margin` more stored pixels on every side; as it is if it cuts."""
    camera = renderer.experiment.camera
    if camera.region is not None:
        return renderer
    if camera.rotation_deg in (90, 270):
        margin = margin[::-1]
    size = [n + 2 * more * camera.binning for n, more in zip(camera.pixels, margin, strict=True)]
    wide = renderer.experiment.with_settings([f"camera.pixels={size}"])
    return Renderer(wide, renderer.workers)

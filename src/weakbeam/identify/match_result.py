"""What comes out of a match: candidates with their probabilities, and a verdict in words."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.observation import Observation
from weakbeam.fit.refine import Refinement
from weakbeam.identify.nuisances.regions import BLOCK, Regions
from weakbeam.io.match_file import match_file
from weakbeam.run.render import Condition

_RANKED = 50
"""Types whose first scores are written down."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A type that was fitted to the images.

    Parameters
    ----------
    type : DislocationType
        Slip system and character.
    member : int
        The member of the library that was used.
    depth_um : float
        By how much that is raised above the middle of the beam (µm).
    correlation : float
        Largest zero-padded correlation of what stands out of the background, averaged over the
        images; from 0 to 1.
    score : float
        What the member was ranked by at first.
    shift_px, shift_errors_px : (groups, 2) ndarray
        Rows and columns by which it is moved, and their standard deviations, for each reflection.
    scale : (groups,) ndarray
        Counts (ADU) where the relative intensity is 1.
    background : (images,) ndarray
        Constant background (ADU).
    gain : float
        Log-likelihood above that of even backgrounds.
    log_evidence : float
        The same, averaged over what is fitted.
    misfit : float
        Mean squared residual over the variance of the noise.
    pixels : int
        Of how many pixels that is the mean.
    probability : float
        Posterior under the stated noise.
    cautious_probability : float
        Posterior if the noise is larger by the misfit of the best candidate.
    raised : float
        Largest factor by which the gain of a reflection was raised for pixels that the candidate
        does not cover.
    refinement : Refinement, optional
        The fit with images computed anew.
    refined_image : (images, rows, columns) ndarray, optional
        Its expected counts, NaN outside.
    """

    type: DislocationType
    member: int
    depth_um: float
    correlation: float
    score: float
    shift_px: Floats
    shift_errors_px: Floats
    scale: Floats
    background: Floats
    gain: float
    log_evidence: float
    misfit: float
    pixels: int
    probability: float = math.nan
    cautious_probability: float = math.nan
    raised: float = 1.0
    refinement: Refinement | None = None
    refined_image: Floats | None = None

    def numbers(self) -> dict[str, Any]:
        """All numbers as plain values."""
        values = {
            "type": self.type.number,
            "plane": list(self.type.plane),
            "burgers": list(self.type.burgers),
            "character_deg": self.type.character_deg,
            "same_images_as": list(self.type.same_as),
            "probability": self.probability,
            "cautious_probability": self.cautious_probability,
            "log_likelihood_gain": self.gain,
            "log_evidence": self.log_evidence,
            "misfit": self.misfit,
            "correlation": self.correlation,
            "score": self.score,
            "member": self.member,
            "shift_px": self.shift_px.tolist(),
            "shift_errors_px": self.shift_errors_px.tolist(),
            "depth_um": self.depth_um,
            "scale_adu": self.scale.tolist(),
            "background_adu": self.background.tolist(),
        }
        if self.refinement is not None:
            values["refined"] = _refinement_numbers(self.refinement)
        return values


@dataclass(frozen=True)
class NuisanceValue:
    """What was found of something that is not known exactly.

    Parameters
    ----------
    name : str
        What it is.
    value, error : float
        Best value and its standard deviation, of the best candidate.
    prior : float
        Standard deviation of what was known before; infinite where nothing was.
    unit : str
        Of all three; empty for plain numbers.
    """

    name: str
    value: float
    error: float
    prior: float
    unit: str


@dataclass(frozen=True)
class Verdict:
    """What the images say.

    Parameters
    ----------
    seen : bool
        Whether there is a dislocation at all.
    decided : bool
        Whether a single type has 95 % of the probability; types that make the same images count as
        one.
    sentence : str
        The result in one sentence.
    credible : tuple of int
        Numbers of the types that hold 95 % of the probability together, the likeliest first.
    gap : float
        Difference of the log-evidences of the best type and the next one that makes another image;
        infinite if there is none.
    notes : tuple of str
        What to keep in mind, a line each.
    explained : bool
        Whether the best candidate leaves no more than noise; otherwise nothing is decided.
    """

    visible: bool
    decided: bool
    sentence: str
    credible: tuple[int, ...]
    gap: float
    notes: tuple[str, ...]
    explained: bool = True


@dataclass(frozen=True, eq=False)
class Match:
    """Images matched against a library.

    Parameters
    ----------
    observation : Observation
        The images.
    conditions : tuple of Condition
        How they were taken.
    candidates : tuple of Candidate
        The types that were fitted, the best first.
    ranking : tuple of (int, float)
        Numbers of all types and their first scores, the highest first.
    score : str
        What that score is: ``likelihood`` (above an even background) or ``correlation``.
    expected : (images, rows, columns) ndarray
        Counts that the best candidate stands for (ADU), NaN where its image does not reach.
    verdict : Verdict
        What the images say.
    variance : (images, rows, columns) ndarray, optional
        Of the noise and the errors of the model together (ADU²); of the noise alone unless given.
    nuisances : tuple of NuisanceValue
        What was fitted along with the best candidate.
    regions : Regions, optional
        Where it explains the images.
    orientation : str
        How the camera sits, where that was tried.
    """

    observation: Observation
    conditions: tuple[Condition, ...]
    candidates: tuple[Candidate, ...]
    ranking: tuple[tuple[int, float], ...]
    score: str
    expected: Floats
    verdict: Verdict
    variance: Floats | None = None
    nuisances: tuple[NuisanceValue, ...] = ()
    regions: Regions | None = None
    orientation: str = ""

    @property
    def best(self) -> Candidate:
        """The likeliest candidate."""
        return self.candidates[0]

    @property
    def residual(self) -> Floats:
        """Difference of images and `expected` in standard deviations of the noise, NaN outside."""
        observation = self.observation
        variance = self.variance
        if variance is None:
            variance = observation.noise.variance(np.nan_to_num(self.expected))
        spread = np.sqrt(variance)
        difference = (observation.images - self.expected) / spread
        return np.asarray(np.where(observation.good, difference, np.nan))

    def numbers(self) -> dict[str, Any]:
        """All numbers as plain values; None where one is not defined."""
        verdict = self.verdict
        values = {
            "verdict": {
                "sentence": verdict.sentence,
                "seen": verdict.visible,
                "decided": verdict.decided,
                "explained": verdict.explained,
                "credible_types": list(verdict.credible),
                "gap": verdict.gap,
                "notes": list(verdict.notes),
            },
            "noise": {
                "gain_adu": self.observation.noise.gain,
                "floor_adu2": self.observation.noise.floor,
            },
            "conditions": [
                {
                    "reflection": c.reflection,
                    "phi_mrad": 1e3 * c.phi,
                    "chi_mrad": 1e3 * c.chi,
                    "two_theta_mrad": 1e3 * c.two_theta,
                    "z_um": c.z,
                }
                for c in self.conditions
            ],
            "candidates": [candidate.numbers() for candidate in self.candidates],
            "ranking": {
                "by": self.score,
                "types": [number for number, _ in self.ranking[:_RANKED]],
                "scores": [score for _, score in self.ranking[:_RANKED]],
            },
        }
        if self.regions is not None:
            values["orientation"] = self.orientation
            values["nuisances"] = [
                {
                    "name": n.name,
                    "value": n.value,
                    "error": n.error,
                    "prior": n.prior,
                    "unit": n.unit,
                }
                for n in self.nuisances
            ]
            values["regions"] = {
                "sentence": self.regions.sentence,
                "explained_share": self.regions.share,
                "block_px": BLOCK,
                "misfit": self.regions.misfit.tolist(),
            }
        plain: dict[str, Any] = _plain(values)
        return plain

    def to_hdf5(self) -> bytes:
        """A file of candidates, nuisances with errors, and maps of what is explained.

        Raises
        ------
        ValueError
            If nothing was fitted along.
        """
        fit, regions = self.best.refinement, self.regions
        if fit is None or regions is None:
            raise ValueError("only a match with nuisances has such a file")
        rows = []
        for c in self.candidates:
            h, k, l = c.type.plane  # noqa: E741
            u, v, w = c.type.burgers
            rows.append(
                {
                    "plane": f"({h} {k} {l})",
                    "burgers": f"[{u} {v} {w}]",
                    "character_deg": c.type.character_deg,
                    "probability": c.cautious_probability,
                    "log_evidence": c.log_evidence,
                    "misfit": c.misfit,
                }
            )
        nuisances = [dict(vars(n)) for n in self.nuisances]
        spread = f"blocks of {BLOCK} x {BLOCK} pixels"
        holds = regions.holds.astype(np.float64)
        maps = {
            "measured": (self.observation.images, "images without dark level", "ADU"),
            "good": (self.observation.good.astype(np.float64), "1 where pixels count", ""),
            "expected": (self.expected, "counts of the best candidate", "ADU"),
            "residual": (self.residual, "difference over noise and errors of the model", ""),
            "misfit": (regions.misfit, f"mean squared residual in {spread}", ""),
            "explained": (holds, f"1 where the images are explained, {spread}", ""),
        }
        return match_file(
            {"candidates": rows, "nuisances": nuisances},
            fit.names,
            fit.values,
            fit.covariance,
            maps,
            self.to_json(),
        )

    def to_json(self) -> str:
        """The numbers as text in JSON."""
        return json.dumps(self.numbers(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def are_opposite(first: DislocationType, second: DislocationType) -> bool:
    """Whether two types have the same line and opposite Burgers vectors.

    A type stands for b and −b with the line that its character gives to each, so that turning the
    line round, by 180 degrees of character, is turning b round.
    """
    turned = abs((first.character_deg - second.character_deg) % 360.0 - 180.0) < 1e-6
    return first.plane == second.plane and first.burgers == second.burgers and turned


def _refinement_numbers(fit: Refinement) -> dict[str, Any]:
    return {
        "character_deg": fit.type.character_deg,
        "position_um": fit.position_um.tolist(),
        "parameters": dict(zip(fit.names, fit.values.tolist(), strict=True)),
        "errors": dict(zip(fit.names, fit.errors.tolist(), strict=True)),
        "undetermined": list(fit.undetermined),
        "ambiguous": fit.ambiguous,
        "other_places": [
            {
                "position_um": other.position_um.tolist(),
                "parameters": dict(zip(fit.names, other.values.tolist(), strict=True)),
                "probability": other.probability,
            }
            for other in fit.others
        ],
        "log_likelihood": fit.log_likelihood,
        "log_evidence": fit.log_evidence,
        "misfit": fit.misfit,
        "converged": fit.converged,
    }


def _plain(value: Any) -> Any:
    """Numbers that JSON does not know, as None."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

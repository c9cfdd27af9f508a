"""The pictures of a match."""

from __future__ import annotations

import numpy as np

from weakbeam.assemble import assemble_all
from weakbeam.assemble.reflection import reflections_of
from weakbeam.experiment import Experiment
from weakbeam.identify.match_result import Match
from weakbeam.identify.nuisances.regions import BLOCK
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.plot.drawing import Drawing
from weakbeam.plot.view import View
from weakbeam.run.figures import image_view
from weakbeam.run.render import Condition

_RANKED = 10
_TITLE = 88

FIGURES = ("match", "ranking", "nuisances")
"""Their names."""


def match_drawings(result: Match, experiment: Experiment) -> dict[str, Drawing]:
    """Describe the pictures of a match.

    Parameters
    ----------
    result : Match
        From :func:`weakbeam.identify.match.match`.
    experiment : Experiment
        Of the library, which names the reflections.

    Returns
    -------
    dict of str to Drawing
        ``match``: images, best candidate and residual; ``ranking``: the candidates; where
        nuisances were fitted, ``nuisances``: their values, and where the images are explained.
    """
    observation = result.observation
    images = np.where(observation.good, observation.images, np.nan)
    best = result.best
    place = best.shift_px[0] if best.refinement is None else best.refinement.values[:2]
    note = (
        f"best candidate: {best.type.name}; mean squared residual {best.misfit:.3g} of the noise"
        + (f"; moved by {place[0]:.2f} rows, {place[1]:.2f} columns")
    )
    sentence = result.verdict.sentence
    title = sentence if len(sentence) < _TITLE else f"{sentence[:_TITLE]}…"
    candidates = result.candidates[:_RANKED]
    drawings = {
        "match": Drawing(
            "weakbeam.plot.match.match_figure",
            (
                images,
                result.expected,
                result.residual,
                _settings(result.conditions, experiment),
                _views(result, experiment),
            ),
            {"title": title, "note": note},
        ),
        "ranking": Drawing(
            "weakbeam.plot.match.ranking_figure",
            (
                [candidate.type.name for candidate in candidates],
                [candidate.cautious_probability for candidate in candidates],
                [best.log_evidence - candidate.log_evidence for candidate in candidates],
            ),
        ),
    }
    if result.regions is not None:
        drawings["nuisances"] = _nuisances(result)
    return drawings


def _nuisances(result: Match) -> Drawing:
    """What was fitted along, and the map of what is explained."""
    assert result.regions is not None
    shown = [n for n in result.nuisances if np.isfinite(n.prior) and n.prior > 0.0]
    middles = [1.0 if n.name.endswith("factor") else 0.0 for n in shown]
    return Drawing(
        "weakbeam.plot.match.nuisance_figure",
        (
            [n.name.replace("_", " ") for n in shown],
            [n.value - middle for n, middle in zip(shown, middles, strict=True)],
            [n.error for n in shown],
            [n.prior for n in shown],
            [f"{n.value:.3g} ± {n.error:.2g} {n.unit.replace('urad', 'µrad')}" for n in shown],
            result.regions.misfit,
            BLOCK,
        ),
    )


def _views(result: Match, experiment: Experiment) -> list[View]:
    """Which way up each image is drawn: as those of its library, around the same middle."""
    setups = assemble_all(experiment.model_copy(update={"defects": ()}))
    shape = result.observation.shape
    return [image_view(setups[c.reflection]).stretched(shape) for c in result.conditions]


def _settings(conditions: tuple[Condition, ...], experiment: Experiment) -> list[str]:
    """What the images differ in, or φ of a single one."""
    moving = [
        name
        for name in SCANNED
        if len({getattr(c, name) for c in conditions}) > 1 or (name == "phi" and conditions[0].phi)
    ]
    several = len({c.reflection for c in conditions}) > 1
    reflections = reflections_of(experiment) if several else ()
    titles = []
    for condition in conditions:
        parts = []
        if several:
            hkl = reflections[condition.reflection].reflection.plane
            parts.append(f"({' '.join(map(str, hkl))})")
        for name in moving:
            motor = MOTORS[name]
            offset = float(motor.shown(getattr(condition, name)))
            parts.append(f"{motor.symbol} = {offset:.3g} {motor.shown_unit}")
        titles.append(", ".join(parts))
    return titles

"""The pictures of a match."""

from __future__ import annotations

import numpy as np

from weakbeam.assemble.reflection import reflections_of
from weakbeam.experiment import Experiment
from weakbeam.identify.match_result import Match
from weakbeam.imaging.motors import MOTORS, SCANNED
from weakbeam.plot.drawing import Drawing
from weakbeam.run.render import Condition

_RANKED = 10
_TITLE = 88


def match_drawings(found: Match, experiment: Experiment) -> dict[str, Drawing]:
    """Describe the pictures of a match.

    Parameters
    ----------
    found : Match
        From :func:`weakbeam.identify.match.match`.
    experiment : Experiment
        Of the library, which names the reflections.

    Returns
    -------
    dict of str to Drawing
        ``match``: images, best candidate and residual; ``ranking``: the candidates.
    """
    seen = found.observation
    images = np.where(seen.good, seen.images, np.nan)
    best = found.best
    place = best.shift_px[0] if best.refinement is None else best.refinement.values[:2]
    note = (
        f"best candidate: {best.type.name}; mean squared residual {best.misfit:.3g} of the noise"
        + (f"; moved by {place[0]:.2f} rows, {place[1]:.2f} columns")
    )
    sentence = found.verdict.sentence
    title = sentence if len(sentence) < _TITLE else f"{sentence[:_TITLE]}…"
    candidates = found.candidates[:_RANKED]
    return {
        "match": Drawing(
            "weakbeam.plot.match.match_figure",
            (images, found.expected, found.residual, _settings(found.conditions, experiment)),
            {"title": title, "note": note},
        ),
        "ranking": Drawing(
            "weakbeam.plot.match.ranking_figure",
            (
                [one.type.name for one in candidates],
                [one.cautious_probability for one in candidates],
                [best.log_evidence - one.log_evidence for one in candidates],
            ),
        ),
    }


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
            hkl = reflections[condition.reflection].reflection.hkl
            parts.append(f"({' '.join(map(str, hkl))})")
        for name in moving:
            motor = MOTORS[name]
            offset = float(motor.shown(getattr(condition, name)))
            parts.append(f"{motor.symbol} = {offset:.3g} {motor.shown_unit}")
        titles.append(", ".join(parts))
    return titles

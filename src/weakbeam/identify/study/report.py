"""What a study found, as figures, as a table and as plain numbers for JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.candidates import candidates_of
from weakbeam.identify.study.similarity import PAPER_BOUND, RELATIONS
from weakbeam.identify.study.study import (
    TOLD_APART,
    Study,
    condition_names,
    counting,
    extra_images,
    type_named,
)
from weakbeam.plot.drawing import Drawing

FIGURES = ("correlations", "histogram", "exposure", "extra-image")
"""Names of the figures."""

_PLOT = "weakbeam.plot.study"
_TITLE = "Correlation of the images of {count} types of dislocations, {condition}"


@dataclass(frozen=True)
class Choice:
    """What further images would do for two types.

    Parameters
    ----------
    first, second : DislocationType
        The two.
    hardest : bool
        Whether they are the hardest to tell apart.
    base : tuple of str
        Conditions of the images that are there.
    gap : float
        Expected gap of the log-likelihood with these alone.
    images : tuple of (str, float)
        Every further condition with the gap once it is added, the largest first.
    """

    first: DislocationType
    second: DislocationType
    hardest: bool
    base: tuple[str, ...]
    gap: float
    images: tuple[tuple[str, float], ...]


def check_choice(
    experiment: Experiment, between: tuple[int, int] | None, base: Sequence[int]
) -> None:
    """Look for mistakes in what :func:`decide` will be asked, before the study is made.

    Parameters
    ----------
    experiment : Experiment
        Which is to be studied.
    between, base
        As of :func:`decide`.

    Raises
    ------
    InputError
        If there is no such type or image.
    """
    candidates = candidates_of(counting(experiment), 1)
    visible = [candidates.types[k] for k in candidates.visible]
    if between is not None:
        _pair(visible, between)
    _check_base(base, len(candidates.renderer.conditions))


def decide(
    study: Study, between: tuple[int, int] | None, base: Sequence[int], max_shift: int
) -> Choice:
    """Find the image that separates two types best.

    Parameters
    ----------
    study : Study
        What was compared; its experiment's scan has the images to choose from.
    between : (int, int) or None
        Numbers of the types; None: those that are the hardest to tell apart.
    base : sequence of int
        Which images are there, from 0.
    max_shift : int
        Largest shift (pixels).

    Raises
    ------
    InputError
        If there is no such type or image.
    """
    if between is None:
        first, second = (study.types[k] for k in study.closest())
    else:
        first, second = _pair(study.types, between)
    _check_base(base, len(study.conditions))
    candidates = candidates_of(counting(study.experiment), 1)
    names = list(condition_names(candidates))
    (_, gap), *others = extra_images(candidates, first, second, base, max_shift)
    return Choice(
        first,
        second,
        between is None,
        tuple(names[k] for k in base),
        gap,
        tuple((names[k], value) for k, value in others),
    )


def _pair(
    types: Sequence[DislocationType], between: tuple[int, int]
) -> tuple[DislocationType, DislocationType]:
    first, second = (type_named(types, number, "between") for number in between)
    if first is second:
        raise InputError("between", list(between), "names one type twice")
    return first, second


def _check_base(base: Sequence[int], count: int) -> None:
    for number in base:
        if number >= count:
            raise InputError("base", number, f"the scan has {count} images")


def report_of(study: Study, choice: Choice) -> dict[str, Any]:
    """Everything that a study found but the single pairs, for JSON."""
    share = (study.confusions < TOLD_APART).mean(axis=-1)
    smallest = study.gaps.min(axis=(2, 3))
    first, second = study.pairs
    values = study.correlations[first, second]
    return {
        "types": len(study.types),
        "twins": sum(len(same) for same in study.twins),
        "pairs": len(values),
        "bound": PAPER_BOUND,
        "share_above": float((values > PAPER_BOUND).mean()),
        "above": study.above(),
        "quantiles": {f"{q:g}": float(np.quantile(values, q)) for q in (0.5, 0.9, 0.99, 1.0)},
        "told_apart": [
            {
                "exposure": level,
                "images": images + 1,
                "share": float(share[n, images]),
                "smallest_gap": float(smallest[n, images]),
            }
            for n, level in enumerate(study.levels)
            for images in range(share.shape[1])
        ],
        "extra": {
            "between": [choice.first.name, choice.second.name],
            "numbers": [choice.first.number, choice.second.number],
            "hardest": choice.hardest,
            "base": list(choice.base),
            "gap": choice.gap,
            "images": [{"condition": name, "gap": gap} for name, gap in choice.images],
        },
    }


def table_of(study: Study) -> str:
    """A row for each type, as comma-separated values."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["type", "plane", "burgers", "character_deg", "same_images_as", "most_similar"]
        + ["correlation", "relation"]
        + [f"confused_at_{level:g}" for level in study.levels]
    )
    for k, kind in enumerate(study.types):
        other = int(study.nearest[k, 0])
        table.writerow(
            [kind.number, _words(kind.plane), _words(kind.burgers), f"{kind.character_deg:g}"]
            + [_words(study.twins[k]), study.types[other].number]
            + [f"{study.correlations[k, other]:.4f}", RELATIONS[study.relations[k, other]]]
            + [f"{value:.4g}" for value in study.confusions[:, 0, k]]
        )
    return text.getvalue()


def figures_of(study: Study, choice: Choice) -> dict[str, Drawing]:
    """The figures of a study, by name."""
    first, second = study.pairs
    kinds = study.relations[first, second]
    values = study.correlations[first, second]
    groups = [f"({_words(kind.plane)}) [{_words(kind.burgers)}]" for kind in study.types]
    condition = next(iter(condition_names(candidates_of(counting(study.experiment), 1))))
    title = _TITLE.format(count=len(study.types), condition=condition)
    above = f"{(values > PAPER_BOUND).mean():.1%} of the pairs lie above {PAPER_BOUND:g}"
    share = (study.confusions < TOLD_APART).mean(axis=-1)
    drawings = {
        "correlations": Drawing(
            f"{_PLOT}.matrix_figure", (study.correlations, groups), {"title": title, "note": above}
        ),
        "histogram": Drawing(
            f"{_PLOT}.histogram_figure",
            ({name: values[kinds == k] for k, name in enumerate(RELATIONS)}, PAPER_BOUND),
            {"title": title},
        ),
        "exposure": Drawing(
            f"{_PLOT}.light_figure", (study.levels, share, TOLD_APART), {"title": "Told apart"}
        ),
    }
    if choice.images:
        names, gaps = zip(*choice.images, strict=True)
        drawings["extra-image"] = Drawing(
            f"{_PLOT}.extra_figure",
            (names, gaps, choice.gap),
            {"title": f"{choice.first.name}  or  {choice.second.name}"},
        )
    return drawings


def _words(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))

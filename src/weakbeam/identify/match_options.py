"""How images are matched: the options of the command and of the function, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weakbeam.fit.nuisance_priors import NuisancePriors

SCORES = ("likelihood", "correlation")
"""What the members of a library may be ranked by before the best are looked at more closely."""


@dataclass(frozen=True)
class MatchOptions:
    """How images are matched.

    Parameters
    ----------
    max_shift : int
        Largest shift of a member along rows and columns (pixels). The dislocation is taken to be
        anywhere within it with equal probability.
    depth_um : float, optional
        Height across the sheet of the beam (µm) within which the dislocation is taken to be, with
        equal probability. Where the beam has more than half of its largest intensity unless given.
    score : str
        One of `SCORES`, by which the members are ranked at first.
    background : str
        How the background is removed for the correlation; see
        :data:`~weakbeam.identify.search.background.METHODS`.
    keep : int
        How many members are then fitted between the pixels. By likelihood, others are as well whose
        score comes near that of the best one by the rule of `refine`, eight times as many at most.
    refine : int
        How many types are fitted with images computed anew at the end, at most: the best one, and
        those whose log-evidence lies no further below it than `certain` and what interpolation may
        be wrong by. None for 0, and the ranking is that of interpolated images.
    free : tuple of str, optional
        What these fits change; see :func:`~weakbeam.fit.refine.refine`. The position unless
        given, and of a type that gains evidence by it the character as well.
    certain : float
        By how much the log-evidence of a type is lower that need not be refined: its probability is
        small, and as good as interpolation.
    rough : float
        By which share of the best one's gain interpolated images may be wrong, as long as no type
        is known to explain the images.
    climbed : float
        Once a refined type explains the images, what interpolation may be wrong by is what its own
        refinement has gained, times this.
    nuisances : NuisancePriors, optional
        What is not known exactly of the images and fitted along; without it the model is taken to
        be exact, and the options above hold, of which only `max_shift` and `depth_um` do with it.
    orientations : bool
        With nuisances: whether the images are also tried mirrored and turned.
    camera_known : bool
        Whether it is known how the camera sits. Where it is not, b and -b cannot be told apart.
    """

    max_shift: int = 20
    depth_um: float | None = None
    score: str = "likelihood"
    background: str = "mean"
    keep: int = 8
    refine: int = 12
    free: tuple[str, ...] | None = None
    certain: float = 6.0
    rough: float = 0.08
    climbed: float = 2.0
    nuisances: NuisancePriors | None = None
    orientations: bool = False
    camera_known: bool = True

"""The best position and character of a dislocation of one type, and how well they are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.fit.ascent import step_up
from weakbeam.fit.likelihood import inverse
from weakbeam.fit.line_ascent import Ascent, Summit
from weakbeam.fit.line_place import PositionPrior, place_of
from weakbeam.fit.observation import Bools, Observation
from weakbeam.run.render import Renderer

CHARACTER = "character_deg"

_SCALE_RANGE = 10.0
"""Width of the prior of the scale, in units of the brightest pixel."""


@dataclass(frozen=True)
class _Judgement:
    """What a refinement says of its own result.

    Parameters
    ----------
    lost : float
        Share of the prior's standard deviation above which a parameter is not determined.
    ambiguous : float
        Probability of all other places together above which the position is ambiguous.
    mentioned : float
        Probability of one other place above which it is told.
    """

    lost: float = 0.5
    ambiguous: float = 0.05
    mentioned: float = 0.01


_JUDGEMENT = _Judgement()


@dataclass(frozen=True, eq=False)
class OtherPlace:
    """Another maximum of the likelihood of one type.

    Parameters
    ----------
    position_um : (3,) ndarray
        A point on the line (µm), as of a :class:`Refinement`.
    values : (n,) ndarray
        The best values there of what was fitted.
    probability : float
        That the line is there, and not at one of the other maxima that were found.
    """

    position_um: Floats
    values: Floats
    probability: float


@dataclass(frozen=True, eq=False)
class Refinement:
    """A fitted dislocation.

    Parameters
    ----------
    type : DislocationType
        What was fitted, with the fitted character.
    position_um : (3,) ndarray
        A point on the line (µm, sample frame of the first reflection): where it crosses the middle
        of the beam, or, for a line that lies in the sheet of the beam, beside the origin.
    names : tuple of str
        Free parameters: ``row_px`` and ``column_px``, where the line crosses the middle of the
        beam, counted from the sample's origin; or, of a line in the sheet, ``across_um`` and
        ``depth_um``; perhaps ``character_deg``; then ``scale`` and a ``background`` for each image.
    values : (n,) ndarray
        Their best values.
    covariance : (n, n) ndarray
        The inverse of the Fisher matrix; NaN in rows and columns of parameters that the images do
        not determine.
    undetermined : tuple of str
        Names of those.
    log_likelihood : float
        At the best values.
    log_evidence : float
        Logarithm of the likelihood averaged over the prior, by Laplace's method.
    misfit : float
        Mean of squared residuals over their variance.
    image : (conditions, rows, columns) ndarray
        Expected counts (ADU).
    converged : bool
        Whether the fit reached its end.
    renderings : int
        How many images it took.
    others : tuple of OtherPlace
        Places apart from this one that explain the images about as well, the likeliest first.
    """

    type: DislocationType
    position_um: Floats
    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    undetermined: tuple[str, ...]
    log_likelihood: float
    log_evidence: float
    misfit: float
    image: Floats
    converged: bool
    renderings: int
    others: tuple[OtherPlace, ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether other places hold more than 5 % of the probability."""
        return sum(other.probability for other in self.others) > _JUDGEMENT.ambiguous

    @property
    def errors(self) -> Floats:
        """Standard deviations of the parameters; NaN for those that are not determined."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def scales(self) -> Floats:
        """Counts (ADU) where the relative intensity is 1, one for each reflection."""
        own = [name.partition("[")[0] == "scale" for name in self.names]
        return np.asarray(self.values[np.array(own)])


def refine(
    observation: Observation,
    renderer: Renderer,
    type: DislocationType,
    shift_px: Sequence[float] = (0.0, 0.0),
    depth_um: float = 0.0,
    free: Sequence[str] = ("position",),
    prior: PositionPrior | None = None,
    scout: bool = True,
) -> Refinement:
    r"""Fit a dislocation of one type to images.

    Parameters
    ----------
    observation : Observation
        The images, one for each condition of the renderer.
    renderer : Renderer
        Computes images under the same conditions.
    type : DislocationType
        Slip system and character; the fit starts from that character if it is free.
    shift_px : (float, float)
        Rows and columns by which the fit starts away from the sample's origin.
    depth_um : float
        Height above the middle of the beam at which it starts (µm).
    free : sequence of str
        ``"position"``, ``"character"`` or both; always also the background of each image, and a
        scale for each reflection.
    prior : PositionPrior, optional
        Where the line may be; anywhere in the field of view, and where the beam is bright, unless
        given.
    scout : bool
        Whether the fit of a line in the sheet begins at the best of some places around its start,
        at all depths of the prior, or at two that are higher than those next to them: the more
        probable end is returned, and the other one is among `others` if it is likely enough.

    Returns
    -------
    Refinement

    Raises
    ------
    ValueError
        If images and renderer do not belong together, or `free` names something else.

    Notes
    -----
    A straight line has two degrees of freedom of position: a shift along it changes nothing.
    Newton's method with the expected second derivatives (Fisher's scoring) climbs the likelihood of
    :func:`~weakbeam.fit.likelihood.fit_scale`, scales and backgrounds being fitted anew at
    every step. The evidence is

    .. math:: \ln Z = \ln L + \ln p(x) + \tfrac12 \ln\det 2\pi (F + P)^{-1}

    with the Fisher matrix F of all free parameters at the maximum, the density p of the prior there
    and P = 2π/w², which limits each parameter to the width w of its prior where the images say
    nothing of it. F is made of differences of images some standard deviations to either side.
    """
    unknown = set(free) - {"position", "character"}
    if unknown:
        raise ValueError(f"free is {sorted(unknown)[0]!r}: choose from position, character")
    if observation.images.shape != (len(renderer.conditions), *renderer.shape):
        raise ValueError(
            f"images of shape {observation.images.shape} do not fit the renderer's "
            f"{len(renderer.conditions)} conditions of {renderer.shape} pixels"
        )
    row, column = renderer.pixel_steps()
    point = shift_px[0] * row + shift_px[1] * column + depth_um * renderer.up
    direction = renderer.lines_of(type.plane, type.burgers, type.character_deg).lines[0]
    place, at = place_of(direction, point, (row, column), renderer.up)
    ascent = Ascent(observation, renderer, type, place, free)
    bounds = PositionPrior.of_view(renderer) if prior is None else prior
    start = np.array([*at, type.character_deg])
    summits = ascent.summits(start, bounds.depth_um if scout else None)
    return merged([_described(ascent, summit, bounds) for summit in summits])


def promised_by_turning(
    observation: Observation,
    renderer: Renderer,
    fit: Refinement,
    prior: PositionPrior,
) -> float:
    """By how much the log-evidence of a fit would rise if its character were free as well.

    Parameters
    ----------
    observation, renderer
        As of :func:`refine`.
    fit : Refinement
        A fit of the position alone.
    prior : PositionPrior
        How far a character may be from others.

    Returns
    -------
    float
        What the derivatives at the fit promise to gain, less the share of the prior that the
        character is narrowed to; four images, where the fit itself takes some twenty.
    """
    kind = fit.type
    direction = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg).lines[0]
    place, at = place_of(direction, fit.position_um, renderer.pixel_steps(), renderer.up)
    ascent = Ascent(observation, renderer, kind, place, ("position", "character"))
    slopes = ascent.slopes(np.array([*at, kind.character_deg]))
    gain = 0.5 * float(slopes.gradient @ step_up(slopes))
    variance = float(inverse(slopes.expected)[2, 2])
    if variance == 0.0:
        return 0.0
    narrowed = 0.5 * math.log1p(prior.character_deg**2 / variance / (2.0 * math.pi))
    return gain - narrowed


def _described(ascent: Ascent, summit: Summit, prior: PositionPrior) -> Refinement:
    """What was found, with its errors and its evidence."""
    observation, place, moving, fit = ascent.observation, ascent.place, ascent.moving, summit.fit
    brightest = max(
        float(observation.images[observation.good].max()), math.sqrt(observation.noise.floor)
    )
    widths = np.concatenate(
        [
            np.array([*prior.widths(place), prior.character_deg])[moving],
            np.full(len(fit.scales), _SCALE_RANGE * brightest),
            np.full(len(observation), brightest),
        ]
    )
    names = np.array([*place.names, CHARACTER])[moving].tolist()
    names += [*numbered("scale", len(fit.scales)), *numbered("background", len(observation))]
    covariance, lost = _inverse(summit.fisher, widths)
    # The volume that the posterior takes of the prior's box, in units of its widths.
    dimensionless = summit.fisher * np.outer(widths, widths) + 2.0 * math.pi * np.eye(len(widths))
    log_determinant = float(np.linalg.slogdet(dimensionless / (2.0 * math.pi))[1])
    density = 0.0
    if 0 in moving:
        line = ascent.line(summit.x)
        density = prior.log_density(place, line.positions[0], line.lines[0])
        density += float(np.log(widths[:2]).sum())
    turned = ascent.type.turned(float(summit.x[2])) if 2 in moving else ascent.type
    return Refinement(
        type=turned,
        position_um=place.position(summit.x[:2]),
        names=tuple(names),
        values=np.array([*summit.x[moving], *fit.scales, *fit.background]),
        covariance=covariance,
        undetermined=tuple(name for name, gone in zip(names, lost, strict=True) if gone),
        log_likelihood=fit.log_likelihood,
        log_evidence=fit.log_likelihood + density - 0.5 * log_determinant,
        misfit=fit.misfit,
        image=fit.signal(summit.model),
        converged=summit.converged,
        renderings=ascent.renderings,
    )


def numbered(name: str, count: int) -> list[str]:
    """Name of each of some parameters of one kind."""
    return [name] if count == 1 else [f"{name}[{k}]" for k in range(count)]


def _inverse(fisher: Floats, widths: Floats) -> tuple[Floats, Bools]:
    """Invert what is determined.

    Parameters
    ----------
    fisher : (n, n) ndarray
        Fisher matrix.
    widths : (n,) ndarray
        Widths of the priors.

    Returns
    -------
    covariance : (n, n) ndarray
        NaN where a parameter is not determined.
    lost : (n,) ndarray of bool
        Which are not: the images narrow their priors by less than a factor of two.
    """
    prior = 2.0 * math.pi * np.eye(len(widths))
    scaled = np.linalg.inv(fisher * np.outer(widths, widths) + prior)
    lost = np.diag(scaled) * prior[0, 0] > _JUDGEMENT.lost**2
    covariance = scaled * np.outer(widths, widths)
    covariance[lost], covariance[:, lost] = np.nan, np.nan
    return covariance, lost


def merged(modes: Sequence[Refinement]) -> Refinement:
    """The most probable of several fits of one type, with the evidence of all distinct ones.

    Two fits are the same where their lines lie within three standard deviations of one another;
    the higher one stands for both. Of the others it is told where they are.
    """
    ordered = sorted(modes, key=lambda mode: -mode.log_likelihood)
    distinct: list[Refinement] = []
    for mode in ordered:
        if not any(_same(mode, other) for other in distinct):
            distinct.append(mode)
    if len(distinct) == 1:
        return distinct[0]
    distinct.sort(key=lambda mode: -mode.log_evidence)
    total = float(np.logaddexp.reduce([mode.log_evidence for mode in distinct]))
    others = (
        OtherPlace(mode.position_um, mode.values, math.exp(mode.log_evidence - total))
        for mode in distinct[1:]
    )
    kept = tuple(other for other in others if other.probability > _JUDGEMENT.mentioned)
    return replace(distinct[0], log_evidence=total, others=kept)


def _same(mode: Refinement, other: Refinement) -> bool:
    if mode.names != other.names:
        return False
    kept = [k for k, name in enumerate(mode.names) if name not in mode.undetermined]
    difference = (mode.values - other.values)[kept]
    error = np.sqrt(np.diag(mode.covariance))[kept]
    return bool(np.all(np.abs(difference) < 3.0 * error + 1e-9))


def starting_point(renderer: Renderer, position_um: Floats) -> tuple[float, float, float]:
    """Rows, columns and depth (µm) from the sample's origin to a point (µm, sample frame)."""
    row, column = renderer.pixel_steps()
    rows, columns, depth = position_um @ np.linalg.inv(np.stack([row, column, renderer.up]))
    return float(rows), float(columns), float(depth)

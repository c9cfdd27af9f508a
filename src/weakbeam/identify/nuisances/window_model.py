"""What images of a window are made of, and what is not known of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

from weakbeam.core.arrays import Floats
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.nuisance_noise import ModelNoise
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_terms import light_terms, window_terms
from weakbeam.identify.nuisances.windows import Window, WindowRenderers
from weakbeam.run.render import Renderer


@dataclass(frozen=True)
class FitOptions:
    """How a window is fitted.

    Parameters
    ----------
    model_error, background_error : float
        As of :class:`~weakbeam.fit.nuisance_noise.ModelNoise`.
    freedom : float
        Of Student's t distribution of the residuals: pixels that no parameter explains pull less
        the fewer there are.
    tilts : int, optional
        Amounts of tilt at which images are computed, even ones about 0; those that the lattice has
        where a fit starts, and some more, unless given.
    instrument : bool
        Whether beam height, condenser, 2θ and depth are fitted.
    turn : bool
        Whether the character is fitted.
    condenser : float
        Factor on what is told of the condenser, where it is not fitted.
    steps : int
        Most steps along one set of images.
    rounds : int
        Most sets of images.
    precise : bool
        As of :class:`~weakbeam.run.render.Renderer`; images are then computed for what changes as
        the line moves, in place of being shifted. Shifted ones tell the derivatives along a line
        that lies nearly in the sheet by what interpolation is off, so that errors of its place are
        stated too small.
    depths : int, optional
        Samples along rays; as many as the crystal asks for unless given.
    points : int
        Samples along either edge of blocks of several pixels.
    reach : float
        Distance from the middle, as a share of the half window, at which blocks count 0.6.
    """

    model_error: float
    background_error: float
    freedom: float = 6.0
    tilts: int | None = None
    instrument: bool = False
    turn: bool = False
    condenser: float = 1.0
    steps: int = 8
    rounds: int = 1
    precise: bool = False
    depths: int | None = None
    points: int = 1
    reach: float = math.inf


@dataclass(frozen=True)
class Parameter:
    """One number that is fitted, and its normal prior; of infinite width where it is even."""

    name: str
    mean: float
    width: float
    step: float
    reflection: int = -1


class WindowModel:
    """What images of a window are linear combinations of, and how nuisances change it.

    Parameters
    ----------
    window : Window
        The data.
    renderers : WindowRenderers
        What computes images.
    priors : NuisancePriors
        Of the nuisances.
    prior : PositionPrior
        Where the line may be.
    options : FitOptions
        What is fitted.
    """

    def __init__(
        self,
        window: Window,
        renderers: WindowRenderers,
        priors: NuisancePriors,
        prior: PositionPrior,
        options: FitOptions,
    ) -> None:
        self.window, self.renderers, self.priors = window, renderers, priors
        self.prior, self.options = prior, options
        self.renderer = renderers.of(window, options.precise, None, options.depths, options.points)
        setups = self.renderer.setups
        self.of = np.array([c.reflection for c in self.renderer.conditions])
        self.groups = sorted(set(self.of.tolist()))
        height, condenser = priors.beam_height.mean, priors.condenser.mean * options.condenser
        self.told = math.log(height), math.log(condenser)
        camera = renderers.experiment.camera
        spread = (camera.psf_px or 0.0) / camera.binning
        # Blocks average over their pixels, where computed images take one point.
        self.sharp = (spread / window.factor) ** 2 + (
            options.points**-2.0 - window.factor**-2.0
        ) / 12.0
        optics = setups[0].optics
        self.step = max(math.tan(setups[0].geometry.theta) * optics.bandwidth, 4e-6)
        self.vectors = {r: setups[r].geometry.motor_vectors for r in self.groups}
        self.terms = window_terms(window.shape, max(priors.tilt_degree, 0))[1:]
        turned = camera.rotation_deg in (90, 270)
        self.light = light_terms(window.shape, priors.illumination_degree, turned)
        self.ground = window_terms(window.shape, priors.background_degree)
        self.linear = LinearTerms(self)
        steps = self.renderer.pixel_steps()
        self.pixel_steps = steps[0] / window.factor, steps[1] / window.factor
        self.ways = {r: self._way(r) for r in self.groups}
        self.nuisances = self._nuisances()
        self.trust = _trust(window, options.reach)
        self.variance = _variance(window, options).reshape(-1)

    def instrument(self, log_height: float, log_condenser: float) -> Renderer:
        """What computes images with the height of the beam and the condenser at some factors."""
        beam, o = self.renderers.experiment.beam, self.options
        changed = {}
        if abs(log_height) > 1e-9:
            changed["height_fwhm_um"] = beam.height_fwhm_um * math.exp(log_height)
        clip = beam.divergence_vertical_clip_mrad
        if abs(log_condenser) > 1e-9 and clip is not None:
            changed["divergence_vertical_clip_mrad"] = clip * math.exp(log_condenser)
        instrument = {"beam": changed} if changed else None
        return self.renderers.of(self.window, o.precise, instrument, o.depths, o.points)

    def _way(self, reflection: int) -> Floats:
        """Rows and columns (blocks) by which images move with a displacement (µm), (2, 3)."""
        turn = self.renderer.turn(reflection)
        row, column = self.renderer.pixel_steps(reflection)
        axes = np.linalg.inv(np.stack([row, column, turn @ self.renderer.up]))
        return np.asarray(axes[:, :2].T @ turn)

    def _nuisances(self) -> list[Parameter]:
        p, found = self.priors, list[Parameter]()
        for r in self.groups:
            mark = f"[{r}]" if len(self.groups) > 1 else ""
            for motor in ("phi", "chi") + (("two_theta",) if self.options.instrument else ()):
                own = p.offsets[motor]
                if own.free:
                    found.append(Parameter(f"{motor}_offset{mark}", own.mean, own.width, 1.5e-5, r))
            if p.tilt > 0.0:
                for axis in ("phi", "chi"):
                    for k in range(len(self.terms)):
                        name = f"tilt_{axis}{mark}[{k + 1}]"
                        found.append(Parameter(name, 0.0, p.tilt, 1.5e-5, r))
        if p.blur_px.free:
            found.append(Parameter("blur2", p.blur_px.mean**2, p.blur_px.width, 1.0))
        if self.options.instrument and p.beam_height.free:
            found.append(
                Parameter("log_height", math.log(p.beam_height.mean), p.beam_height.width, 0.15)
            )
        if self.options.instrument and p.condenser.free:
            found.append(
                Parameter("log_condenser", math.log(p.condenser.mean), p.condenser.width, 0.05)
            )
        return found


@dataclass(frozen=True)
class _Shine:
    """A linear parameter of the light: of some conditions, all pixels or a pattern of them."""

    own: NDArray[np.intp]
    term: Floats | float
    width: float
    group: int


class LinearTerms:
    """Parameters in which images are linear: brightness, light along y, background.

    Parameters
    ----------
    model : WindowModel
        Of which they are.
    """

    def __init__(self, model: WindowModel) -> None:
        p, groups = model.priors, model.groups
        count, shape = len(model.of), model.window.shape
        names, shine = list[str](), list[_Shine]()
        self.scales: list[int] = []
        for g, r in enumerate(groups):
            own = np.flatnonzero(model.of == r)
            mark = f"[{r}]" if len(groups) > 1 else ""
            self.scales.append(len(names))
            names.append(f"scale{mark}")
            shine.append(_Shine(own, 1.0, math.inf, g))
            if p.illumination > 0.0:
                for k, term in enumerate(model.light):
                    names.append(f"light{mark}[{k + 1}]")
                    shine.append(_Shine(own, term, p.illumination, g))
            if len(own) > 1 and p.brightness > 0.0:
                for k in own.tolist():
                    names.append(f"brightness[{k}]")
                    shine.append(_Shine(own[own == k], 1.0, p.brightness, g))
        self.shine = tuple(shine)
        self._blank = np.zeros((len(shine) + count * len(model.ground), count, *shape))
        for k in range(count):
            for j, term in enumerate(model.ground):
                self._blank[len(names), k] = term
                names.append(f"background[{k}][{j}]")
        self.names = tuple(names)
        self._widths = np.array([s.width for s in shine])
        self._groups = np.array([s.group for s in shine])

    def columns(self, light: Floats) -> Floats:
        """What each parameter adds to the images, (parameters, conditions·pixels)."""
        columns = self._blank.copy()
        for k, s in enumerate(self.shine):
            columns[k, s.own] = light[s.own] * s.term
        return columns.reshape(len(columns), -1)

    def precision(self, scales: Floats) -> Floats:
        """Of the priors, the means of which are 0; 0 where they are even."""
        known = np.zeros(len(self.names))
        size = self._widths * np.maximum(scales, 1e-9)[self._groups]
        known[: len(self.shine)] = size**-2.0
        return known

    def factor(self, linear: Floats) -> Floats:
        """Counts per intensity of each pixel, (conditions, rows, columns)."""
        factor = np.zeros(self._blank.shape[1:])
        for value, s in zip(linear, self.shine, strict=False):
            factor[s.own] += value * s.term
        return factor


def _variance(window: Window, options: FitOptions) -> Floats:
    """Variance of blocks by their smoothed counts, (conditions, rows, columns).

    It is the same for all that is compared. If each type had that of its own model, those would
    win that expect less light where the errors of the model are stated too large.
    """
    smooth = gaussian_filter(median_filter(window.counts, (1, 3, 3)), (0, 1.0, 1.0))
    ground = np.quantile(smooth, 0.02, axis=(1, 2), keepdims=True)
    noise = ModelNoise(window.noise, options.model_error, options.background_error)
    plain = window.noise.variance(smooth)
    return np.asarray(
        noise.variance(np.maximum(smooth - ground, 0.0), np.maximum(ground, 0.0))
        - plain * (1.0 - 1.0 / np.maximum(window.number, 1))
    )


def _trust(window: Window, reach: float) -> Floats:
    """How much each block counts: less towards the edges, where other defects may be."""
    rows, columns = window.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    share = np.exp(-0.5 * (x * x + y * y) / reach**2)
    return np.asarray(np.broadcast_to(share, window.counts.shape).reshape(-1))

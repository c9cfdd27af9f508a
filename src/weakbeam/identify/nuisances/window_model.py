"""What images of a window are made of, and what is not known of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_terms import light_terms, window_terms
from weakbeam.identify.nuisances.windows import Window, WindowRenderers


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
    tilts : int
        Amounts of tilt at which images are computed.
    instrument : bool
        Whether beam height, condenser, 2θ and depth are fitted.
    turn : bool
        Whether the character is fitted.
    steps : int
        Most steps along one set of images.
    rounds : int
        Most sets of images.
    precise : bool
        As of :class:`~weakbeam.run.render.Renderer`.
    depths : int, optional
        Samples along rays; as many as the crystal asks for unless given.
    reach : float
        Distance from the middle, as a share of the half window, at which blocks count 0.6.
    """

    model_error: float
    background_error: float
    freedom: float = 6.0
    tilts: int = 17
    instrument: bool = False
    turn: bool = False
    steps: int = 8
    rounds: int = 1
    precise: bool = False
    depths: int | None = None
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
        self.renderer = renderers.of(window, options.precise, None, options.depths)
        setups = self.renderer.setups
        self.of = np.array([c.reflection for c in self.renderer.conditions])
        self.groups = sorted(set(self.of.tolist()))
        camera = renderers.experiment.camera
        spread = (camera.psf_px or 0.0) / camera.binning
        # Blocks average over their pixels, where computed images take one point.
        self.sharp = (spread / window.factor) ** 2 + (1.0 - window.factor**-2) / 12.0
        optics = setups[0].optics
        self.step = max(math.tan(setups[0].geometry.theta) * optics.bandwidth, 4e-6)
        self.tilts = self.step * (np.arange(options.tilts) - (options.tilts - 1) / 2.0)
        self.vectors = {r: setups[r].geometry.motor_vectors for r in self.groups}
        self.terms = window_terms(window.shape, max(priors.tilt_degree, 0))[1:]
        turned = camera.rotation_deg in (90, 270)
        self.light = light_terms(window.shape, priors.illumination_degree, turned)
        self.ground = window_terms(window.shape, priors.background_degree)
        self.nuisances = self._nuisances()
        self.trust = _trust(window, options.reach)

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


def _trust(window: Window, reach: float) -> Floats:
    """How much each block counts: less towards the edges, where other defects may be."""
    rows, columns = window.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    share = np.exp(-0.5 * (x * x + y * y) / reach**2)
    return np.asarray(np.broadcast_to(share, window.counts.shape).reshape(-1))

"""Which types of a library come near images of which not everything is known: from coarse to fine.

All types are fitted to the images in coarse blocks, with nuisances; then again from where the best
of them has ended, since nuisances are the same whatever the type. The best go on, their characters
free, and at last with the pixels as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import legval

from weakbeam.core.arrays import Floats
from weakbeam.core.workers import worker_count
from weakbeam.defects.types import DislocationType
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_terms import degrees, window_terms
from weakbeam.fit.observation import Observation
from weakbeam.identify.library.library import Library
from weakbeam.identify.nuisances.window_fit import Fitted, LineFit
from weakbeam.identify.nuisances.window_model import FitOptions, WindowModel
from weakbeam.identify.nuisances.windows import (
    Window,
    WindowRenderers,
    coarse_window,
    window_of,
)
from weakbeam.run.render import Renderer
from weakbeam.run.view import view_of


@dataclass(frozen=True)
class TolerantOptions:
    """How many types go on, and how roughly they are looked at.

    Parameters
    ----------
    pixels : int
        Blocks of a coarse image, at most.
    again, turned, fine : int
        How many types are fitted anew from the best nuisances, then with characters free, then with
        single pixels.
    coarse_error, middle_error : float
        Errors of the coarse models, as shares of the light.
    reach, fine_reach : float
        As of :class:`~weakbeam.identify.nuisances.window_model.FitOptions`.
    window : (int, int)
        Rows and columns of the finest window, at most.
    """

    pixels: int = 900
    again: int = 70
    turned: int = 20
    fine: int = 6
    coarse_error: float = 0.1
    middle_error: float = 0.06
    reach: float = 0.6
    fine_reach: float = np.inf
    window: tuple[int, int] = (80, 112)


_AS_TOLD = {"log_condenser": 0.03, "log_height": 0.15}
"""How far the instrument may be from what is told without the coarse fits being misled."""

Start = Mapping[str, float]
_SHARED = ("phi", "chi", "two_theta", "tilt", "blur", "log")


def nuisances_of(fit: Fitted) -> dict[str, float]:
    """Values of the nuisances, which do not belong to a type."""
    pairs = zip(fit.parameters, fit.values, strict=True)
    return {p.name: float(v) for p, v in pairs if p.name.startswith(_SHARED)}


class TolerantSearch:
    """A search among the types of a library.

    Parameters
    ----------
    observation : Observation
        The images.
    library : Library
        The types, and the experiment that their images are computed for.
    numbers : sequence of int
        Number of each image's condition in the library.
    priors : NuisancePriors
        Of the nuisances.
    prior : PositionPrior
        Where the line may be.
    options : TolerantOptions
        How many go on.
    workers : int, optional
        Threads.
    """

    def __init__(
        self,
        observation: Observation,
        library: Library,
        numbers: Sequence[int],
        priors: NuisancePriors,
        prior: PositionPrior,
        options: TolerantOptions = TolerantOptions(),
        workers: int | None = None,
    ) -> None:
        self.observation, self.library, self.numbers = observation, library, list(numbers)
        self.priors, self.prior, self.options = priors, prior, options
        self.reflections = [library.conditions[k].reflection for k in numbers]
        self.renderers = WindowRenderers(library.experiment, numbers)
        self.workers = worker_count(workers)
        self.coarse = coarse_window(observation, self.reflections, options.pixels)

    def coarse_fits(
        self, starts: Sequence[tuple[DislocationType, Floats]], tell: Callable[[float], None]
    ) -> list[Fitted]:
        """Fits of types from their places to coarse images, the best first."""
        o = self.options
        model = self._model(
            self.coarse,
            FitOptions(o.coarse_error, 0.05, depths=12, tilts=15, steps=3, reach=o.reach),
        )
        share = 0.5 / max(len(starts), 1)

        def first(start: tuple[DislocationType, Floats]) -> tuple[Fitted, LineFit] | None:
            line = LineFit(model, *start)
            fit = _climbed(line)
            tell(share)
            return None if fit is None else (fit, line)

        found = [f for f in self._map(first, starts) if f is not None]
        found.sort(key=lambda f: -f[0].log_evidence)
        # Of a crystal without the line: what all of the window but its middle tells of the lattice.
        far = LineFit(model, found[0][0].type, found[0][0].position_um + 1e4 * model.renderer.up)
        bare = _climbed(far, None, 10)
        shared = [nuisances_of(fit) for fit in (found[0][0], bare) if fit is not None]
        for count, share in ((o.again, 0.15), (o.again // 3, 0.05)):
            best = found[0][0]

            def again(
                f: tuple[Fitted, LineFit],
                best: Fitted = best,
                shared: Sequence[Start] = shared,
                share: float = share / count,
            ) -> tuple[Fitted, LineFit]:
                fit, line = f
                tell(share)
                lines: list[tuple[LineFit, Start | None]] = [(line, None)]
                for start in shared:
                    near = LineFit(model, fit.type, fit.position_um)
                    near.stacks = line.stacks
                    lines.append((near, start))
                lines.append((LineFit(model, fit.type, best.position_um), shared[0]))
                ends = [(_climbed(other, start, 5), other) for other, start in lines]
                there = [(end, other) for end, other in ends if end is not None]
                return max([f, *there], key=lambda end: end[0].log_evidence)

            found[:count] = self._map(again, found[:count])
            found.sort(key=lambda f: -f[0].log_evidence)
            shared = [nuisances_of(found[0][0])]
        return [fit for fit, _ in found]

    def turned_fits(self, fits: Sequence[Fitted], tell: Callable[[float], None]) -> list[Fitted]:
        """The best with characters and instrument free, to coarse images."""
        o = self.options
        model = self._model(
            self.coarse,
            FitOptions(
                o.middle_error, 0.05, depths=16, tilts=15, steps=4, rounds=3, instrument=True,
                turn=True, reach=o.reach,
            ),
        )  # fmt: skip
        kept, best = list(fits[: o.turned]), fits[0]

        def fitted(fit: Fitted) -> Fitted:
            starts = [(fit.position_um, nuisances_of(fit))]
            if fit is not best:
                starts.append((best.position_um, nuisances_of(best)))
            if any(fit is first for first in kept[:6]):
                # Without the instrument, other nuisances may have stood in for it.
                starts.append((fit.position_um, {}))
            lines = [(LineFit(model, fit.type, place), shared) for place, shared in starts]
            tell(0.15 / len(kept))
            return _best([fit, *(_climbed(line, shared) for line, shared in lines)], skip=1)

        turned: list[Fitted] = self._map(fitted, kept)
        top = max(turned, key=lambda fit: fit.log_evidence)
        shared = nuisances_of(top)
        if any(abs(shared.get(name, 0.0)) > most for name, most in _AS_TOLD.items()):
            # Another instrument than the coarse fits had: all others are due it as well.
            def again(fit: Fitted) -> Fitted:
                line = LineFit(model, fit.type, fit.position_um)
                return _best([fit, None if fit is top else _climbed(line, shared)])

            turned = self._map(again, turned)
        return _distinct(sorted(turned, key=lambda fit: -fit.log_evidence))

    def fine_fits(self, fits: Sequence[Fitted], tell: Callable[[float], None]) -> list[Fitted]:
        """The best of all, to a window of single pixels about the best one's line."""
        o = self.options
        window = self._window(fits[0])
        p = self.priors
        tilts = self._tilts(fits[0], window)
        model = self._model(
            window,
            FitOptions(
                p.model_error,
                p.background_error,
                tilts=tilts,
                steps=6,
                rounds=6,
                instrument=True,
                turn=True,
                reach=o.fine_reach,
            ),
        )
        kept = list(fits[: o.fine])

        def fitted(fit: Fitted) -> Fitted | None:
            line = LineFit(model, fit.type, fit.position_um)
            shared = nuisances_of(fit) | self._carried(fit, window)
            tell(0.15 / len(kept))
            return _climbed(line, shared)

        fine = [fit for fit in self._map(fitted, kept) if fit is not None]
        return _distinct(sorted(fine, key=lambda fit: -fit.log_evidence))

    def _model(self, window: Window, options: FitOptions) -> WindowModel:
        return WindowModel(window, self.renderers, self.priors, self.prior, options)

    def _window(self, fit: Fitted) -> Window:
        """A window about where a line is seen."""
        whole = np.array(self.observation.shape)
        size = np.minimum(whole, self.options.window)
        coarse = self.renderers.of(self.coarse, False)
        corners = {}
        for k, reflection in enumerate(self.reflections):
            renderer: Renderer = coarse
            condition = renderer.conditions[k]
            view = view_of(renderer.setups[reflection], renderer.setups[0], condition.z)
            origin = self.renderers.origins(renderer)[reflection]
            factor = self.coarse.factor
            # From the middle of the renderer's own images, in pixels of the whole ones.
            away = (view.pixel(fit.position_um) - (np.array(view.shape) - 1.0) / 2.0) * factor
            first = (whole - size) / 2.0 + away - origin
            corners[reflection] = np.clip(np.round(first), 0, whole - size).astype(np.int64)
        shape = int(size[0]), int(size[1])
        return window_of(self.observation, self.reflections, 1, corners, shape)

    def _carried(self, fit: Fitted, window: Window) -> dict[str, float]:
        """Tilts of the lattice as polynomials over another window."""
        carried: dict[str, float] = {}
        old, new = fit.window, window
        degree = self.priors.tilt_degree
        terms = window_terms(new.shape, degree).reshape(-1, new.shape[0] * new.shape[1])
        for reflection in sorted(set(self.reflections)):
            mark = f"[{reflection}]" if len(set(self.reflections)) > 1 else ""
            places = []
            for axis in (0, 1):
                pixel = new.corners[reflection][axis] + new.factor * (
                    np.arange(new.shape[axis]) + 0.5
                )
                first = old.corners[reflection][axis]
                places.append(2.0 * (pixel - first) / (old.factor * old.shape[axis]) - 1.0)
            for motor in ("phi", "chi"):
                names = [f"tilt_{motor}{mark}[{k}]" for k in range(1, len(terms))]
                values = nuisances_of(fit)
                if not all(name in values for name in names):
                    continue
                field = np.zeros(new.shape)
                for name, (i, j) in zip(names, degrees(degree)[1:], strict=True):
                    row, column = (
                        legval(u, np.eye(degree + 1)[n])
                        for u, n in zip(places, (i, j), strict=True)
                    )
                    field += values[name] * np.outer(row, column)
                found = np.linalg.lstsq(terms.T, field.ravel(), rcond=None)[0]
                carried |= dict(zip(names, found[1:].tolist(), strict=True))
                offset = f"{motor}_offset{mark}"
                if offset in values:
                    carried[offset] = values[offset] + float(found[0])
        return carried

    def _tilts(self, fit: Fitted, window: Window) -> int:
        """Amounts of tilt that a window needs, by what a coarse fit has found."""
        step = self._model(self.coarse, FitOptions(0.1, 0.1, tilts=3)).step
        most = 0.0
        for mark in {p.name[4:] for p in fit.parameters if p.name.startswith("tilt_phi")}:
            most += abs(fit.value(f"tilt{mark}")[0]) if mark else 0.0
        for p, value in zip(fit.parameters, fit.values, strict=True):
            if p.name.startswith(("phi_offset", "tilt_phi")):
                most += abs(value)
        return int(np.clip(2 * np.ceil(most / step + 3.0) + 1, 9, 25))

    def _map(self, work: Callable[..., object], items: Sequence[object]) -> list:  # type: ignore[type-arg]
        if self.workers == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(work, items))


def _climbed(line: LineFit, start: Start | None = None, steps: int = 0) -> Fitted | None:
    """The end of a climb; None where it leads nowhere."""
    fit = line.climbed(start, steps)
    return fit if np.isfinite(fit.log_evidence) else None


def _best(fits: Sequence[Fitted | None], skip: int = 0) -> Fitted:
    """The highest; `skip` of the first stand in only where no other has come to an end."""
    there = [fit for fit in fits[skip:] if fit is not None]
    return max(there, key=lambda fit: fit.log_evidence) if there else fits[0]  # type: ignore[return-value]


def _distinct(fits: Sequence[Fitted], apart_deg: float = 4.0) -> list[Fitted]:
    """Fits of one slip system whose characters have come together count once."""
    kept: list[Fitted] = []
    for fit in fits:
        if not any(
            (fit.type.plane, fit.type.burgers) == (other.type.plane, other.type.burgers)
            and abs((fit.type.character_deg - other.type.character_deg + 180) % 360 - 180)
            < apart_deg
            for other in kept
        ):
            kept.append(fit)
    return kept

"""Which types of a library come near images of which not everything is known: from coarse to fine.

All types are fitted to the images in coarse blocks, with nuisances; then again from where the best
of them has ended, since nuisances are the same whatever the type. The best go on, their characters
free, and at last with the pixels as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial.legendre import legval

from weakbeam.core.workers import worker_count
from weakbeam.fit.line_place import PositionPrior
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.nuisance_terms import degrees, window_terms
from weakbeam.fit.observation import Observation
from weakbeam.identify.library.library import Library
from weakbeam.identify.nuisances.starts import Start, StartFinder
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
    about : (int, int)
        Rows and columns of a coarse image (pixels) besides twice the largest shift, at most:
        farther away a line tells little, and blocks would have to be large.
    offsets : float
        Largest offset (rad) of φ that is tried to begin with.
    first, again, turned, fine : int
        How many types are fitted at most from where they begin, then anew from the best
        nuisances, then with characters free, then with single pixels.
    gap : float
        Log-evidence by which types but the second best one may lie below the best one to be
        fitted to single pixels.
    coarse_error, middle_error : float
        Errors of the coarse models, as shares of the light.
    reach, fine_reach : float
        As of :class:`~weakbeam.identify.nuisances.window_model.FitOptions`.
    window : (int, int)
        Rows and columns of the finest window, at most.
    """

    pixels: int = 900
    about: tuple[int, int] = (64, 96)
    offsets: float = 5e-5
    first: int = 140
    again: int = 70
    turned: int = 20
    fine: int = 8
    gap: float = 90.0
    coarse_error: float = 0.1
    middle_error: float = 0.05
    reach: float = 0.6
    fine_reach: float = np.inf
    window: tuple[int, int] = (80, 112)


_AS_TOLD = {"log_condenser": 0.03, "log_height": 0.15}
"""How far the instrument may be from what is told without the coarse fits being misled."""

_FITS = 1.5
"""Misfit of the best type up to which others far below it need no closer look."""

_POLISHED, _RIVAL = 3, 12.0
"""So many types at most, and those within such a log-evidence, are fitted to precise images."""

_BENT = ((0.0, 0.0), (3e-5, 0.0), (-3e-5, 0.0), (0.0, 3e-5), (0.0, -3e-5))
"""Tilts of φ at the last row and column (rad) from which it is sought how a lattice is bent."""

_LEAST_BENT, _MOST_BENT = 1e-5, 6e-5
"""Between which such tilts (rad) are tried for all types."""

Nuisances = Mapping[str, float]
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
    max_shift : int
        How far from the middle it may be seen (pixels).
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
        max_shift: int,
        options: TolerantOptions = TolerantOptions(),
        workers: int | None = None,
    ) -> None:
        self.observation, self.library, self.numbers = observation, library, list(numbers)
        self.priors, self.prior, self.options = priors, prior, options
        self.max_shift = max_shift
        self.reflections = [library.conditions[k].reflection for k in numbers]
        self.workers = worker_count(workers)
        self.renderers = WindowRenderers(library.experiment, numbers, self.workers)
        rows, columns = (2 * max_shift + size for size in options.about)
        self.coarse = coarse_window(observation, self.reflections, options.pixels, (rows, columns))

    def coarse_fits(self, tell: Callable[[float], None], condenser: float = 1.0) -> list[Fitted]:
        """Fits of all types that are seen to coarse images, the best first.

        The condenser, which is not fitted, may differ from what is told by a factor.
        """
        bare = self._bare(condenser)
        fits = self._coarse_fits(tell, condenser, bare)
        # What is nearly right tells how the lattice is bent, which may not have been tried.
        bend = np.array(self._bend(fits[0]))
        tried = [(0.0, 0.0)] if bare is None else [(0.0, 0.0), self._bend(bare)]
        if fits[0].misfit < _FITS and min(np.abs(bend - t).max() for t in tried) > _LEAST_BENT:
            again = self._coarse_fits(lambda share: None, condenser, fits[0])
            fits = max(fits, again, key=lambda found: found[0].log_evidence)
        return fits

    def _coarse_fits(
        self, tell: Callable[[float], None], condenser: float, bent: Fitted | None
    ) -> list[Fitted]:
        """The same, starting also from the lattice of a fit that tells how it is bent."""
        o = self.options
        model = self._model(
            self.coarse,
            FitOptions(
                o.coarse_error,
                0.05,
                depths=48,
                tilts=15,
                steps=3,
                reach=o.reach,
                condenser=condenser,
            ),
        )
        fields = [] if bent is None else [self._bend(bent)]
        finder = StartFinder(model, self.max_shift, o.offsets, fields)
        members = self.library.members
        types = {int(t): m for m, t in reversed([*enumerate(members.types)]) if members.visible[m]}

        def compared(member: int) -> Start:
            tell(0.3 / len(types))
            return finder.start(self.library.type_of(member), members.positions_um[member])

        starts: list[Start] = self._map(compared, [m for _, m in sorted(types.items())])
        starts.sort(key=lambda start: -start.gain)
        least = 0.5 * starts[0].gain
        starts = [s for k, s in enumerate(starts[: o.first]) if k < 40 or s.gain > least]

        def first(start: Start) -> tuple[Fitted, LineFit] | None:
            line = LineFit(model, start.type, start.position_um, start.nuisances)
            fit = _climbed(line)
            tell(0.2 / len(starts))
            return None if fit is None else (fit, line)

        found = [f for f in self._map(first, starts) if f is not None]
        found.sort(key=lambda f: -f[0].log_evidence)
        shared = [nuisances_of(found[0][0]), {}, *([] if bent is None else [nuisances_of(bent)])]
        for count, share in ((o.again, 0.15), (o.again // 3, 0.05)):
            best = found[0][0]
            count = min(count, max(12, _near(found, max(400.0, 0.25 * starts[0].gain))))

            def again(
                f: tuple[Fitted, LineFit],
                best: Fitted = best,
                shared: Sequence[Nuisances] = shared,
                share: float = share / count,
            ) -> tuple[Fitted, LineFit]:
                fit, line = f
                tell(share)
                lines: list[tuple[LineFit, Nuisances | None]] = [(line, None)]
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

    def _bare(self, condenser: float) -> Fitted | None:
        """The fit of a crystal without a line, if it tells that the lattice is bent."""
        o = self.options
        model = self._model(
            self.coarse, FitOptions(o.coarse_error, 0.05, depths=48, rounds=2, condenser=condenser)
        )
        far = 1e4 * model.renderer.up
        names = [p.name for p in model.nuisances if p.name.startswith("tilt_phi")]
        ends = []
        for start in _BENT if names else ():
            line = LineFit(model, self.library.types[0], far)
            told = {
                name: value
                for name in names
                for ending, value in zip(("[1]", "[2]"), start, strict=True)
                if name.endswith(ending)
            }
            end = _climbed(line, told)
            if end is not None:
                ends.append(end)
        if not ends:
            return None
        best = max(ends, key=lambda fit: fit.log_evidence)
        # What light an open condenser lets through everywhere, only absurd fields explain.
        likely = all(abs(best.value(name)[0]) < 2.0 * self.priors.tilt for name in names)
        return best if likely and max(map(abs, self._bend(best))) > _LEAST_BENT else None

    def _bend(self, bare: Fitted) -> tuple[float, float]:
        """Tilts at the last row and column to start from."""
        mark = f"[{self.reflections[0]}]" if len(set(self.reflections)) > 1 else ""
        values = nuisances_of(bare)
        row, column = (
            float(np.clip(values.get(f"tilt_phi{mark}[{k}]", 0.0), -_MOST_BENT, _MOST_BENT))
            for k in (1, 2)
        )
        return row, column

    def turned_fits(
        self, fits: Sequence[Fitted], tell: Callable[[float], None], condenser: float = 1.0
    ) -> list[Fitted]:
        """The best with characters and instrument free, to coarse images."""
        told = {"log_condenser": float(np.log(self.priors.condenser.mean * condenser))}
        o = self.options
        model = self._model(
            self.coarse,
            FitOptions(
                o.middle_error, 0.05, depths=48, steps=4, rounds=3, instrument=True,
                turn=True, reach=o.reach,
            ),
        )  # fmt: skip
        best = fits[0]
        kept = list(fits[: max(4, min(o.turned, _near([(fit,) for fit in fits], 300.0)))])

        def fitted(fit: Fitted) -> Fitted:
            starts = [(fit.position_um, told | nuisances_of(fit))]
            if fit is not best:
                starts.append((best.position_um, told | nuisances_of(best)))
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
        how = FitOptions(
            self.priors.model_error,
            self.priors.background_error,
            steps=6,
            rounds=6,
            instrument=True,
            turn=True,
            reach=o.fine_reach,
        )
        model = self._model(window, how)
        least = fits[0].log_evidence - o.gap
        kept = [fit for k, fit in enumerate(fits[: o.fine]) if k < 2 or fit.log_evidence > least]

        def fitted(fit: Fitted, height: float = -np.inf) -> Fitted | None:
            line = LineFit(model, fit.type, fit.position_um)
            shared = nuisances_of(fit) | self._carried(fit, window)
            tell(0.15 / len(kept))
            return _climbed(line, shared, height=height)

        first = fitted(kept[0])
        height = -np.inf if first is None else first.log_likelihood
        others = self._map(lambda fit: fitted(fit, height), kept[1:])
        fine = [fit for fit in (first, *others) if fit is not None]
        fine = _distinct(sorted(fine, key=lambda fit: -fit.log_evidence))
        precise = self._model(window, replace(how, rounds=2, precise=True))

        def polished(fit: Fitted) -> Fitted:
            line = LineFit(precise, fit.type, fit.position_um)
            return _climbed(line, nuisances_of(fit)) or fit

        near = [f for f in fine[:_POLISHED] if f.log_evidence > fine[0].log_evidence - _RIVAL]
        fine[: len(near)] = [polished(fit) for fit in near]
        return sorted(fine, key=lambda fit: -fit.log_evidence)

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

    def _map(self, work: Callable[..., object], items: Sequence[object]) -> list:  # type: ignore[type-arg]
        if self.workers == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(work, items))


def _near(fits: Sequence[tuple[Fitted, ...]], gap: float) -> int:
    """How many of fits, the best first, are within a gap; all where the best one is a bad one."""
    best = fits[0][0]
    if best.misfit > _FITS:
        return len(fits)
    return sum(fit[0].log_evidence > best.log_evidence - gap for fit in fits)


def _climbed(
    line: LineFit, start: Nuisances | None = None, steps: int = 0, height: float = -np.inf
) -> Fitted | None:
    """The end of a climb; None where it leads nowhere."""
    fit = line.climbed(start, steps, height)
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

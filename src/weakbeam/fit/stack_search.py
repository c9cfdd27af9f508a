"""Which dislocations a stack shows: found in its maps, refined and judged on its frames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress
from weakbeam.defects.loop_types import loop_types
from weakbeam.defects.types import DislocationType
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.line_likeness import alike, at_other_depths, same_system
from weakbeam.fit.stack_climb import (
    Normal,
    Record,
    climb_stack,
    common_scale,
    covariance_of,
    moved_by_samples,
)
from weakbeam.fit.stack_curves import ShiftMaps, shift_maps
from weakbeam.fit.stack_data import StackData, spread_frames
from weakbeam.fit.stack_detect import found_lines
from weakbeam.fit.stack_fit import Alternative, SearchOptions, StackFit
from weakbeam.fit.stack_journal import Journal
from weakbeam.fit.stack_maps import Candidate, MapFit, MapModel, Pattern
from weakbeam.fit.stack_merge import merged, near_pairs
from weakbeam.fit.stack_model import StackModel, State
from weakbeam.fit.stack_progress import Phases
from weakbeam.fit.stack_regions import is_explained
from weakbeam.fit.stack_residuals import Residuals
from weakbeam.fit.stack_shapes import shape_patterns
from weakbeam.fit.stack_start import start_of
from weakbeam.fit.stack_windows import LineWindow, best_in_place, is_large

Tell = Callable[[str], None]

_Begun = tuple[Normal, State, list[list[FittedDefect]], list[float]]
"""Where a search begins: some frames, all of them, what else may be in each place, gains."""

_UNEXPLAINED = 1.3
"""Misfit from which on a stack is not explained."""

_MANY, _DOUBTFUL = 5, 0.3
"""Lines, and the misfit of the maps, from which on loops and walls are tried before more lines.

Right lines leave 0.2 at most.
"""

_SETTINGS, _OTHERS = 12, 4
"""So many settings of a motor, and of each of the others, tell roughly where lines are."""

_FEWER = 0.6
"""Share of the frames from which on some of them are no shorter way."""

_ROUGHER = 4.0
"""So much less accurate are averages over pixels as long as it is tried what may be there."""

_BEHIND = 2.0
"""Log-likelihood of some frames, in units of the misfit, by which a line is out of the question."""

_LEAST_GAIN = 3.0
"""Log-likelihood at which a climb on some frames ends, which all of them will carry on."""

_FEW_STEPS = 3
"""Steps on all frames where some of them are not explained."""

_FAR_BEHIND = 5.0
"""Prices of a line by which some frames have to be less likely without it to be sure of it."""

_LEAST_MISFIT = 0.1
"""Of maps; they are never so sure as to exclude types by less."""

_WORTH = 0.9
"""By how much another line must bring the misfit down for a further search."""

_LONGER = 4.0
"""So many times longer what explains a large image is sought."""

_MAPS, _STARTED, _COMPARED, _ADDED, _NEEDED = 0.1, 0.5, 0.7, 0.85, 0.95
"""Shares of a search that are done with its phases, about."""

_BESIDE, _MOST_STEPS_BESIDE = 0.1, 20
"""Share of the longest steps by which what was found is moved, and how far to climb from there."""

_CERTAIN = 3.0
"""A line that is worth so many times its price to the maps is not tried away."""


@dataclass
class StackSearch:
    """The search for the dislocations of a stack.

    Parameters
    ----------
    model, data
        Instrument and stack.
    types : sequence of DislocationType
        What may be there.
    options : SearchOptions
        How it is done.
    tell : callable, optional
        Told what is done.
    journal : Journal, optional
        Keeps what is done, so that it can be carried on.
    progress : callable, optional
        Told the share that is newly done, as far as that can be told.
    """

    model: StackModel
    data: StackData
    types: Sequence[DislocationType]
    options: SearchOptions = field(default_factory=SearchOptions)
    tell: Tell | None = None
    journal: Journal | None = None
    progress: Progress | None = None
    trail: list[str] = field(default_factory=list)

    given_up: bool = False

    def __post_init__(self) -> None:
        self._since, self._at_summit = time.process_time(), True
        self._shapes_tried, self._explained = False, True
        self._left: tuple[State, Residuals] | None = None
        self._phases = Phases(self.progress)
        numbers = spread_frames(self.data.positions, _SETTINGS, _OTHERS)
        if len(numbers) > _FEWER * len(self.data):
            numbers = np.arange(len(self.data))
        self._numbers = numbers
        lines = len({(kind.plane, kind.burgers) for kind in self.types}) or 1
        self._systems = {"line": lines, "loop": len(loop_types(self.types)) or 1, "wall": 2 * lines}
        rough = self.model.rougher(_ROUGHER) or self.model
        self._large = is_large(self.model)
        self._few_model, self._few_data = rough.of_frames(numbers), self.data.part(numbers)

    def _say(self, text: str) -> None:
        self.trail.append(text)
        self._phases.step()
        if self.tell is not None:
            self.tell(text)

    def detect(self) -> StackFit:
        """Find all lines, and refine them."""
        self._since = time.process_time()
        options = self.options
        self._phases.begin(_MAPS)
        maps = shift_maps(self.model, self.data)
        map_model = MapModel(self.model, maps)
        patterns = map_model.patterns(self.types, self.model.workers)
        self._phases.begin(_STARTED)
        here, converged, others, gains = self._started(maps, map_model, patterns)
        # Types first: one that is wrong leaves residuals that ask for lines that are not there.
        self._phases.begin(_COMPARED)
        if self._large:
            here, alternatives = self._compared_near_by(here, others, map_model, patterns)
            converged = self._at_summit
        else:
            here, alternatives = self._compared(here, others)
        if here.reduced > _UNEXPLAINED and not self._large:
            here, alternatives, gains = self._searched_anew(
                here, alternatives, gains, map_model, patterns
            )
        self._phases.begin(_ADDED)
        for _ in range(options.rounds):
            if self._out_of_time(here):
                break
            before = here
            here, added = self._added(here)
            if added is None:
                break
            instead = self._in_other_plane(before, here, map_model, patterns)
            if instead is not None:
                here = instead
                continue
            alternatives.append([])
            gains.append(added)
        here, alternatives, gains = self._reshaped(
            here, alternatives, gains, maps, map_model, patterns
        )
        self._phases.begin(_NEEDED)
        here, alternatives, gains = self._merged(here, alternatives, gains)
        if not self.given_up:
            here, alternatives, gains = self._needed(here, alternatives, gains)
        if any(not math.isfinite(gain) for gain in gains) or not self._at_summit:
            here, converged = self.climb(here.state, 10, last=True)
        here, converged, again = self._once_more(here, converged)
        return self.finished(here, converged, alternatives, gains, again)

    def _started(
        self, maps: ShiftMaps, map_model: MapModel, patterns: Sequence[Pattern]
    ) -> tuple[Normal, bool, list[list[FittedDefect]], list[float]]:
        """The likeliest lines of the maps, on the stack: of several sets where one will not do."""
        options = self.options
        best: _Begun | None = None
        lines, price, most = (), options.map_price, options.most
        for width in (1,) if self._large else (1, options.width):
            doubt = None if self._shapes_tried else (_MANY, _DOUBTFUL)
            found, ranked, gains = found_lines(
                map_model, patterns, price, most, lines, width, self._say, doubt
            )
            self._say(f"{len(found.lines)} lines in the maps, misfit {found.reduced:.2f}")
            if found.reduced > _DOUBTFUL and best is None:
                best = self._shaped(maps, map_model, patterns, found)
                if best is not None and best[0].reduced < _UNEXPLAINED:
                    break
                if doubt and len(found.lines) >= _MANY:
                    found, ranked, gains = found_lines(
                        map_model, patterns, price, most, found.lines, width, self._say
                    )
            start = start_of(self.model, maps, found.lines)
            rough = self._rough(start, 10)[0]
            others = [self._near_best(some, found.reduced) for some in ranked]
            if best is None or self._likelier(rough, best[0]):
                best = rough, start, others, gains
            if best[0].reduced < _UNEXPLAINED or width == options.width:
                break
            shaped = self._shaped(maps, map_model, patterns, found)
            if shaped is not None and self._likelier(shaped[0], best[0]):
                best = shaped
                if best[0].reduced < _UNEXPLAINED:
                    break
            self._say(f"not explained, chi2 {rough.reduced:.2f} on some frames: started anew")
        assert best is not None
        state = self._whole(best[0].state, best[1])
        if self._large:
            here, converged = replace(best[0], state=state), False
        else:
            here, converged = self.climb(state)
        return here, converged, best[2], best[3]

    def _likelier(self, one: Normal, other: Normal) -> bool:
        """Whether one explanation on some frames is likelier than another."""
        if all(line.kind == "line" for line in (*one.state.lines, *other.state.lines)):
            return one.height > other.height
        scale = common_scale(one, other)
        return self.evidence(one, scale) > self.evidence(other, scale)

    def _shaped(
        self, maps: ShiftMaps, map_model: MapModel, patterns: Sequence[Pattern], lines: MapFit
    ) -> _Begun | None:
        """Loops and walls along with lines, on some frames; None where they explain no more."""
        if self._shapes_tried or self._large:
            return None
        self._shapes_tried = True
        self._say("lines leave residuals: loops and walls are tried")
        options = self.options
        more = [*patterns, *shape_patterns(map_model, self.types, self.model.workers)]
        found, ranked, gains = found_lines(
            map_model, more, options.map_price, options.most, tell=self._say
        )
        gained = (found.log_likelihood - lines.log_likelihood) / max(1.0, found.reduced)
        self._say(
            f"{', '.join(one.label for one in found.lines)}: {gained:+.1f} in the maps, misfit "
            f"{found.reduced:.2f}"
        )
        if all(one.kind == "line" for one in found.lines) or gained < options.price:
            return None
        start = start_of(self.model, maps, found.lines)
        shaped = self._rough(start, 20)[0]
        self._say(f"loops and walls: chi2 {shaped.reduced:.2f} on some frames")
        return shaped, start, [self._near_best(some, found.reduced) for some in ranked], gains

    def _reshaped(
        self,
        here: Normal,
        alternatives: list[list[Alternative]],
        gains: list[float],
        maps: ShiftMaps,
        map_model: MapModel,
        patterns: Sequence[Pattern],
    ) -> tuple[Normal, list[list[Alternative]], list[float]]:
        """Loops and walls in the place of lines where these leave some region unexplained."""
        if self._shapes_tried or self._explained is not False:
            return here, alternatives, gains
        rough = self._rough(here.state, 10)[0]
        shaped = self._shaped(maps, map_model, patterns, map_model.fit(here.state.lines, []))
        if shaped is None or not self._likelier(shaped[0], rough):
            return here, alternatives, gains
        new, _ = self.climb(self._whole(shaped[0].state, shaped[1]))
        scale = common_scale(here, new)
        gained = self.evidence(new, scale) - self.evidence(here, scale)
        self._say(f"loops and walls: log-evidence {gained:+.1f}")
        if gained < self.options.price:
            return here, alternatives, gains
        return (*self._compared(new, shaped[2]), shaped[3])

    def _once_more(self, here: Normal, converged: bool) -> tuple[Normal, bool, Floats | float]:
        """A climb from beside what was found, and how far from it that leads.

        Which samples are chosen changes in jumps as lines move, and the derivatives along those
        that lie nearly in the sheet are small beside that; images of a loop change by many small
        jumps along the rows. The likelihood has summits beside each other: errors are no smaller
        than from one to another. Large images are not climbed twice.
        """
        lines = here.state.lines
        own = sum(len(line.names) for line in lines)
        plain = all(line.kind == "line" for line in lines)
        if not lines or self.given_up or (plain and (self._large or not converged)):
            return here, converged, 0.0
        beside = [line.moved(_BESIDE * line.longest_steps) for line in lines]
        state = replace(here.state, lines=tuple(beside))
        other, other_converged = self.climb(state, _MOST_STEPS_BESIDE, last=True)
        away = [one.apart(two) for one, two in zip(other.state.lines, lines, strict=True)]
        fixed = np.zeros(len(self.model.names(here.state)) - own)
        # One that has not arrived tells nothing.
        far = np.concatenate([fixed, *away]) if other_converged else 0.0
        if other.height > here.height:
            return other, other_converged, far
        return here, converged, far

    def _out_of_time(self, here: Normal) -> bool:
        """Whether to give up on what is not explained."""
        most = self.options.most_seconds * (_LONGER if self._large else 1.0)
        late = time.process_time() - self._since > most
        if late and here.reduced > _UNEXPLAINED and not self.given_up:
            self.given_up = True
            seconds = f"{most:.0f} s of processor time"
            self._say(f"given up after {seconds}: it is not explained")
        return self.given_up

    def refine(self, lines: Sequence[FittedDefect]) -> StackFit:
        """Refine given lines."""
        maps = shift_maps(self.model, self.data)
        start = start_of(self.model, maps, lines)
        self._phases.begin(_NEEDED)
        here, converged = self.climb(start)
        gains = [math.nan] * len(lines)
        here, converged, again = self._once_more(here, converged)
        return self.finished(here, converged, [[] for _ in lines], gains, again)

    # ------------------------------------------------------------------ steps

    def climb(
        self,
        state: State,
        most_steps: int = 20,
        to_beat: float = -math.inf,
        last: bool = False,
    ) -> tuple[Normal, bool]:
        """Climb on the frames, up to the last steps on some of them.

        Unless it is the last climb it is not worth many steps where these are not explained.
        """
        if len(self._numbers) < len(self.data):
            rough = self._rough(state, most_steps)[0]
            state = self._whole(rough.state, state)
            if rough.reduced > _UNEXPLAINED and not last:
                most_steps = min(most_steps, _FEW_STEPS)
        here, converged = climb_stack(
            self.model,
            self.data,
            state,
            most_steps=most_steps,
            to_beat=to_beat,
            record=self._record(),
            tell=self._step,
        )
        self._at_summit = converged
        self._say(
            f"{len(state.lines)} lines on the stack: chi2 {here.reduced:.3f}"
            + ("" if converged else ", not converged")
        )
        return here, converged

    def _step(self, number: int, here: Normal) -> None:
        self._phases.step()

    def _record(self) -> Record | None:
        return None if self.journal is None else self.journal.next()

    def _rough(
        self, state: State, most_steps: int = 20, to_beat: float = -math.inf
    ) -> tuple[Normal, bool]:
        """Climb on some of the frames."""
        part = replace(state, brightness=state.brightness[self._numbers])
        return climb_stack(
            self._few_model,
            self._few_data,
            part,
            most_steps=most_steps,
            to_beat=to_beat,
            around=False,
            least_gain=_LEAST_GAIN,
            record=self._record(),
            tell=self._step,
        )

    def _whole(self, part: State, state: State) -> State:
        """A state of some of the frames, with the brightness of the others from another one."""
        brightness = state.brightness.copy()
        brightness[self._numbers] = part.brightness
        return replace(part, brightness=brightness)

    def evidence(self, here: Normal, scale: float) -> float:
        """Log-evidence in units of a misfit, up to what all sets of lines have in common.

        What is compared must have the unit in common, :func:`.common_scale`.
        """
        lines = here.state.lines
        own = sum(len(line.names) for line in lines)
        height = here.height / scale
        if not own:
            return height
        covariance = covariance_of(here)[-own:, -own:] * scale
        widths = np.concatenate([line.widths(self.model.room) for line in lines])
        scaled = covariance / np.outer(widths, widths)
        volume = 0.5 * float(np.linalg.slogdet(2.0 * math.pi * scaled)[1])
        price = 0.0
        for kind, systems in self._systems.items():
            count = sum(line.kind == kind for line in lines)
            # Those of a kind are alike: exchanging them makes nothing new.
            price += count * math.log(systems) - math.lgamma(count + 1)
        return height + min(volume, 0.0) - price

    def _near_best(self, ranked: Sequence[Candidate], reduced: float) -> list[FittedDefect]:
        """Lines of other types that the maps hardly tell from the best."""
        options = self.options
        best = ranked[0].gain if ranked else 0.0
        far = options.alternatives * max(reduced, _LEAST_MISFIT)
        near = [one.line for one in ranked[1:] if best - one.gain < far]
        return near[: max(options.most_alternatives, options.most_unexplained)]

    def _added(self, here: Normal) -> tuple[Normal, float | None]:
        """One line more where what is left of the stack asks for it."""
        if len(here.state.lines) >= self.options.most:
            return here, None
        left = self._left_by(here)
        self._explained = is_explained(left.misfit, len(self.data))
        if not left.maps.motors:
            return here, None
        own = MapModel(self.model, left.maps, beside=True)
        patterns = own.patterns(self.types, self.model.workers)
        best = own.search(patterns, own.rest_of([]), 3)
        scale = max(1.0, own.fit([]).reduced)
        self._say(f"what is left: best gain {best[0].gain / scale:.1f} by {best[0].line.label}")
        if best[0].gain / scale < self.options.map_price:
            return here, None
        tried = []
        for candidate in best[:2]:
            line = own.fit([candidate.line]).lines[0]
            state = replace(here.state, lines=(*here.state.lines, line))
            tried.append(self.climb(state)[0])
        scale = common_scale(here, *tried)
        new = max(tried, key=lambda one: self.evidence(one, scale))
        gained = self.evidence(new, scale) - self.evidence(here, scale)
        self._say(f"one more: log-evidence {gained:+.1f}")
        if gained < self.options.price:
            return here, None
        return new, gained

    def _in_other_plane(
        self, here: Normal, new: Normal, map_model: MapModel, patterns: Sequence[Pattern]
    ) -> Normal | None:
        """Instead of one line more: one of the others in another plane of its Burgers vector.

        That changes little near it, and what it leaves may ask for a line far away.
        """
        if self._large:
            return None
        lines, best = here.state.lines, self._rough(new.state, 10)[0]
        found = None
        for k, line in enumerate(lines):
            if line.kind != "line":
                continue
            # Kind, plane and Burgers vector.
            _, plane, burgers = line.system
            partners = [
                pattern
                for pattern in patterns
                if pattern.system[2] == burgers and pattern.system[1] != plane
            ]
            left = lines[:k] + lines[k + 1 :]
            if not partners or self._out_of_time(here):
                continue
            rest = map_model.rest_of(left)
            for candidate in map_model.search(partners, rest, 1, near=line)[:1]:
                swapped = (*lines[:k], candidate.line, *lines[k + 1 :])
                tried = self._rough(replace(here.state, lines=swapped), 10)[0]
                scale = common_scale(best, tried)
                ahead = self.evidence(tried, scale) - self.evidence(best, scale)
                name = candidate.line.label
                self._say(f"instead {name} for {line.label}: {ahead:+.1f} on some frames")
                if ahead > 0.0:
                    best, found = tried, replace(here.state, lines=tried.state.lines)
        if found is None:
            return None
        instead, _ = self.climb(self._whole(best.state, found))
        scale = common_scale(new, instead)
        gained = self.evidence(instead, scale) - self.evidence(new, scale)
        self._say(f"instead of one more: log-evidence {gained:+.1f}")
        return instead if gained > 0.0 else None

    def _left_by(self, here: Normal) -> Residuals:
        """What a state leaves; that of the last one is kept."""
        if self._left is None or self._left[0] is not here.state:
            self._left = here.state, Residuals.of(self.model, self.data, here.state)
        return self._left[1]

    def _merged(
        self, here: Normal, others: list[list[Alternative]], gains: list[float]
    ) -> tuple[Normal, list[list[Alternative]], list[float]]:
        """One line for two beside each other with the sum of their Burgers vectors."""
        rough = None
        for first, second in near_pairs(self.model, here.state.lines):
            lines = here.state.lines
            if second >= len(lines) or self._out_of_time(here):
                break
            rest = [line for k, line in enumerate(lines) if k not in (first, second)]
            for line in merged(self.model, lines[first], lines[second], self.types):
                rough = rough or self._rough(here.state, 10)[0]
                scale = max(1.0, rough.reduced)
                state = replace(here.state, lines=(*rest, line))
                one, _ = self._rough(state, 10, rough.height - _FAR_BEHIND * self.options.price)
                if self.evidence(one, scale) < self.evidence(rough, scale):
                    continue
                new, _ = self.climb(self._whole(one.state, state), 10)
                scale = common_scale(here, new)
                gained = self.evidence(new, scale) - self.evidence(here, scale)
                pair = " and ".join(lines[k].label for k in (first, second))
                self._say(f"{line.label} for {pair}: log-evidence {gained:+.1f}")
                if gained > 0.0:
                    keep = [k for k in range(len(lines)) if k not in (first, second)]
                    others = [*(others[k] for k in keep), []]
                    gains = [*(gains[k] for k in keep), math.nan]
                    return self._merged(new, others, gains)
        return here, others, gains

    def _needed(
        self, here: Normal, others: list[list[Alternative]], gains: list[float]
    ) -> tuple[Normal, list[list[Alternative]], list[float]]:
        """Take away lines without which the evidence is higher."""
        k, rough = 0, None
        while k < len(here.state.lines):
            lines = here.state.lines
            # NaN is tried.
            if gains[k] > _CERTAIN * self.options.map_price:
                k += 1
                continue
            state = replace(here.state, lines=lines[:k] + lines[k + 1 :])
            rough = rough or self._rough(here.state, 10)[0]
            least = rough.height - _FAR_BEHIND * self.options.price * max(1.0, rough.reduced)
            fewer = self._rough(state, 6, least)[0]
            if fewer.height < least:
                gains[k] = (rough.height - fewer.height) / common_scale(rough, fewer)
                self._say(f"without {lines[k].label}: {-gains[k]:+.1f} on some frames")
                k += 1
                continue
            less, _ = climb_stack(self.model, self.data, state, most_steps=6, record=self._record())
            scale = common_scale(here, less)
            gains[k] = self.evidence(here, scale) - self.evidence(less, scale)
            self._say(f"without {lines[k].label}: log-evidence {-gains[k]:+.1f}")
            if gains[k] < self.options.price:
                here, _ = self.climb(less.state, 10)
                rough = None
                del others[k], gains[k]
                continue
            k += 1
        return here, others, gains

    def _compared(
        self, here: Normal, others: list[list[FittedDefect]]
    ) -> tuple[Normal, list[list[Alternative]]]:
        """Try other types in the place of each line."""
        alternatives: list[list[Alternative]] = []
        share = len(self.data) / len(self._numbers)
        rough = None
        for k, options in enumerate(others):
            tried = [(here, here.state.lines[k])]
            hopeless: list[Alternative] = []
            more = list(options[: self.options.most_alternatives])
            if here.reduced > _UNEXPLAINED:
                more = [*at_other_depths(here.state.lines[k]), *options]
            more = [line for line in more if not same_system(line, here.state.lines[k])]
            for line in more:
                if self._out_of_time(here):
                    break
                # Climbed as they are: some of the frames have a summit of their own.
                rough = rough or self._rough(here.state, 10)[0]
                scale = max(1.0, rough.reduced)
                lines = list(here.state.lines)
                lines[k] = line
                state = replace(here.state, lines=tuple(lines))
                other, _ = self._rough(state, 10, rough.height)
                if alike(other.state.lines[k], rough.state.lines[k]):
                    continue
                behind = (rough.height - other.height) / scale
                instead = f"{line.label} for {here.state.lines[k].label}"
                self._say(f"{instead}: {-behind:+.1f} on some frames")
                if behind > _BEHIND:
                    hopeless.append(Alternative(other.state.lines[k], -share * behind))
                    continue
                state = self._whole(other.state, state)
                other, _ = self.climb(state, 10, here.height)
                tried.append((other, other.state.lines[k]))
            unit = common_scale(*(normal for normal, _ in tried))
            evidences = [self.evidence(normal, unit) for normal, _ in tried]
            best, height = tried[int(np.argmax(evidences))], max(evidences)
            alternatives.append(
                sorted(
                    [
                        *(
                            Alternative(line, evidence - height)
                            for (normal, line), evidence in zip(tried, evidences, strict=True)
                            if normal is not best[0]
                        ),
                        *hopeless,
                    ],
                    key=lambda one: -one.log_evidence,
                )
            )
            if best[0] is not here:
                here, rough = best[0], None
        return here, alternatives

    def _compared_near_by(
        self,
        here: Normal,
        others: list[list[FittedDefect]],
        map_model: MapModel,
        patterns: Sequence[Pattern],
    ) -> tuple[Normal, list[list[Alternative]]]:
        """The same of a large image, by the pixels around each line."""
        alternatives: list[list[Alternative]] = []
        lines = here.state.lines
        for k, options in enumerate(others):
            state = replace(here.state, lines=lines)
            window = LineWindow(self.model, self.data, state, k)
            left = lines[:k] + lines[k + 1 :]

            def more(left: tuple[FittedDefect, ...] = left) -> list[FittedDefect]:
                rest = map_model.rest_of(left)
                most = self.options.most_unexplained
                return [one.line for one in map_model.search(patterns, rest, most)]

            line, behind, misfit = best_in_place(
                window, lines[k], options, self.evidence, self.options, _UNEXPLAINED, more
            )
            told = ", ".join(f"{one.line.label} {one.log_evidence:+.1f}" for one in behind)
            self._say(f"near line {k}: {line.label}, chi2 {misfit:.2f}; {told or 'no other'}")
            lines = (*lines[:k], line, *lines[k + 1 :])
            alternatives.append(behind)
        return self.climb(replace(here.state, lines=lines))[0], alternatives

    def _searched_anew(
        self,
        here: Normal,
        others: list[list[Alternative]],
        gains: list[float],
        map_model: MapModel,
        patterns: Sequence[Pattern],
    ) -> tuple[Normal, list[list[Alternative]], list[float]]:
        """Where the stack is not explained: any other line in the place of one, or none."""
        for _ in range(self.options.rounds):
            start = best = self._rough(here.state, 10)[0]
            best_k = 0
            for k in range(len(here.state.lines)):
                left = here.state.lines[:k] + here.state.lines[k + 1 :]
                candidates = map_model.search(
                    patterns, map_model.rest_of(left), self.options.most_unexplained
                )
                for lines in [left, *((*left, candidate.line) for candidate in candidates)]:
                    if self._out_of_time(best):
                        break
                    state = replace(here.state, lines=lines)
                    tried = self._rough(state, 10, best.height)[0]
                    scale = common_scale(best, tried)
                    if self.evidence(tried, scale) > self.evidence(best, scale) + _BEHIND:
                        best, best_k = tried, k
            if best is start:
                break
            fewer = len(best.state.lines) < len(here.state.lines)
            del others[best_k], gains[best_k]
            if not fewer:
                # It stands last now.
                others.append([])
                gains.append(math.nan)
            before = here.reduced
            here, _ = self.climb(self._whole(best.state, here.state))
            explained = here.reduced < _UNEXPLAINED or here.reduced > _WORTH * before
            if explained or self.given_up:
                break
        return here, others, gains

    def finished(
        self,
        here: Normal,
        converged: bool,
        alternatives: Sequence[Sequence[Alternative]],
        gains: Sequence[float],
        least: Floats | float = 0.0,
    ) -> StackFit:
        """The result, with its residuals, and errors no smaller than `least`."""
        self._phases.begin(1.0)
        left = self._left_by(here)
        moved = moved_by_samples(self.model, self.data, left.normal)
        moved = np.maximum(np.abs(moved), least)
        self._phases.begin(1.0)
        return StackFit(
            self.model,
            self.data,
            left.normal,
            converged,
            tuple(tuple(some) for some in alternatives),
            tuple(gains),
            left.misfit,
            left.noise_misfit,
            left.mean,
            left.maps,
            moved,
            tuple(self.trail),
            self.given_up,
        )

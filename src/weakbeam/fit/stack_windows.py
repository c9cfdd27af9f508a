"""What else may be in the place of a line, by the pixels around it alone.

Another type in the place of a line changes an image next to it most, so that a fit of a window
tells types apart, at a small share of what one of the whole image takes. The nuisances are free to
take what the change of lines far away would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.line_likeness import alike, at_other_depths, same_system
from weakbeam.fit.stack_climb import Normal, climb_stack, common_scale
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_fit import Alternative, SearchOptions
from weakbeam.fit.stack_model import StackModel, State

_HALF = 26
"""Half of the edge of a window (pixels)."""

_EDGE = 5
"""Pixels next to its edge that do not count: what is beyond it is blurred into them."""

_LARGE = 16
"""Images of so many windows are looked at through them."""

_NEXT = 20
"""Pixels from the middle of a window within which other lines are fitted along."""

_STEPS, _LEAST_GAIN = 10, 1.0

Evidence = Callable[[Normal, float], float]


def is_large(model: StackModel) -> bool:
    """Whether an image is much larger than the windows in which lines are told apart."""
    return model.is_plain and math.prod(model.shape) > _LARGE * (2 * _HALF) ** 2


class LineWindow:
    """The pixels around one of the lines of a state.

    Parameters
    ----------
    model : StackModel
        Of the whole image.
    data : StackData
        The stack.
    state : State
        Parameters with all lines.
    number : int
        Which line.
    """

    def __init__(self, model: StackModel, data: StackData, state: State, number: int) -> None:
        middle = _pixel_of(model, state.lines[number])
        rows, columns = (
            slice(*_around(float(at), count)) for at, count in zip(middle, model.shape, strict=True)
        )
        near = [
            n
            for n, line in enumerate(state.lines)
            if n != number and np.abs(_pixel_of(model, line, middle) - middle).max() < _NEXT
        ]
        self.near = tuple(state.lines[n] for n in near)
        standing = [line for n, line in enumerate(state.lines) if n not in (number, *near)]
        self.model = model.window(rows, columns, standing)
        self.data = data.window(rows, columns, _EDGE)
        self.state = state

    def climb(self, line: FittedDefect, to_beat: float = -np.inf) -> Normal:
        """The highest point with a line in that place."""
        state = replace(self.state, lines=(line, *self.near))
        return climb_stack(
            self.model,
            self.data,
            state,
            most_steps=_STEPS,
            to_beat=to_beat,
            around=False,
            least_gain=_LEAST_GAIN,
        )[0]


def best_in_place(
    window: LineWindow,
    line: FittedDefect,
    others: Sequence[FittedDefect],
    evidence: Evidence,
    options: SearchOptions,
    unexplained: float,
    more: Callable[[], Sequence[FittedDefect]],
) -> tuple[FittedDefect, list[Alternative], float]:
    """The likeliest line in a place.

    Parameters
    ----------
    window : LineWindow
        The pixels around it.
    line : FittedDefect
        What is there so far.
    others : sequence of FittedDefect
        What else may be there.
    evidence : callable
        Log-evidence of a point in units of a misfit.
    options : SearchOptions
        How many others are tried.
    unexplained : float
        Misfit from which on all of them are tried.
    more : callable
        Further ones, which are tried then.

    Returns
    -------
    line : FittedDefect
        At its best.
    alternatives : list of Alternative
        The others, the likeliest first.
    misfit : float
        Of the window, with it.
    """
    own = window.climb(line)
    tried = [own]
    queue = list(others[: options.most_alternatives])
    if own.reduced > unexplained:
        queue = [*at_other_depths(line), *others, *more()]
    for other in queue:
        best = max(tried, key=lambda one: one.height)
        if any(same_system(other, one.state.lines[0]) for one in tried):
            continue
        to_beat = best.height - options.price * max(1.0, best.reduced)
        new = window.climb(other, to_beat)
        if not any(alike(new.state.lines[0], one.state.lines[0]) for one in tried):
            tried.append(new)
    scale = common_scale(*tried)
    heights = [evidence(one, scale) for one in tried]
    order = np.argsort(heights)[::-1]
    first = tried[order[0]]
    alternatives = [
        Alternative(tried[n].state.lines[0], heights[n] - heights[order[0]]) for n in order[1:]
    ]
    return first.state.lines[0], alternatives, first.reduced


def _pixel_of(model: StackModel, line: FittedDefect, near: Floats | None = None) -> Floats:
    """Row and column of a line where it crosses the sheet, or of its point next to a pixel.

    That in the middle of the image, unless one is given.
    """
    steps, middle = np.stack(model.renderer.pixel_steps()), 0.5 * (np.array(model.shape) - 1.0)
    at = np.linalg.lstsq(steps.T, line.position_um, rcond=None)[0]
    if isinstance(line, FittedLine) and line.in_sheet:
        along = np.linalg.lstsq(
            steps.T, model.setup.sample_from_crystal @ line.type.line, rcond=None
        )[0]
        along /= np.linalg.norm(along)
        to = np.zeros(2) if near is None else np.asarray(near) - middle
        at = at + along * float((to - at) @ along)
    return np.asarray(at + middle)


def _around(at: float, count: int) -> tuple[int, int]:
    """First pixel of a window along an axis, and that behind its last."""
    whole = min(2 * _HALF, count)
    first = min(max(round(at) - _HALF, 0), count - whole)
    return first, first + whole

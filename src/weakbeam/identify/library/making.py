"""Many images, one after the other: on threads or, where there is much to do, in processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Protocol, TypeVar

from weakbeam.core.processes import Say, attend, can_start, results_in_order
from weakbeam.core.workers import in_order
from weakbeam.experiment import Experiment
from weakbeam.identify.library.candidates import Candidates

Made = TypeVar("Made", covariant=True)

MUCH = 3e7
"""Rendered pixels from which on processes save more time than they take to start."""

_AT_ONCE = 4
"""Members that a process makes before it sends them."""

_LARGE = 3e6
"""Pixels of a member of which several on the way from processes would fill the memory."""


class Plan(Protocol[Made]):
    """A set of images that are made independently of each other."""

    @property
    def candidates(self) -> Candidates:
        """The types of dislocations, and what makes their images."""

    @property
    def rendered(self) -> int:
        """How many images one member takes under each condition."""

    def __len__(self) -> int: ...

    def make(self, number: int) -> Made:
        """Make a member."""


Planner = Callable[[Experiment, int], Plan[Any]]
"""Plans a set of images from an experiment and the number of threads."""


def make_all(
    plan: Plan[Made], planner: Planner, numbers: Sequence[int] | None = None
) -> Iterator[Made]:
    """Make all members of a set, or some, in order.

    Parameters
    ----------
    plan : Plan
        The set.
    planner : callable
        What has planned it, a function of a module, and does so again in other processes.
    numbers : sequence of int, optional
        Which members.

    Raises
    ------
    RunError
        If a process dies.
    """
    renderer = plan.candidates.renderer
    wanted = range(len(plan)) if numbers is None else numbers
    workers = min(renderer.workers, math.ceil(len(wanted) / _AT_ONCE))
    each = len(renderer.conditions) * math.prod(renderer.shape)
    pixels = len(wanted) * plan.rendered * each
    if workers <= 1 or pixels < MUCH or each > _LARGE or not can_start():
        yield from in_order(plan.make, wanted, renderer.workers)
        return
    parts = (wanted[k : k + _AT_ONCE] for k in range(0, len(wanted), _AT_ONCE))
    about = planner, renderer.experiment
    for some in results_in_order("weakbeam.identify.library.making.work", about, parts, workers):
        yield from some


def work(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Make members of a set for another process; see `weakbeam.core.processes.attend`."""
    attend(jobs, answers, _start)


def _start(about: tuple[Planner, Experiment], say: Say) -> Callable[[Sequence[int]], None]:
    planner, experiment = about
    plan = planner(experiment, 1)
    return lambda numbers: say([plan.make(number) for number in numbers])

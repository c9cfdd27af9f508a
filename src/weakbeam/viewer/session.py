"""A session: what a page asks for, and what it is told. It knows nothing of sockets.

A message is a mapping with a ``do``; :meth:`Session.handle` returns an :class:`Answer`, or a
:class:`Job` for what takes long. Whatever is not possible is answered by one line, and leaves
everything as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.viewer import changes, choices, exports, looks, messages
from weakbeam.viewer.answers import Answer, Job, Progress, refusal
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.described import described, greeting
from weakbeam.viewer.hand import Hand, exact_picture
from weakbeam.viewer.messages import Message
from weakbeam.viewer.pictures import Picture, stored_place
from weakbeam.viewer.places import Folder
from weakbeam.viewer.state import RULES, History, Side, State
from weakbeam.viewer.stills import Check

__all__ = ["Session"]

_MOST_BENCHES = 6
"""Experiments that stay set up: both sides, and what undoing comes back to."""

_SIDES = ("A", "B")

Look = Callable[[Bench, Side, Message, Check], Answer]
"""Shows something of a side; ends where nobody waits for it any more."""

_CHANGES: Mapping[str, Callable[[Side, Message], Side]] = {
    "motors": changes.moved,
    "set": changes.settings,
    "default": changes.defaults,
    "add": changes.added,
    "remove": changes.removed,
}
"""What makes another side of one."""


class Session:
    """One page's experiment, its second state, and what came before.

    Parameters
    ----------
    experiment : Experiment, optional
        What is shown first; the default experiment unless given.
    folder : path-like
        Files in it can be read and written from the page, no others; the current one.
    workers : int, optional
        Threads; as many as there are cores unless given.

    Raises
    ------
    InputError
        If the experiment contradicts physics, or its images take too long to follow.

    Examples
    --------
    >>> session = Session()
    >>> answer = session.handle({"do": "motors", "side": "A", "phi": 0.15})
    >>> answer.pictures["A"].values.shape
    (170, 510)
    """

    def __init__(
        self,
        experiment: Experiment | None = None,
        folder: str | os.PathLike[str] = ".",
        workers: int | None = None,
    ) -> None:
        experiment = Experiment() if experiment is None else experiment
        self._hand = Hand(self._bench, workers)
        self.folder = Folder(folder, experiment)
        self.workers = workers
        self._benches: list[Bench] = []
        first = State(Side.of(experiment))
        self._pictures_of(first, {"A"})
        self.history = History([first])

    @property
    def state(self) -> State:
        """What is shown."""
        return self.history.state

    def handle(self, message: object) -> Answer | Job:
        """Answer a message.

        Parameters
        ----------
        message : object
            What came from the page, of whatever form.

        Returns
        -------
        Answer or Job
            With ``do = "error"`` and one ``line`` where the message asks for what is not possible.
        """
        try:
            return self._handle(messages.checked(message))
        except InputError as error:
            return refusal(error)
        except RunError as error:
            return refusal(InputError("run", None, str(error)))

    def _handle(self, message: Message) -> Answer | Job:
        do = message["do"]
        if do in _CHANGES:
            return self._change(message, _CHANGES[do])
        own: dict[str, Callable[[Message], Answer | Job]] = {
            "hello": self._hello,
            "place": self._place,
            "stop": self._stop,
            "reflection": self._reflection,
            "second": self._second,
            "undo": lambda m: self._step(-1),
            "redo": lambda m: self._step(1),
            "load": self._load,
            "open": self._open,
            "template": self._template,
            "settle": self._settle,
            "grasp": self._grasp,
            "curve": lambda m: self._look("curve", looks.curve, m),
            "map": lambda m: self._look("map", looks.a_map, m),
            "acceptance": lambda m: looks.acceptance(*self._looked_at(m), m),
            "plane": lambda m: looks.back_focal_plane(self._looked_at(m)[0]),
            "reflections": lambda m: choices.reflections(self._looked_at(m)[0]),
            "slip": lambda m: choices.slip_systems(self._looked_at(m)[0]),
            "export": self._export,
            "run": self._run,
        }
        if do not in own:
            raise InputError("do", do if len(do) <= 80 else None, "nothing of that name is done")
        return own[do](message)

    def _side_name(self, message: Message) -> str:
        return messages.word(message, "side", _SIDES, "A")

    def _looked_at(self, message: Message) -> tuple[Bench, Side]:
        side = self.state.side(self._side_name(message))
        return self._bench(side.experiment), side

    def _look(self, name: str, look: Look, message: Message) -> Job:
        bench, side = self._looked_at(message)

        def work(progress: Progress) -> Answer:
            return look(bench, side, message, lambda: progress(0.0))

        return Job(name, work, at_once=True)

    def _change(self, message: Message, change: Callable[[Side, Message], Side]) -> Answer:
        name = self._side_name(message)
        side = change(self.state.side(name), message)
        return self._go(self.state.with_side(name, side), message)

    def _go(self, state: State, message: Message | None = None) -> Answer:
        """Show a state: its images first, so that one which cannot be shown changes nothing."""
        gesture = None
        if message is not None and "gesture" in message:
            gesture = messages.whole(message, "gesture", 0, 2**53)
        before = self.state
        changed = {
            name
            for name, old, new in (
                ("A", before.first, state.first),
                ("B", before.second, state.second),
            )
            if old != new and new is not None
        }
        rough = message is not None and message.get("rough") is True
        sketched = self._sketched(state, changed) if rough else None
        pictures = sketched if sketched is not None else self._pictures_of(state, changed)
        if state != before:
            self.history.push(state, gesture)
        return self._shown(pictures, changed, sketched is not None)

    def _pictures_of(
        self, state: State, changed: set[str], check: Check | None = None
    ) -> dict[str, Picture]:
        """Exact pictures of what has changed, and of a side that is shown roughly beside it."""
        pictures = {}
        for name in sorted(changed | (self._hand.rough if state.second is not None else set())):
            side = state.side(name)
            self.folder.check(side.experiment)
            bench = self._bench(side.experiment)
            bench.check_reflection(side.reflection)
            pictures[name] = exact_picture(bench, side, check)
        if pictures and state.second is not None:
            both = [
                pictures.get(name) or exact_picture(self._bench(side.experiment), side, check)
                for name, side in (("A", state.first), ("B", state.second))
            ]
            if both[0].values.shape == both[1].values.shape:
                pictures["difference"] = _difference(*both)
        self._hand.rest({"A": state.first, "B": state.second}, set(pictures))
        return pictures

    # ------------------------------------------------------------ while a hand moves

    def _sketched(self, state: State, changed: set[str]) -> dict[str, Picture] | None:
        """Rough pictures of sides that are near those of the last rest; None if one is not."""
        pictures = {}
        for name in sorted(changed):
            picture = self._hand.picture(name, state.side(name))
            if picture is None:
                return None
            pictures[name] = picture
        if pictures and state.second is not None:
            for name in _SIDES:
                if name not in pictures:
                    # As it is shown: exactly, if it stands still.
                    side = state.side(name)
                    picture = self._hand.picture(name, side) if name in self._hand.rough else None
                    pictures[name] = picture or exact_picture(self._bench(side.experiment), side)
            if pictures["A"].values.shape == pictures["B"].values.shape:
                pictures["difference"] = _difference(pictures["A"], pictures["B"])
        self._hand.rough |= changed
        return pictures

    def _settle(self, message: Message) -> Job:
        """Exact pictures for the rough ones, and quick ones prepared for what may come next."""
        rough = set(self._hand.rough)

        def work(progress: Progress) -> Answer:
            def check() -> None:
                progress(0.0)

            pictures = self._pictures_of(self.state, rough, check)
            self._hand.prepare(None, check)
            return self._shown(pictures, rough)

        return Job("settle", work, at_once=True)

    def _grasp(self, message: Message) -> Job:
        """A hand is about to move a defect: what stands still is summed before it does."""
        number = changes.number_of(self.state.side(self._side_name(message)), message)

        def work(progress: Progress) -> Answer:
            self._hand.prepare(number, lambda: progress(0.0))
            return Answer({"do": "grasp"})

        return Job("grasp", work, at_once=True)

    def _shown(
        self, pictures: Mapping[str, Picture], changed: set[str], brief: bool = False
    ) -> Answer:
        state, history = self.state, self.history
        sides: dict[str, Any] = {}
        for name, side in (("A", state.first), ("B", state.second)):
            if side is not None:
                bench = self._bench(side.experiment)
                sides[name] = described(bench, side, whole=name in changed, brief=brief)
        return Answer(
            {
                "do": "frames",
                "sides": sides,
                "rule": state.rule,
                "undo": history.can_undo,
                "redo": history.can_redo,
                "rough": sorted(self._hand.rough),
            },
            pictures,
        )

    def _bench(self, experiment: Experiment) -> Bench:
        """The experiment set up; the ones that were used last are kept."""
        for bench in self._benches:
            if bench.is_for(experiment):
                self._benches.remove(bench)
                self._benches.insert(0, bench)
                return bench
        earlier = self._benches[0] if self._benches else None
        near = next(filter(None, (one.changed(experiment) for one in self._benches)), None)
        bench = Bench(experiment, self.workers, earlier) if near is None else near
        # Of two sides both are looked at; whatever is older is undone at most.
        for old in self._benches[1:]:
            old.forget_stack()
        self._benches.insert(0, bench)
        del self._benches[_MOST_BENCHES:]
        return bench

    def _hello(self, message: Message) -> Answer:
        changed = {"A"} if self.state.second is None else {"A", "B"}
        self._hand.rough |= changed
        frames = self._shown(self._pictures_of(self.state, changed), changed)
        about = {**frames.about, **greeting(self.folder.path.name), "do": "hello"}
        return Answer(about, frames.pictures)

    def _place(self, message: Message) -> Answer:
        """A defect is dragged: its handle goes to a row and column of the picture."""
        bench, side = self._looked_at(message)
        end = messages.numbers(message, "to", 2, -1e6, 1e6)
        view, sample = bench.view(side.reflection), bench.sample_view(side.reflection, side.motors)

        def change(side: Side, message: Message) -> Side:
            start = sample.pixel(changes.position_of(side, message))
            points = sample.point(np.stack([start, stored_place(view, *end)]))
            return changes.placed(side, message, points[1] - points[0])

        return self._change(message, change)

    def _stop(self, message: Message) -> Answer:
        """The stop is dragged in the back focal plane, to a place in µm (ξ, δ)."""
        _, side = self._looked_at(message)
        xi, delta = messages.numbers(message, "to", 2, -1e5, 1e5)
        stop: Any = side.experiment.objective.stop
        if not hasattr(stop, "position_um"):
            raise InputError("objective.stop", None, "none that is positioned along an axis")
        there = round(delta if stop.axis == "two_theta" else xi, 4)
        setting = {"settings": [f"objective.stop.position_um={there!r}"]}
        return self._change(message, lambda s, m: changes.settings(s, setting))

    def _reflection(self, message: Message) -> Answer:
        """Another one of several reflections is shown."""
        bench, _ = self._looked_at(message)
        number = messages.whole(message, "number", 0, len(bench.setups) - 1)
        return self._change(message, lambda s, m: Side(s.experiment, s.motors, number))

    def _second(self, message: Message) -> Answer:
        """A second state by a rule, or none (``"off"``)."""
        rule = messages.word(message, "rule", ("off", *RULES))
        return self._go(self.state.with_rule(None if rule == "off" else rule))  # type: ignore[arg-type]

    def _step(self, step: int) -> Answer:
        state, before = self.history.neighbour(step), self.state
        changed = {
            name
            for name, old, new in (
                ("A", before.first, state.first),
                ("B", before.second, state.second),
            )
            if old != new and new is not None
        }
        pictures = self._pictures_of(state, changed)
        self.history.step(step)
        return self._shown(pictures, changed)

    def _load(self, message: Message) -> Answer:
        """An experiment file takes the place of the experiment."""
        experiment = Experiment.from_toml_text(messages.text(message, "toml"), "experiment")
        self.folder.check(experiment)
        return self._go(self.state.with_side(self._side_name(message), Side.of(experiment)))

    def _open(self, message: Message) -> Answer:
        """A state from the link of another session."""
        return self._go(exports.state_of_link(messages.text(message, "link"), self.folder))

    def _template(self, message: Message) -> Answer:
        name = messages.word(message, "name", tuple(TEMPLATES))
        return self._go(self.state.with_side("A", Side.of(TEMPLATES[name].experiment)))

    def _export(self, message: Message) -> Answer:
        bench, side = self._looked_at(message)
        return exports.export(self.state, bench, side, message)

    def _run(self, message: Message) -> Job:
        _, side = self._looked_at(message)
        return exports.run(side, self.folder, self.workers, message)


def _difference(first: Picture, second: Picture) -> Picture:
    labels = {**first.about["labels"], "values": "difference, B − A"}
    about = {**first.about, "labels": labels, "diverging": True}
    return Picture(second.values - first.values, about)

"""What a session is looking at: one experiment or two, where their motors stand, and what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from weakbeam.errors import InputError
from weakbeam.experiment import AngleAxis, Experiment, HeightAxis
from weakbeam.imaging.motors import SCANNED

SideName = Literal["A", "B"]
Rule = Literal["copy", "phi", "burgers", "stop", "perfect"]

RULES: Mapping[str, str] = {
    "copy": "a copy, to be changed on its own",
    "phi": "φ on the other side of the peak",
    "burgers": "all Burgers vectors reversed",
    "stop": "without the stop",
    "perfect": "without the defects",
}
"""How the second state follows from the first, with what it is."""

_MOST_STEPS = 200


@dataclass(frozen=True)
class Side:
    """An experiment and where its motors stand.

    Parameters
    ----------
    experiment : Experiment
        The description; motors that its scan moves are for scans only.
    motors : mapping of str to float
        Offset of each motor, mrad and µm.
    reflection : int
        Number of the reflection that is shown.
    """

    experiment: Experiment
    motors: Mapping[str, float]
    reflection: int = 0

    @classmethod
    def of(cls, experiment: Experiment) -> Side:
        """The experiment with every motor in the middle of what its scan does."""
        return cls(experiment, {motor: _middle(experiment, motor) for motor in SCANNED})

    def stands(self, number: int) -> bool:
        """Whether a defect stands at a position of its own, so that it can be moved."""
        table: Any = self.experiment.defects[number]
        return isinstance(getattr(table, "position_um", None), tuple)

    @property
    def scan(self) -> Experiment:
        """The experiment as a scan: motors that it does not move stand where they are.

        Raises
        ------
        InputError
            If its scan moves nothing.
        """
        scan = self.experiment.scan
        if scan.frames == 1:
            raise InputError("scan", None, "nothing moves; give a motor a range first")
        standing: dict[str, Any] = {}
        for motor in SCANNED:
            if getattr(scan, motor).moving or (motor == "two_theta" and scan.strain.moving):
                continue
            unit = "um" if motor == "z" else "mrad"
            axis = HeightAxis if motor == "z" else AngleAxis
            standing[motor] = axis.model_validate({f"value_{unit}": self.motors[motor]})
        return self.experiment.model_copy(update={"scan": scan.model_copy(update=standing)})


def _middle(experiment: Experiment, motor: str) -> float:
    scan = experiment.scan
    axis = scan.arm if motor == "two_theta" else getattr(scan, motor)
    positions = axis.positions
    return float(positions[len(positions) // 2])


@dataclass(frozen=True)
class State:
    """One side, or two.

    Parameters
    ----------
    first : Side
        Side A.
    second : Side, optional
        Side B.
    rule : str, optional
        How B follows from A whenever A changes; ``"copy"``: it does not.
    """

    first: Side
    second: Side | None = None
    rule: Rule | None = None

    def side(self, name: str) -> Side:
        """A side by its name.

        Raises
        ------
        InputError
            If there is no second one.
        """
        if name == "A":
            return self.first
        if self.second is None:
            raise InputError("side", name, "there is no second state")
        return self.second

    def with_side(self, name: str, side: Side) -> State:
        """The state with another side; B follows A, and stops to follow where it is changed."""
        if name == "A":
            follows = self.rule is not None and self.rule != "copy"
            return replace(
                self,
                first=side,
                second=derived(side, self.rule) if follows and self.rule else self.second,
            )
        self.side(name)
        return replace(self, second=side, rule="copy")

    def with_rule(self, rule: Rule | None) -> State:
        """The state with a second side by a rule, or without."""
        if rule is None:
            return State(self.first)
        return State(self.first, derived(self.first, rule), rule)


def derived(side: Side, rule: Rule) -> Side:
    """The second side that a rule makes of the first.

    Raises
    ------
    InputError
        If there is nothing to reverse or to take away.
    """
    experiment = side.experiment
    if rule == "phi":
        return replace(side, motors={**side.motors, "phi": -side.motors["phi"]})
    if rule == "burgers":
        reversed_ones = [_reversed(table) for table in experiment.defects]
        if all(a is b for a, b in zip(reversed_ones, experiment.defects, strict=True)):
            raise InputError("defects", None, "none has a Burgers vector of its own to reverse")
        return replace(side, experiment=experiment.model_copy(update={"defects": reversed_ones}))
    if rule == "stop":
        if experiment.objective.stop is None:
            raise InputError("objective.stop", None, "there is none to take away")
        objective = experiment.objective.model_copy(update={"stop": None})
        return replace(side, experiment=experiment.model_copy(update={"objective": objective}))
    if rule == "perfect":
        return replace(side, experiment=experiment.model_copy(update={"defects": ()}))
    return side


def _reversed(table: Any) -> Any:
    burgers = getattr(table, "burgers", None)
    if burgers is None:
        return table
    return table.model_copy(update={"burgers": tuple(-x for x in burgers)})


@dataclass
class History:
    """States in the order in which they came, and which of them is shown."""

    states: list[State]
    place: int = 0
    gesture: int | None = field(default=None, repr=False)

    @property
    def state(self) -> State:
        """The state that is shown."""
        return self.states[self.place]

    @property
    def can_undo(self) -> bool:
        """Whether something came before."""
        return self.place > 0

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return self.place + 1 < len(self.states)

    def push(self, state: State, gesture: int | None = None) -> None:
        """Go on to a state; all steps of one gesture, such as a drag, are undone at once."""
        same = gesture is not None and gesture == self.gesture and self.place > 0
        del self.states[self.place + (0 if same else 1) :]
        self.states.append(state)
        del self.states[:-_MOST_STEPS]
        self.place, self.gesture = len(self.states) - 1, gesture

    def neighbour(self, step: int) -> State:
        """The state before (-1) or after (1) the one that is shown.

        Raises
        ------
        InputError
            If there is none.
        """
        place = self.place + step
        if not 0 <= place < len(self.states):
            key = "undo" if step < 0 else "redo"
            raise InputError(key, None, "there is nothing more")
        return self.states[place]

    def step(self, step: int) -> None:
        """Show the neighbour."""
        self.place += step
        self.gesture = None

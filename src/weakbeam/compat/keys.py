"""The keys of a foreign TOML table, taken one by one, so that none is overlooked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weakbeam.errors import InputError

Triple = tuple[int, int, int]


@dataclass
class Notes:
    """What a reader should know about a conversion, one line each."""

    changes: list[str] = field(default_factory=list)
    """What changes the image."""
    restated: list[str] = field(default_factory=list)
    """What is the same, and written or arranged in another way."""
    unknown: list[str] = field(default_factory=list)
    """Which keys the other program does not have either."""
    ignored: list[str] = field(default_factory=list)
    """Which keys have no counterpart, and why."""

    def change(self, line: str) -> None:
        """Note what changes the image; the same line is noted once."""
        if line not in self.changes:
            self.changes.append(line)

    def restate(self, line: str) -> None:
        """Note what is the same, written in another way; the same line is noted once."""
        if line not in self.restated:
            self.restated.append(line)

    def ignore(self, line: str) -> None:
        """Note an ignored key, which stands before the first colon."""
        self.ignored.append(line)

    @property
    def lines(self) -> list[str]:
        """All notes: what changes the image first, what is ignored last."""
        return [*self.changes, *self.restated, *self.unknown, *self.ignored]

    def grouped(self, reasons: bool = False) -> list[str]:
        """The notes under headings.

        Parameters
        ----------
        reasons : bool
            Whether each ignored key has a line with its reason, rather than all of them one line.
        """
        lines = list(self.unknown)
        for heading, notes in (
            ("changes the image:", self.changes),
            ("the same, in another form:", self.restated),
        ):
            if notes:
                lines += [heading, *(f"  {note}" for note in notes)]
        if reasons:
            lines += self.ignored
        elif self.ignored:
            keys = [line.partition(":")[0] for line in self.ignored]
            lines.append(f"ignored: {', '.join(dict.fromkeys(keys))}")
        return lines


class Keys:
    """One table of a foreign file.

    Every method that takes a key strikes it off; `finish` notes those that nobody took.

    Parameters
    ----------
    data : mapping
        The table.
    path : str
        Its place in the file, such as ``"crystal.wall"``; empty for the whole file.
    notes : Notes
        Where ignored keys are noted.
    """

    def __init__(self, data: Mapping[str, Any], path: str, notes: Notes) -> None:
        self.path = path
        self.notes = notes
        self._left = dict(data)
        self._known: list[str] = []

    def __contains__(self, name: str) -> bool:
        """Whether a key is given and has not been taken yet."""
        return name in self._left

    def name(self, key: str) -> str:
        """The full path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def number(self, name: str, default: float | None = None) -> float:
        """Take a finite number; without a default it must be given."""
        value = self._take(name, default, _is_number, "a number")
        return float(value)

    def positive(self, name: str, default: float | None = None) -> float:
        """Take a finite number greater than 0; without a default it must be given."""
        allowed = "a number greater than 0"
        return float(self._take(name, default, lambda v: _is_number(v) and v > 0, allowed))

    def number_or_none(self, name: str) -> float | None:
        """Take a finite number if it is given."""
        self._known.append(name)
        return self.number(name) if name in self else None

    def integer(self, name: str, default: int | None = None, least: int = 0) -> int:
        """Take an integer of at least `least`; without a default it must be given."""
        allowed = f"an integer of at least {least}"
        return int(self._take(name, default, lambda v: _is_integer(v) and v >= least, allowed))

    def integer_or_none(self, name: str, least: int = 0) -> int | None:
        """Take an integer if it is given."""
        self._known.append(name)
        return self.integer(name, least=least) if name in self else None

    def flag(self, name: str, default: bool) -> bool:
        """Take true or false."""
        return bool(self._take(name, default, lambda v: isinstance(v, bool), "true or false"))

    def text(self, name: str, default: str | None = None) -> str:
        """Take a string; without a default it must be given."""
        return str(self._take(name, default, lambda v: isinstance(v, str), "a string"))

    def text_or_none(self, name: str) -> str | None:
        """Take a string if it is given."""
        self._known.append(name)
        return self.text(name) if name in self else None

    def choice(self, name: str, default: str | None, choices: tuple[str, ...]) -> str:
        """Take one of several strings."""
        allowed = "one of " + ", ".join(f'"{c}"' for c in choices)
        return str(self._take(name, default, lambda v: v in choices, allowed))

    def indices(self, name: str, default: Triple | None = None) -> Triple:
        """Take three integers, not all 0."""
        h, k, l = self._take(name, default, _is_triple, "three integers, not all 0")  # noqa: E741
        return (h, k, l)

    def values(self, name: str, allowed: str, fits: Callable[[Any], bool]) -> list[Any]:
        """Take a list with one or more entries, each of which `fits`."""

        def good(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(map(fits, value))

        return list(self._take(name, None, good, f"a list of {allowed}"))

    def table(self, name: str) -> Keys:
        """Take a table; an absent one is empty."""
        value = self._take(name, {}, lambda v: isinstance(v, dict), "a table")
        return Keys(value, self.name(name), self.notes)

    def tables(self, name: str) -> list[Keys]:
        """Take a list of tables; an absent one is empty."""
        allowed = f"a list of tables, each written [[{self.name(name)}]]"

        def good(value: Any) -> bool:
            return isinstance(value, list) and all(isinstance(v, dict) for v in value)

        entries = self._take(name, [], good, allowed)
        return [Keys(v, f"{self.name(name)}[{i}]", self.notes) for i, v in enumerate(entries)]

    def ignore(self, reason: str, *names: str) -> None:
        """Strike keys off that have no counterpart; those that are given are noted."""
        self._known += names
        for name in names:
            if name in self._left:
                self._left.pop(name)
                self.notes.ignore(f"{self.name(name)}: ignored: {reason}")

    def finish(self) -> None:
        """Note the keys that nobody took."""
        for name in self._left:
            near = difflib.get_close_matches(name, self._known, n=1, cutoff=0.75)
            meant = f"; did you mean {self.name(near[0])}?" if near else ""
            self.notes.unknown.append(
                f"{self.name(name)}: ignored: dfxm-geo has no such key{meant}"
            )
        self._left = {}

    def _take(self, name: str, default: Any, fits: Callable[[Any], bool], allowed: str) -> Any:
        self._known.append(name)
        value = self._left.pop(name, None)
        if value is None:
            if default is None:
                raise InputError(self.name(name), None, f"missing; must be {allowed}")
            return default
        if not fits(value):
            shown = None if isinstance(value, dict) else value
            raise InputError(self.name(name), shown, f"must be {allowed}")
        return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_integer(value) or isinstance(value, float)) and math.isfinite(value)


def _is_triple(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(map(_is_integer, value))
        and any(value)
    )

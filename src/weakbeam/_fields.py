"""The kinds of value that a key of the experiment file may hold.

Each kind carries the words that tell people what is allowed; error messages and the reference page
both take them from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a key may hold: a phrase that follows "must be", and the test behind it."""

    phrase: str
    test: Callable[[Any], bool]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        if not self.test(value):
            raise ValueError(f"must be {self.phrase}")
        return value


def number(low: float, high: float, *, inf: bool = False) -> Allowed:
    """Allow a number from `low` to `high`, and infinity if `inf`."""
    phrase = f"a number from {_shown(low)} to {_shown(high)}" + (", or inf" if inf else "")
    return Allowed(phrase, lambda x: low <= x <= high or (inf and x == math.inf))


def between(low: float, high: float) -> Allowed:
    """Allow a number strictly between `low` and `high`."""
    phrase = f"a number greater than {_shown(low)} and less than {_shown(high)}"
    return Allowed(phrase, lambda x: low < x < high)


def integer(low: int, high: int) -> Allowed:
    """Allow an integer from `low` to `high`."""
    return Allowed(f"an integer from {low} to {high}", lambda n: low <= n <= high)


def text(phrase: str) -> Allowed:
    """Allow a short line of printable ASCII."""
    return Allowed(phrase, lambda s: 0 < len(s) <= 80 and s.isascii() and s.isprintable())


def _shown(x: float) -> str:
    mantissa, e, exponent = f"{x:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _is_direction(v: tuple[float, float, float]) -> bool:
    # The lower limit keeps the length of the vector from underflowing to zero.
    return all(abs(x) <= 1e6 for x in v) and any(abs(x) >= 1e-6 for x in v)


Indices = Annotated[
    tuple[StrictInt, StrictInt, StrictInt],
    Allowed(
        "three integers from -99 to 99, not all 0",
        lambda v: any(v) and all(-99 <= n <= 99 for n in v),
    ),
]
Direction = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three numbers from -1e6 to 1e6, not all 0", _is_direction),
]
Position = Annotated[
    tuple[StrictFloat, StrictFloat, StrictFloat],
    Allowed("three numbers from -1e6 to 1e6", lambda v: all(abs(x) <= 1e6 for x in v)),
]
PixelCounts = Annotated[
    tuple[StrictInt, StrictInt],
    Allowed(
        "two integers from 1 to 100000 (rows, columns)",
        lambda v: all(1 <= n <= 100_000 for n in v),
    ),
]
Samples = Annotated[
    StrictInt | Literal["auto"],
    Allowed('"auto", or an integer from 1 to 10000', lambda n: n == "auto" or 1 <= n <= 10_000),
]
MilliradianPositions = Annotated[
    tuple[StrictFloat, ...],
    Allowed(
        "a list of numbers from -1000 to 1000, at least one",
        lambda v: len(v) > 0 and all(abs(x) <= 1000 for x in v),
    ),
]
MicrometrePositions = Annotated[
    tuple[StrictFloat, ...],
    Allowed(
        "a list of numbers from -1e6 to 1e6, at least one",
        lambda v: len(v) > 0 and all(abs(x) <= 1e6 for x in v),
    ),
]
MaterialName = Annotated[StrictStr, text('the name of a material, such as "Al"')]
SpaceGroup = Annotated[StrictStr, text('the symbol of a space group, such as "F m -3 m"')]


class Table(BaseModel):
    """A table of the experiment file: immutable, checked, and without unknown keys.

    ``forms`` lists groups of keys that exclude each other: a table uses one of them.
    ``inline`` says that the table is written on one line, as the value of its key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    inline: ClassVar[bool] = False

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the values in `update`, checked like any other."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        for key in update or {}:
            for rival in self.rivals(key):
                given.pop(rival, None)
        return self.model_validate(given | dict(update or {}))

    @classmethod
    def rivals(cls, key: str) -> frozenset[str]:
        """Return the keys that `key` replaces: those of the other forms."""
        if not any(key in form for form in cls.forms):
            return frozenset()
        return frozenset(k for form in cls.forms if key not in form for k in form)


def nested_table(annotation: Any) -> type[Table] | None:
    """Return the table that a key holds, alone or in a list; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    for argument in get_args(annotation):
        if (found := nested_table(argument)) is not None:
            return found
    return None


def allowed(field: FieldInfo) -> str:
    """Return the phrase for what a key may hold, such as "a number from 1 to 1000"."""
    for entry in field.metadata:
        if isinstance(entry, Allowed):
            return entry.phrase
    return _phrase(field.annotation)


def _phrase(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        phrases = [entry.phrase for entry in arguments[1:] if isinstance(entry, Allowed)]
        return phrases[0] if phrases else _phrase(arguments[0])
    if origin is Literal:
        *most, last = (f'"{choice}"' for choice in arguments)
        return f"{', '.join(most)} or {last}" if most else last
    if (table := nested_table(annotation)) is not None:
        keys = ", ".join(table.model_fields)
        return f"a list of tables with {keys}" if origin is tuple else f"a table with {keys}"
    if annotation is bool:
        return "true or false"
    return " or ".join(_phrase(a) for a in arguments if a is not NoneType)

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
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from weakbeam.errors import InputError


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


def numbers(low: float, high: float, least: int = 1) -> Allowed:
    """Allow a list of at least `least` numbers from `low` to `high`."""
    count = {1: "one", 2: "two"}[least]
    return Allowed(
        f"a list of numbers from {_shown(low)} to {_shown(high)}, at least {count}",
        lambda v: len(v) >= least and all(low <= x <= high for x in v),
    )


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
VoxelCounts = Annotated[
    tuple[StrictInt, StrictInt, StrictInt],
    Allowed("three integers from 1 to 10000", lambda v: all(1 <= n <= 10_000 for n in v)),
]
Samples = Annotated[
    StrictInt | Literal["auto"],
    Allowed('"auto", or an integer from 1 to 10000', lambda n: n == "auto" or 1 <= n <= 10_000),
]
MilliradianPositions = Annotated[tuple[StrictFloat, ...], numbers(-1000, 1000)]
MicrometrePositions = Annotated[tuple[StrictFloat, ...], numbers(-1e6, 1e6)]
MaterialName = Annotated[StrictStr, text('the name of a material, such as "Al"')]
FileName = Annotated[
    StrictStr,
    Allowed("the name of a file", lambda s: 0 < len(s) <= 4096 and s.isprintable()),
]
WholeNumber = Annotated[
    StrictInt,
    # 1e8 is a number with a decimal point to TOML, and the usual way to write a number of rays.
    BeforeValidator(lambda x: int(x) if isinstance(x, float) and x.is_integer() else x),
]
SpaceGroup = Annotated[StrictStr, text('the symbol of a space group, such as "F m -3 m"')]


class Table(BaseModel):
    """A table of the experiment file: immutable, checked, and without unknown keys.

    ``forms`` lists groups of keys that exclude each other: a table uses one of them.
    ``exclusive`` lists sets of keys of which a table has at most one.
    ``instead`` lists pairs of keys: the first one takes the default of the second one away.
    ``inline`` says that the table is written on one line, as the value of its key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    instead: ClassVar[tuple[tuple[str, str], ...]] = ()
    inline: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _take_defaults_away(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        gone = [name for key, name in cls.instead if data.get(key) is not None]
        return dict.fromkeys(gone) | data

    @model_validator(mode="after")
    def _has_one_of_each_set(self) -> Self:
        for keys in self.exclusive:
            given = [key for key in keys if getattr(self, key) is not None]
            if len(given) > 1:
                first, second, *_ = given
                raise InputError(second, getattr(self, second), f"give either {first} or {second}")
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the values in `update`, checked like any other."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        given = {name: value for name, value in given.items() if value is not None}
        for key in update or {}:
            for rival in self.rivals(key):
                given.pop(rival, None)
        return self.model_validate(given | dict(update or {}))

    @classmethod
    def rivals(cls, key: str) -> frozenset[str]:
        """Return the keys that `key` replaces: those of the other forms, or of its set."""
        others = {k for keys in cls.exclusive if key in keys for k in keys if k != key}
        if any(key in form for form in cls.forms):
            others |= {k for form in cls.forms if key not in form for k in form}
        return frozenset(others)


class Variant(Table):
    """One of several tables that a key may hold, told apart by their ``kind``."""

    def model_post_init(self, context: Any) -> None:
        """Count the kind as given: a copy must have it to be of the same kind."""
        self.model_fields_set.add("kind")

    @classmethod
    def kind_name(cls) -> str:
        """Return the kind that stands for this table."""
        return str(cls.model_fields["kind"].default)


def nested_tables(annotation: Any) -> tuple[type[Table], ...]:
    """Return the tables that a key may hold, alone or in a list; none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return (annotation,)
    return tuple(table for a in get_args(annotation) for table in nested_tables(a))


def nested_table(annotation: Any, data: Any = None) -> type[Table] | None:
    """Return the table that a key holds, alone or in a list; None for a plain value.

    Where it may hold one of several kinds, `data` tells which; the first if it does not.
    """
    tables = nested_tables(annotation)
    kind = data.get("kind") if isinstance(data, Mapping) else None
    for table in tables:
        if issubclass(table, Variant) and table.kind_name() == kind:
            return table
    return tables[0] if tables else None


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
    if NoneType in arguments:
        return " or ".join(_phrase(a) for a in arguments if a is not NoneType)
    if tables := nested_tables(annotation):
        if len(tables) > 1:
            kinds = ", ".join(t.kind_name() for t in tables if issubclass(t, Variant))
            return f"a table of one of the kinds {kinds}"
        keys = ", ".join(tables[0].model_fields)
        return f"a list of tables with {keys}" if origin is tuple else f"a table with {keys}"
    if annotation is bool:
        return "true or false"
    return " or ".join(_phrase(a) for a in arguments if a is not NoneType)

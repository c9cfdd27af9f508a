"""The kinds of value that a key of the experiment file may hold.

Each kind carries the words that tell people what is allowed; error messages and the reference page
both take them from here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NoReturn,
    Self,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
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

    Notes
    -----
    Every way to make a table, or to change a copy of one, refuses what is not allowed by one
    `InputError`, whose key is the path from the table that the caller made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    instead: ClassVar[tuple[tuple[str, str], ...]] = ()
    inline: ClassVar[bool] = False

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _told(error, data, type(self)) from None

    # Tables within a table are validated without a call of __init__, which would be slower and
    # would tell one mistake where there are several.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    if not TYPE_CHECKING:  # Type checkers know from `frozen` that nothing can be assigned.

        def __setattr__(self, name: str, value: Any) -> NoReturn:
            raise InputError(name, value, "cannot be changed; replace returns a changed copy")

        def __delattr__(self, name: str) -> NoReturn:
            raise InputError(name, None, "cannot be changed; replace returns a changed copy")

        def copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
            """Return what `model_copy` returns; pydantic's own would not check it."""
            return self.model_copy(update=update)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the table that a mapping describes."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise _told(error, obj, cls) from None

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Return the table that a mapping of texts describes."""
        try:
            return super().model_validate_strings(obj, **options)
        except ValidationError as error:
            raise _told(error, obj, cls) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return the table that a JSON text describes."""
        try:
            data = json.loads(json_data)
        except (ValueError, RecursionError) as error:
            raise InputError(cls.__name__, None, f"must be JSON; {error}") from None
        return cls.model_validate(data, **options)

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
        """Return a copy with the values in `update`, checked like any other.

        A value replaces the whole value of its key, and the keys that exclude it; what was not
        given before is not given in the copy either.
        """
        update = update or {}
        return self.model_validate(self._given_beside(update) | dict(update))

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some keys changed, also keys of its tables.

        Parameters
        ----------
        **changes
            New values. A mapping for a table changes the keys that it names, and leaves the others
            as they are; a key replaces the keys that exclude it.

        Raises
        ------
        InputError
            If a key or value is not allowed.

        Examples
        --------
        >>> from weakbeam.experiment import Experiment
        >>> small = Experiment().replace(camera={"pixels": (40, 120)})
        >>> small.replace(camera={"pixel_nm": 75}).camera.pixels
        (40, 120)
        """
        return self.model_validate(self._changed(changes))

    def _changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The keys that are given, with `changes` put into tables instead of replacing them."""
        given = self._given_beside(changes)
        for key, value in changes.items():
            table = getattr(self, key) if key in type(self).model_fields else None
            if isinstance(table, Table) and isinstance(value, Mapping) and table._is_like(value):
                value = table._changed(value)
            given[key] = value
        return given

    def _given_beside(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The keys that were given and go with those of `changes`."""
        gone = {rival for key in changes for rival in self.rivals(key)}
        given = {name: getattr(self, name) for name in self.model_fields_set - gone}
        return {name: value for name, value in given.items() if value is not None}

    def _is_like(self, changes: Mapping[str, Any]) -> bool:
        """Whether `changes` describe a table of the same kind."""
        return True

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

    def _is_like(self, changes: Mapping[str, Any]) -> bool:
        return bool(changes.get("kind", self.kind_name()) == self.kind_name())

    @classmethod
    def kind_name(cls) -> str:
        """Return the kind that stands for this table."""
        return str(cls.model_fields["kind"].default)


def _told(error: ValidationError, data: Any, table: type[Table]) -> InputError:
    # What is wrong is told in terms of tables, which makes the modules know each other.
    from weakbeam.experiment.mistakes import input_error

    return input_error(error.errors(include_url=False), data, table)


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
        if issubclass(table, Variant) and isinstance(kind, str) and table.kind_name() == kind:
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

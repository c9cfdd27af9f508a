"""The keys of a table of the experiment file, which there are and what each may hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, dataclass_transform, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic._internal._model_construction import ModelMetaclass
from pydantic.fields import FieldInfo

from weakbeam.experiment.values import Allowed


# Type checkers find a default that is the first argument of `Field` only if they take `Field` for
# the default itself; then they know all keys, and leave it to us to tell those that are missing.
@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Tables(ModelMetaclass):
    """Makes the classes of tables."""

    def __new__(mcs, *args: Any, init: bool = True, **options: Any) -> type:
        """Make one; ``init=False`` tells type checkers that it is made by ``__new__``."""
        made: type = super().__new__(mcs, *args, **options)
        return made


class Schema(BaseModel, metaclass=_Tables):
    """What all tables say of their keys.

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

    @classmethod
    def rivals(cls, key: str) -> frozenset[str]:
        """Return the keys that `key` replaces: those of the other forms, or of its set."""
        others = {k for keys in cls.exclusive if key in keys for k in keys if k != key}
        if any(key in form for form in cls.forms):
            others |= {k for form in cls.forms if key not in form for k in form}
        return frozenset(others)

    @classmethod
    def kind_name(cls) -> str | None:
        """Return the ``kind`` that stands for this table; None where there is one kind only."""
        return None


def nested_tables(annotation: Any) -> tuple[type[Schema], ...]:
    """Return the tables that a key may hold, alone or in a list; none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return (annotation,)
    return tuple(table for a in get_args(annotation) for table in nested_tables(a))


def nested_table(annotation: Any, data: Any = None) -> type[Schema] | None:
    """Return the table that a key holds, alone or in a list; None for a plain value.

    Where it may hold one of several kinds, `data` tells which; the first if it does not.
    """
    tables = nested_tables(annotation)
    kind = data.get("kind") if isinstance(data, Mapping) else None
    for table in tables:
        if isinstance(kind, str) and table.kind_name() == kind:
            return table
    return tables[0] if tables else None


def allowed(field: FieldInfo) -> str:
    """Return the phrase for what a key may hold, such as "a number from 1 to 1000"."""
    for entry in field.metadata:
        if isinstance(entry, Allowed):
            return entry.phrase
    return _phrase(field.annotation)


def choices(annotation: Any) -> tuple[Any, ...]:
    """Return the words of which a key holds one; none where it may hold anything else."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return arguments
    return tuple(word for argument in arguments for word in choices(argument))


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
            kinds = ", ".join(kind for t in tables if (kind := t.kind_name()))
            return f"a table of one of the kinds {kinds}"
        keys = ", ".join(tables[0].model_fields)
        return f"a list of tables with {keys}" if origin is tuple else f"a table with {keys}"
    if annotation is bool:
        return "true or false"
    return " or ".join(_phrase(a) for a in arguments if a is not NoneType)

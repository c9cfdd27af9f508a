"""The files that a description names, whatever table names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from weakbeam.experiment.schema import Schema, nested_tables
from weakbeam.experiment.values import NAME_OF_FILE

if TYPE_CHECKING:
    from weakbeam.experiment.tables import Table

    T = TypeVar("T", bound=Table)


def files_named(table: Schema, where: str = "") -> Iterator[tuple[str, str]]:
    """The files that a table and those in it name, and the key of each.

    A key holds the name of a file if its kind is `FileName`, alone or in a list; what is added to
    the tables later needs to say no more.
    """
    for key in type(table).model_fields:
        value, place = getattr(table, key), f"{where}.{key}" if where else key
        if key in _keys_of_files(type(table)):
            names = value if isinstance(value, tuple) else (value,)
            yield from ((place, name) for name in names if isinstance(name, str))
        elif isinstance(value, Schema):
            yield from files_named(value, place)
        elif isinstance(value, tuple):
            for number, item in enumerate(value):
                if isinstance(item, Schema):
                    yield from files_named(item, f"{place}[{number}]")


def with_files(table: T, renamed: Callable[[str], str]) -> T:
    """The description with other names of its files; itself where none changes.

    Parameters
    ----------
    table : Table
        An experiment, or a part of one.
    renamed : callable
        Gives the new name of a file.
    """
    changes = {}
    for key in type(table).model_fields:
        value = getattr(table, key)
        new = _renamed(value, renamed, key in _keys_of_files(type(table)))
        if new is not value:
            changes[key] = new
    return table.model_copy(update=changes) if changes else table


def beside(folder: str | os.PathLike[str]) -> Callable[[str], str]:
    """From names that count from a folder to names that count from the current one."""
    return lambda name: os.path.join(folder, name)


def renamed_values(value: Any, renamed: Callable[[str], str], keys: frozenset[str]) -> Any:
    """The values of a setting that is not checked yet, with other names of files.

    Parameters
    ----------
    value : any
        Of a key; tables in it are mappings.
    renamed : callable
        Gives the new name of a file.
    keys : frozenset of str
        The keys of tables that hold names of files, from `keys_of_files`.
    """
    if isinstance(value, Mapping):
        return {
            key: renamed(inner)
            if key in keys and isinstance(inner, str)
            else renamed_values(inner, renamed, keys)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(renamed_values(item, renamed, keys) for item in value)
    return value


@cache
def keys_of_files(root: type[Schema]) -> frozenset[str]:
    """The keys that hold names of files, in a table and all that it may hold."""
    own = _keys_of_files(root)
    tables = {
        table for field in root.model_fields.values() for table in nested_tables(field.annotation)
    }
    return own.union(*(keys_of_files(table) for table in tables))


def _renamed(value: Any, renamed: Callable[[str], str], is_file: bool) -> Any:
    if is_file and isinstance(value, str):
        return value if (new := renamed(value)) == value else new
    if isinstance(value, Schema):
        return with_files(value, renamed)  # type: ignore[type-var]
    if isinstance(value, tuple):
        items = tuple(_renamed(item, renamed, is_file) for item in value)
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


@cache
def _keys_of_files(table: type[Schema]) -> frozenset[str]:
    return frozenset(
        name
        for name, field in table.model_fields.items()
        if NAME_OF_FILE in field.metadata or _names_a_file(field.annotation)
    )


def _names_a_file(annotation: Any) -> bool:
    if NAME_OF_FILE in getattr(annotation, "__metadata__", ()):
        return True
    return any(_names_a_file(argument) for argument in get_args(annotation))

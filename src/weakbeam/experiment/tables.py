"""Tables of the experiment file, whose mistakes are told in one line on every route."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pydantic import ValidationError, model_validator

from weakbeam.errors import InputError
from weakbeam.experiment.mistakes import input_error
from weakbeam.experiment.schema import Schema


class Table(Schema):
    """A table of the experiment file: immutable, checked, and without unknown keys.

    Notes
    -----
    Every way to make a table, or to change a copy of one, refuses what is not allowed by one
    `InputError`, whose key is the path from the table that the caller made.
    """

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _mistake(error, data, type(self)) from None

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
            raise _mistake(error, obj, cls) from None

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Return the table that a mapping of texts describes."""
        try:
            return super().model_validate_strings(obj, **options)
        except ValidationError as error:
            raise _mistake(error, obj, cls) from None

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

    @property
    def differences(self) -> dict[str, Any]:
        """What was given and differs from the default: path of the key -> value.

        Examples
        --------
        >>> from weakbeam.experiment import Experiment
        >>> Experiment().replace(camera={"pixels": (40, 120)}).differences
        {'camera.pixels': (40, 120)}
        """
        found: dict[str, Any] = {}
        for name, value in self._given_otherwise():
            if isinstance(value, Table):
                inner = value.differences or {"": value}
                found |= {f"{name}.{key}" if key else name: x for key, x in inner.items()}
            else:
                found[name] = value
        return found

    def _given_otherwise(self) -> Iterator[tuple[str, Any]]:
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name in self.model_fields_set and value != field.get_default():
                yield name, value

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What pydantic shows of a table: what is not the default."""
        yield from self._given_otherwise()

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{escape(key)}</th>'
            f'<td style="text-align: left">{escape(str(value))}</td></tr>'
            for key, value in self.differences.items()
        )
        rows = rows or "<tr><td>the default</td></tr>"
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"

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


def _mistake(error: ValidationError, data: Any, table: type[Table]) -> InputError:
    return input_error(error.errors(include_url=False), data, table)

"""The keys of an experiment as a form has them: unit, allowed values, default, meaning.

Everything is taken from the tables themselves, so that a form knows every key there is and shows
the words that the reference page and the messages have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from weakbeam.errors import InputError
from weakbeam.experiment.experiment import Experiment
from weakbeam.experiment.schema import Schema, allowed, choices, nested_tables
from weakbeam.experiment.tables import Variant
from weakbeam.experiment.values import Allowed

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["form_of", "panel", "values_of", "without_key"]

_UNITS = {
    "per_um2": "1/µm²",
    "per_m2": "1/m²",
    "per_s": "1/s",
    "keV": "keV",
    "mrad": "mrad",
    "deg": "°",
    "um": "µm",
    "nm": "nm",
    "mm": "mm",
    "m": "m",
    "s": "s",
    "GPa": "GPa",
    "px": "px",
    "adu": "ADU",
}
"""Units at the end of a key, the longer ones first."""


def unit_of(key: str) -> str:
    """The unit that stands in the name of a key; empty where there is none."""
    for ending, unit in _UNITS.items():
        if key.endswith(f"_{ending}"):
            return unit
    return ""


def panel() -> list[dict[str, Any]]:
    """The tables of an experiment as a form has them, in the order of the reference page.

    Returns
    -------
    list of dict
        For each key of :class:`Experiment` what :func:`form_of` says of a key, as plain values.
    """
    return [_field(name, field) for name, field in Experiment.model_fields.items()]


def form_of(table: type[Schema]) -> list[dict[str, Any]]:
    """The keys of a table as a form has them.

    Parameters
    ----------
    table : type of Table
        Any table of the description.

    Returns
    -------
    list of dict
        Each key has its name (``key``), what it means (``doc``), the phrase for what is allowed
        (``allowed``), its ``unit``, its ``default`` (None: none, or absent), whether it may be
        ``optional``, and what it holds (``holds``): ``flag``, ``choice`` (of ``choices``),
        ``number`` or ``integer`` (from ``low`` to ``high``), ``text``, any other ``value`` (TOML),
        a ``table`` with ``fields``, a list of ``tables`` with ``fields``, or, where there are
        several kinds, ``kind`` and ``kinds`` with a form for each.
    """
    return [
        _field(name, field)
        for name, field in table.model_fields.items()
        if not (name == "kind" and issubclass(table, Variant))
    ]


def values_of(experiment: Experiment) -> dict[str, Any]:
    """All values of an experiment as JSON has them; those that are not given are the defaults."""
    return {key: _plain(value) for key, value in experiment.model_dump().items()}


def without_key(experiment: Experiment, path: Sequence[str | int]) -> Experiment:
    """The experiment with a key as if it had never been given.

    Parameters
    ----------
    experiment : Experiment
        The description.
    path : sequence of str or int
        Names of tables and numbers in lists, down to the key.

    Raises
    ------
    InputError
        If there is no such key, or the rest is not allowed without it.
    """
    place: Any = _lists(experiment.model_dump(exclude_unset=True))
    data, shown = place, ""
    for part, last in zip(path, [False] * (len(path) - 1) + [True], strict=True):
        shown = f"{shown}[{part}]" if isinstance(part, int) else f"{shown}.{part}".lstrip(".")
        there = (
            part < len(place)
            if isinstance(place, list) and isinstance(part, int)
            else isinstance(place, dict) and part in place
        )
        if not there:
            raise InputError(shown, None, "is not given; it has its default")
        if last:
            del place[part]
        else:
            place = place[part]
    return type(experiment).model_validate(data)


def _field(name: str, field: FieldInfo) -> dict[str, Any]:
    optional = type(None) in get_args(field.annotation)
    described: dict[str, Any] = {
        "key": name,
        "doc": field.description or "",
        "unit": unit_of(name),
        "optional": optional,
        "default": None if field.is_required() else _plain(_dumped(field.default)),
    }
    return described | _held(field)


def _held(field: FieldInfo) -> dict[str, Any]:
    tables = nested_tables(field.annotation)
    if tables:
        listed = _is_list(field.annotation)
        if len(tables) == 1 and not issubclass(tables[0], Variant):
            return {"holds": "tables" if listed else "table", "fields": form_of(tables[0])}
        kinds = [
            {
                "kind": table.kind_name(),
                "doc": table.model_fields["kind"].description or "",
                "fields": form_of(table),
            }
            for table in tables
        ]
        return {"holds": "kinds" if listed else "kind", "kinds": kinds}
    held: dict[str, Any] = {"allowed": allowed(field)}
    words = choices(field.annotation)
    limits = [entry for entry in _kinds_of_value(field) if isinstance(entry, Allowed)]
    ends = next(((a.low, a.high) for a in limits if a.low is not None), None)
    plain = [a for a in get_args(field.annotation) if a is not type(None)] or [field.annotation]
    if plain == [bool] or _bare(field.annotation) is bool:
        held["holds"] = "flag"
    elif words and not limits:
        held |= {"holds": "choice", "choices": list(words)}
    elif ends is not None and len(limits) == 1:
        whole = "integer" in held["allowed"]
        held |= {"holds": "integer" if whole else "number", "low": ends[0], "high": ends[1]}
    elif _bare(field.annotation) is str:
        held["holds"] = "text"
    else:
        held["holds"] = "value"
    return held


def _kinds_of_value(field: FieldInfo) -> list[Any]:
    """What the types of a key carry along: the `Allowed` of a plain value, not those in a list."""
    found = list(field.metadata)
    for argument in (field.annotation, *get_args(field.annotation)):
        found += getattr(argument, "__metadata__", ())
    return found


def _bare(annotation: Any) -> Any:
    """The type behind ``Annotated`` and ``None``; the annotation itself where there are several."""
    metadata = getattr(annotation, "__metadata__", None)
    if metadata is not None:
        return _bare(get_args(annotation)[0])
    inner = [a for a in get_args(annotation) if a is not type(None)]
    if type(None) in get_args(annotation) and len(inner) == 1:
        return _bare(inner[0])
    return annotation


def _is_list(annotation: Any) -> bool:
    if getattr(annotation, "__metadata__", None) is not None:
        return _is_list(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return True
    return any(_is_list(argument) for argument in get_args(annotation))


def _dumped(value: Any) -> Any:
    if isinstance(value, Schema):
        return value.model_dump()
    if isinstance(value, tuple):
        return [_dumped(item) for item in value]
    return value


def _lists(value: Any) -> Any:
    """Dumped data with lists, which can be changed, in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items() if item is not None}
    if isinstance(value, tuple | list):
        return [_lists(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """A value as JSON has it: lists for tuples, and words for what is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return value

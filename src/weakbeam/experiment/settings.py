"""Settings from the command line, ``key=value``, applied to an experiment."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from weakbeam.errors import InputError
from weakbeam.experiment.schema import Schema, nested_table

_KEY = re.compile(r"[A-Za-z0-9_-]+(\[\d{1,9}\])*(\.[A-Za-z0-9_-]+(\[\d{1,9}\])*)*")
_NUMBER = re.compile(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?")
_PART = re.compile(r"\[(\d+)\]|([A-Za-z0-9_-]+)")


def apply_settings(experiment: Schema, settings: Sequence[str]) -> dict[str, Any]:
    """Return the data of `experiment` with `settings` applied, still to be validated.

    Only keys that were given count as given; a setting may thus choose another form of a table
    (a cell for the material, a magnification for the pixel size) that the default does not block.
    """
    parsed = [_parse(setting) for setting in settings]
    data: dict[str, Any] = _plain(experiment.model_dump(exclude_unset=True))
    for path, _ in parsed:
        _fill_list(data, path, _plain(experiment.model_dump()))
    # All rivals go before anything is set, so that two forms in one call are found as a mistake.
    for path, _ in parsed:
        _remove_rivals(data, path, type(experiment))
    for path, value in parsed:
        _put(data, path, value)
    return data


def _parse(setting: str) -> tuple[list[str | int], Any]:
    key, equals, text = setting.partition("=")
    key, text = key.strip(), text.strip()
    if not equals or not _KEY.fullmatch(key):
        raise InputError("settings", setting, "must be key=value, such as beam.energy_keV=19")
    path = [int(i) if i else name for i, name in _PART.findall(key)]
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        # TOML wants digits on both sides of the point; people type .5 and 2. as well.
        return path, float(text) if _NUMBER.fullmatch(text) else text
    # Text of several lines could smuggle further keys in: it is a string.
    return path, table["value"] if len(table) == 1 else text


def _plain(value: Any) -> Any:
    """Return dumped data as TOML would give it: lists for tuples, nothing for None."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def _fill_list(data: dict[str, Any], path: Sequence[str | int], full: dict[str, Any]) -> None:
    """Copy a default list into `data` if `path` points into it, as defects[0].line does."""
    keys = [str(part) for part in itertools.takewhile(lambda p: isinstance(p, str), path)]
    if len(keys) == len(path):
        return
    values: Any = full
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    if isinstance(values, list):
        for key in keys[:-1]:
            data = data.setdefault(key, {})
        data.setdefault(keys[-1], values)


def _remove_rivals(data: Any, path: Sequence[str | int], root: type[Schema]) -> None:
    table: type[Schema] | None = root
    for part in path:
        if isinstance(part, str):
            if table is None:
                return
            if isinstance(data, dict):
                for rival in table.rivals(part):
                    data.pop(rival, None)
            field = table.model_fields.get(part)
            data = data.get(part) if isinstance(data, dict) else None
            table = nested_table(field.annotation, data) if field else None
        else:
            data = data[part] if isinstance(data, list) and part < len(data) else None


def _put(data: dict[str, Any], path: Sequence[str | int], value: Any) -> None:
    place: Any = data
    shown = ""
    for part, following in zip(path, [*path[1:], None], strict=True):
        last = following is None
        if isinstance(part, int):
            if not isinstance(place, list):
                raise InputError(shown, None, "is not a list that was given; set it as a whole")
            if part >= len(place):
                raise InputError(
                    f"{shown}[{part}]", None, f"no such entry; {shown} has {len(place)}, from [0]"
                )
            shown += f"[{part}]"
        else:
            if not isinstance(place, dict):
                raise InputError(f"{shown}.{part}", None, f"unknown key; {shown} is not a table")
            shown = f"{shown}.{part}" if shown else part
            if not last and part not in place:
                place[part] = {}
        if last:
            place[part] = value
        else:
            place = place[part]

"""Presets: the published values of an instrument, for the keys that an experiment does not give."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args

from weakbeam.experiment.schema import Schema, nested_table

PresetName = Literal["id06", "id06-2021", "id03", "id06-oblique"]

DEFAULT_PRESET = "id06"
"""The preset whose values are the defaults of the models themselves."""


def preset_text(name: str) -> str:
    """Return the file of a preset: TOML, with the source of each number beside it."""
    from importlib.resources import files

    path = files("weakbeam").joinpath("instrument", "presets", f"{name}.toml")
    return path.read_text(encoding="utf-8")


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    return get_args(PresetName)


@cache
def _preset(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads(preset_text(name))


def fill_from_preset(data: Any, root: type[Schema]) -> tuple[Any, dict[str, set[str]]]:
    """Add the values of the preset that `data` names to those that it gives.

    A value of the preset gives way to every key that excludes it or takes its default away.

    Parameters
    ----------
    data : any
        What is to be validated; anything but a mapping with a known preset stays as it is.
    root : type of Schema
        The model that it is validated against.

    Returns
    -------
    filled : any
        The data with the values of the preset.
    added : dict of set of str
        The keys that came from the preset, by section.
    """
    name = data.get("preset", DEFAULT_PRESET) if isinstance(data, Mapping) else DEFAULT_PRESET
    if name == DEFAULT_PRESET or name not in preset_names():
        return data, {}
    filled, added = dict(data), {}
    for section, values in _preset(name).items():
        if any(data.get(rival) is not None for rival in root.rivals(section)):
            continue
        given = _given(data.get(section, {}))
        table = nested_table(root.model_fields[section].annotation)
        if given is None or table is None:
            continue
        stays = {key: value for key, value in values.items() if not _gives_way(key, given, table)}
        filled[section] = stays | given
        added[section] = set(stays) - set(given)
    return filled, added


def forget(experiment: Schema, added: Mapping[str, set[str]]) -> None:
    """Count the keys that came from a preset as not given, so that another preset can take over."""
    for section, keys in added.items():
        table = getattr(experiment, section)
        table.model_fields_set.difference_update(keys)
        if not table.model_fields_set:
            experiment.model_fields_set.discard(section)


def _given(section: Any) -> dict[str, Any] | None:
    if isinstance(section, Schema):
        section = {key: getattr(section, key) for key in section.model_fields_set}
    if not isinstance(section, dict):
        return None
    return {key: value for key, value in section.items() if value is not None}


def _gives_way(key: str, given: Mapping[str, Any], table: type[Schema]) -> bool:
    replaced = any(key == name and other in given for other, name in table.instead)
    return replaced or not table.rivals(key).isdisjoint(given)

"""What tells several files apart: the keys in which their experiments differ, or their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_UNTOLD = ("output",)
"""Tables that say nothing of an image."""

_FIRST = ("defects", "crystal", "reflection", "beam", "objective", "scan")
"""Tables of which labels tell first."""

_NUMBER = "number of "

_KIND = ".kind"

_LAST = ("seed",)
"""Keys that are told after all others."""

_MOST = 4
"""Keys that a label names at most."""

_USUAL_STEMS = ("weakbeam", "maps")
"""Names of files that say less than that of their folder."""


def differing_keys(experiments: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Keys whose values are not the same in all experiments.

    Parameters
    ----------
    experiments : sequence of mapping
        The experiments as nested tables.

    Returns
    -------
    dict of str to list
        For each key, such as ``"beam.energy_keV"`` or ``"defects[0].burgers"``, its value in every
        experiment, None where there is no such key; those of the output are left out, defects come
        first and seeds last. Where there are more tables of a kind in one than in another, their
        number.
    """
    flat = [dict(_leaves(experiment)) for experiment in experiments]
    names = dict.fromkeys(key for keys in flat for key in keys)
    found = {}
    for key in names:
        values = [keys.get(key) for keys in flat]
        if any(value != values[0] for value in values) and key.split(".")[0] not in _UNTOLD:
            found[key] = values
    for key in [name for name in found if name.endswith("]")]:
        # What only some of them have is told by how many there are, unless it differs as well.
        for below in [name for name in found if name.startswith(f"{key}.")]:
            there = [value for value, has in zip(found[below], found[key], strict=True) if has]
            if all(value == there[0] for value in there):
                del found[below]
        del found[key]
    for key in [name for name in found if name.endswith(_KIND) and None in found[name]]:
        # A stop, say, that only some of them have: what it is tells it, not all that it has.
        table = key.removesuffix(_KIND)
        for below in [name for name in found if name.startswith(f"{table}.")]:
            if (
                not below.endswith(_KIND)
                and len({str(value) for value in found[below] if value is not None}) == 1
            ):
                del found[below]
        found[table] = found.pop(key)
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def _rank(key: str) -> tuple[bool, int]:
    """What comes first in a label: the sample, the beam, then how it is looked at."""
    table = re.split(r"[.\[]", key.removeprefix(_NUMBER))[0]
    return key.endswith(_LAST), _FIRST.index(table) if table in _FIRST else len(_FIRST)


def labels_of(
    names: Sequence[str], experiments: Sequence[Mapping[str, Any] | None]
) -> tuple[str, ...]:
    """A label for each of several files.

    Parameters
    ----------
    names : sequence of str
        Their names, which differ.
    experiments : sequence of (mapping or None)
        Their experiments, where they have any.

    Returns
    -------
    tuple of str
        The keys in which the experiments differ, if two or more have one and all of these are told
        apart by them; else the names.
    """
    there = [experiment for experiment in experiments if experiment is not None]
    labels = list(names)
    if len(there) > 1:
        found = iter(_texts(differing_keys(there), len(there)))
        told = [None if experiment is None else next(found) for experiment in experiments]
        known = [text for text in told if text is not None]
        if all(known) and len(set(known)) == len(known):
            labels = [text or name for text, name in zip(told, names, strict=True)]
    return tuple(labels)


def file_name(path: Path, entry: str, several: bool) -> str:
    """What a file is called: its stem, or its folder where every file has that name."""
    folder = path.resolve().parent.name
    stem = folder if path.stem in _USUAL_STEMS and folder else path.name
    return f"{stem}::{entry}" if several and entry else stem


def _texts(differing: Mapping[str, Sequence[Any]], count: int) -> list[str]:
    short = Counter(key.rpartition(".")[2] for key in differing)
    texts = []
    for number in range(count):
        parts = []
        for key, values in differing.items():
            last = key.rpartition(".")[2]
            name = last if short[last] == 1 and len(last) > 2 else key
            parts.append(f"{name} = {_value(values[number])}")
        more = len(parts) - _MOST
        texts.append(", ".join(parts[:_MOST]) + (f" and {more} more" if more > 0 else ""))
    return texts


def _value(value: Any) -> str:
    """A value as one reads it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _leaves(table: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        place = f"{where}.{key}" if where else str(key)
        yield from _leaf(place, value)


def _leaf(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from _leaves(value, place)
    elif isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
        yield f"{_NUMBER}{place}", len(value)
        for number, item in enumerate(value):
            yield f"{place}[{number}]", True
            yield from _leaf(f"{place}[{number}]", item)
    else:
        yield place, value

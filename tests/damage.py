"""Damage of every sort to HDF5 files: bytes, and nodes of their trees."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Damage = Callable[[Path, random.Random], None]


def _bytes_damage(change: Callable[[bytearray, random.Random], bytearray]) -> Damage:
    def spoil(path: Path, chance: random.Random) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), chance))

    return spoil


def _flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice([1, 4, 30])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def _flip_head(data: bytearray, chance: random.Random) -> bytearray:
    """Among the first bytes, where most of the structure is."""
    for _ in range(chance.choice([1, 4, 30])):
        data[chance.randrange(min(len(data), 4096))] = chance.randrange(256)
    return data


def _zero(data: bytearray, chance: random.Random) -> bytearray:
    start, length = chance.randrange(len(data)), chance.choice([8, 64, 512, 4096])
    data[start : start + length] = bytes(len(data[start : start + length]))
    return data


def _cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: chance.randrange(len(data))]


def _copied(data: bytearray, chance: random.Random) -> bytearray:
    """A stretch of the file over another: blocks that are sound, but of other things."""
    length = chance.choice([8, 64, 512])
    source, target = (chance.randrange(max(len(data) - length, 1)) for _ in range(2))
    data[target : target + length] = data[source : source + length]
    return data


def _addresses(data: bytearray, chance: random.Random) -> bytearray:
    """Point what points somewhere to another place: trees that lead back to themselves."""
    size = len(data)
    for _ in range(200):
        place = chance.randrange(0, max(size - 8, 1)) & ~7
        value = int.from_bytes(data[place : place + 8], "little")
        if 96 <= value < size:
            other = chance.randrange(0, max(size - 8, 1)) & ~7
            wrong = chance.choice([int.from_bytes(data[other : other + 8], "little"), place, 96])
            data[place : place + 8] = (wrong % (1 << 64)).to_bytes(8, "little")
            break
    return data


BYTES: dict[str, Damage] = {
    name: _bytes_damage(change)
    for name, change in {
        "flip": _flip,
        "flip head": _flip_head,
        "zero": _zero,
        "cut": _cut,
        "copied": _copied,
        "addresses": _addresses,
    }.items()
}


def _nodes(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit_links(names.append)
    return names


def _tree_damage(change: Callable[[h5py.File, str, random.Random], None]) -> Damage:
    def spoil(path: Path, chance: random.Random) -> None:
        with h5py.File(path, "r+") as file:
            change(file, chance.choice(sorted(_nodes(file))), chance)

    return spoil


def _delete(file: h5py.File, name: str, chance: random.Random) -> None:
    del file[name]


def _values(chance: random.Random) -> Any:
    return chance.choice(
        [
            "text",
            "",
            b"\xff\xfe\x00\xc3",
            3.5,
            -1,
            float("nan"),
            float("inf"),
            2**63 - 1,
            np.zeros(0),
            np.zeros((2, 3)),
            np.full((3, 4, 5), np.nan),
            np.array(["a", "bc"], dtype=h5py.string_dtype()),
            np.zeros(4, dtype=[("x", "f4"), ("y", "i4")]),
            np.array([True, False]),
            np.array([1 + 2j]),
            np.void(b"opaque"),
            h5py.Empty("f"),
            np.full(3, 10**300, float),
            np.array([b"\xff\xfe"], dtype="S2"),
        ]
    )


def _replace(file: h5py.File, name: str, chance: random.Random) -> None:
    del file[name]
    file[name] = _values(chance)


def _group(file: h5py.File, name: str, chance: random.Random) -> None:
    """A group where a data set stood, and the reverse."""
    was_group = isinstance(file.get(name), h5py.Group)
    del file[name]
    if was_group:
        file[name] = _values(chance)
    else:
        file.create_group(name)


def _link(file: h5py.File, name: str, chance: random.Random) -> None:
    del file[name]
    file[name] = chance.choice(
        [
            h5py.ExternalLink("gone.h5", "/x"),
            h5py.ExternalLink(Path(file.filename).name, "/" + name),
            h5py.SoftLink("/nowhere"),
            h5py.SoftLink("/" + name),
            h5py.SoftLink("/"),
        ]
    )


def _shape(file: h5py.File, name: str, chance: random.Random) -> None:
    """A data set of another length, type or number of axes."""
    node = file.get(name)
    if not isinstance(node, h5py.Dataset) or node.is_virtual:
        return _replace(file, name, chance)
    values, attributes = node[()], dict(node.attrs)
    if isinstance(values, bytes) or node.dtype.kind not in "fiu":
        return _replace(file, name, chance)
    array = np.asarray(values)
    changed = chance.choice(
        [
            array[..., None],
            array.ravel(),
            array.ravel()[: array.size // 2],
            np.concatenate([array.ravel(), array.ravel()]),
            array.astype("complex"),
            array.astype("S8"),
            array.astype("i1", casting="unsafe"),
            np.full(array.shape, np.nan),
            np.full(array.shape, -1),
        ]
    )
    del file[name]
    file[name] = changed
    for key, value in attributes.items():
        file[name].attrs[key] = value
    return None


def _attribute(file: h5py.File, name: str, chance: random.Random) -> None:
    """An attribute of another type, or gone."""
    node = file.get(name)
    owner = file if node is None or not len(node.attrs) or chance.random() < 0.2 else node
    key = chance.choice(sorted(owner.attrs))
    if chance.random() < 0.3:
        del owner.attrs[key]
    else:
        owner.attrs[key] = _values(chance)


TREE: dict[str, Damage] = {
    name: _tree_damage(change)
    for name, change in {
        "delete": _delete,
        "replace": _replace,
        "group": _group,
        "link": _link,
        "shape": _shape,
        "attribute": _attribute,
    }.items()
}

DAMAGES = BYTES | TREE

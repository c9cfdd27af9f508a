"""What a session says, and how it is packed into the bytes of one message."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats32
from weakbeam.errors import InputError
from weakbeam.viewer.pictures import Picture

BRIGHTEST = 2.0**14
"""What the largest magnitude of a picture becomes in half precision: so near the end of its range
that eleven decades below it are still told apart, as a logarithmic scale wants."""

NARROW = 0.25
"""Share of the largest value above which all of a picture counts as bright."""

Progress = Callable[[float], None]
"""Told the share that is done, from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Answer:
    """Plain values, pictures and files.

    Parameters
    ----------
    about : mapping
        What JSON can hold; ``do`` says what it is.
    pictures : mapping of str to Picture
        By name.
    files : mapping of str to bytes
        Files to be saved, by name.
    """

    about: Mapping[str, Any]
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """Work that takes longer than anyone would wait for an answer.

    Parameters
    ----------
    name : str
        What is done, in a few words.
    work : callable
        Does it, tells its progress and returns the answer; ends early where telling raises.
    gives_way : bool
        Whether the next job ends it, rather than being refused.
    at_once : bool
        Whether it is done before the next message is answered. A message that is urgent ends it,
        and it is then answered by ``later``: it may be asked for again.
    """

    name: str
    work: Callable[[Progress], Answer]
    gives_way: bool = False
    at_once: bool = False


def refusal(error: InputError) -> Answer:
    """The answer to what is not possible: the line that the command line prints, too."""
    return Answer({"do": "error", "key": error.key, "line": str(error)})


def pack(answer: Answer, number: int | None = None) -> bytes:
    """One message: length of the head (4 bytes, little-endian), head (JSON), arrays, files.

    Arrays are half precision times ``scale`` plus ``offset``, row by row. ``at`` says where, in
    bytes from the end of the head, which is filled up to a multiple of eight.

    Parameters
    ----------
    answer : Answer
        What is sent.
    number : int, optional
        Of the message that it answers.
    """
    head: dict[str, Any] = {**answer.about, "pictures": {}, "files": {}}
    if number is not None:
        head["id"] = number
    parts: list[bytes] = []
    at = 0
    for name, picture in answer.pictures.items():
        halves, scale, offset = _halves(picture.values)
        rows, columns = picture.values.shape
        head["pictures"][name] = {
            **picture.about,
            "rows": rows,
            "columns": columns,
            "scale": scale,
            "offset": offset,
            "at": at,
        }
        at += _add(parts, halves)
    for name, content in answer.files.items():
        head["files"][name] = {"at": at, "bytes": len(content)}
        at += _add(parts, content)
    try:
        text = _json(head)
    except ValueError:
        text = _json(_known(head))
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, Floats32], dict[str, bytes]]:
    """Head, pictures and files of a message: what the page does."""
    start = 4 + int.from_bytes(message[:4], "little")
    head: dict[str, Any] = json.loads(message[4:start])
    pictures = {}
    for name, about in head["pictures"].items():
        count = about["rows"] * about["columns"]
        halves = np.frombuffer(message, "<f2", count, start + about["at"])
        values = np.float32(about["scale"]) * halves.astype(np.float32)
        values += np.float32(about["offset"])
        pictures[name] = values.reshape(about["rows"], about["columns"])
    files = {
        name: message[start + place["at"] : start + place["at"] + place["bytes"]]
        for name, place in head["files"].items()
    }
    return head, pictures, files


def _json(head: Any) -> bytes:
    return json.dumps(head, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _known(value: Any) -> Any:
    """Plain values with null for what is not finite, as JSON has no word for it."""
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _halves(values: Floats32) -> tuple[bytes, float, float]:
    finite = np.isfinite(values)
    high = float(values.max(initial=-np.inf, where=finite))
    low = float(values.min(initial=np.inf, where=finite))
    # Three digits are not enough for what little there is in a bright image: from its darkest on.
    offset = low if 0.0 < NARROW * high <= low else 0.0
    offset = float(np.float32(offset))
    largest = max(abs(low - offset), abs(high - offset)) if low <= high else 0.0
    scale = float(np.float32(largest / BRIGHTEST)) if largest > 0.0 else 1.0
    scale = scale if scale > 0.0 else 1.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        halves = ((values - np.float32(offset)) / np.float32(scale)).astype("<f2")
    return halves.tobytes(), scale, offset


def _add(parts: list[bytes], content: bytes) -> int:
    filled = content + b"\0" * (-len(content) % 8)
    parts.append(filled)
    return len(filled)

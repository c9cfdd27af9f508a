"""What a page may say: values of a message, each checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from weakbeam.errors import InputError

Message = Mapping[str, Any]

LONGEST_TEXT = 200_000
"""Characters of a text, such as an experiment file."""

_MOST_ITEMS = 1000


def checked(message: object) -> Message:
    """The message, if it is one: a mapping with a ``do``."""
    if not isinstance(message, Mapping) or not isinstance(message.get("do"), str):
        raise InputError("message", None, 'must be a table with a text "do"')
    return message


def number(
    message: Message, key: str, low: float, high: float, default: float | None = None
) -> float:
    """A finite number from `low` to `high`."""
    value = message.get(key, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # An integer may be too large to be a float.
    if not is_number or not low <= value <= high or not math.isfinite(value):
        raise InputError(key, _shown(value), f"must be a number from {low:g} to {high:g}")
    return float(value)


def whole(message: Message, key: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number from `low` to `high`."""
    value = message.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(key, _shown(value), f"must be a whole number from {low} to {high}")
    return value


def word(message: Message, key: str, of: Sequence[str], default: str | None = None) -> str:
    """One of a few words."""
    value = message.get(key, default)
    if not isinstance(value, str) or value not in of:
        raise InputError(key, _shown(value), f"must be one of {', '.join(of)}")
    return value


def text(message: Message, key: str, default: str | None = None) -> str:
    """A text that is not too long."""
    value = message.get(key, default)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise InputError(key, _shown(value), f"must be a text of at most {LONGEST_TEXT} characters")
    return value


def texts(message: Message, key: str) -> list[str]:
    """A list of texts."""
    value = message.get(key)
    if not isinstance(value, list) or len(value) > _MOST_ITEMS:
        raise InputError(key, _shown(value), f"must be a list of at most {_MOST_ITEMS} texts")
    return [text({key: item}, key) for item in value]


def numbers(
    message: Message, key: str, count: int, low: float = -1e9, high: float = 1e9
) -> tuple[float, ...]:
    """A list of so many numbers."""
    value = message.get(key)
    if not isinstance(value, list) or len(value) != count:
        raise InputError(key, _shown(value), f"must be a list of {count} numbers")
    return tuple(number({key: item}, key, low, high) for item in value)


def path(message: Message, key: str) -> tuple[str | int, ...]:
    """Names of tables and numbers in lists, down to a key."""
    value = message.get(key)
    ok = isinstance(value, list) and 0 < len(value) <= 20
    if not ok or not all(isinstance(part, str | int) for part in value or ()):
        raise InputError(key, _shown(value), "must be a list of names and numbers")
    assert value is not None
    return tuple(value)


def _shown(value: object) -> object:
    """What of a value stands in a message: nothing of what is long."""
    if isinstance(value, str):
        return value if len(value) <= 80 else None
    return value if isinstance(value, int | float) and abs(value) < 1e15 else None

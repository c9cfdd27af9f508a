"""Indices as people write them: ``"2 2 0"``, ``"(-1 1 -1)"``, ``"220"``, ``"1 1 -2 0"``."""

from __future__ import annotations

import re
from typing import Any

_MINUS = {"\u2212": "-", "\u2013": "-"}
_BAR = re.compile("(\\d)[\u0304\u0305]")
"""A digit under a bar, which is how crystallographers print a minus."""

_BRACKETS = re.compile(r"[(\[{<](.*)[)\]}>]")
_TOGETHER = re.compile(r"([+-]?\d){3,4}")
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_THREE_DIGITS = 100
_FIVE_DIGITS = 10_000


def indices_of(value: Any) -> Any:
    """Indices of a text, or of a number of three or four digits; any other value as it is.

    What is no list of indices is left for whoever checks lists to refuse.

    Examples
    --------
    >>> indices_of("2 2 0"), indices_of("(-1 1 -1)"), indices_of("1-10"), indices_of(220)
    ([2, 2, 0], [-1, 1, -1], [1, -1, 0], [2, 2, 0])
    >>> indices_of("two")
    'two'
    """
    text = value
    if isinstance(value, int) and not isinstance(value, bool):
        # A setting of the command line, 220, is a number by the time it comes here.
        if not _THREE_DIGITS <= abs(value) < _FIVE_DIGITS:
            return value
        text = str(value)
    if not isinstance(text, str):
        return value
    for sign, minus in _MINUS.items():
        text = text.replace(sign, minus)
    text = _BAR.sub(r"-\1", text.strip())
    inside = _BRACKETS.fullmatch(text)
    text = (inside[1] if inside else text).strip()
    if _TOGETHER.fullmatch(text):
        return [int(digit) for digit in re.findall(r"[+-]?\d", text)]
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    if len(parts) > 1 and all(map(_INTEGER.fullmatch, parts)):
        return [int(part) for part in parts]
    return value

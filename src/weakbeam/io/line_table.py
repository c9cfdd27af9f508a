"""Tables of straight dislocations as text: comma-separated values under a line of names."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass

from weakbeam.errors import InputError

POSITION = ("x", "y", "z")
BURGERS_UVW, BURGERS_UM = ("u", "v", "w"), ("bx", "by", "bz")
PLANE = ("h", "k", "l")
LINE_UVW, LINE_XYZ = ("lu", "lv", "lw"), ("tx", "ty", "tz")
ANGLE, CHARACTER = "angle_deg", "character_deg"

_GROUPS = (POSITION, BURGERS_UVW, BURGERS_UM, PLANE, LINE_UVW, LINE_XYZ, (ANGLE,), (CHARACTER,))
_WHOLE = frozenset((*BURGERS_UVW, *PLANE))


@dataclass(frozen=True)
class LineRow:
    """A line of the table.

    Parameters
    ----------
    number : int
        Of the line in the file, from 1.
    values : dict of tuple of str to tuple of float
        What the columns that belong together say, by their names; whole numbers are int.
    """

    number: int
    values: dict[tuple[str, ...], tuple[float, ...]]


def read_line_table(path: str, key: str) -> list[LineRow]:
    """Read a table of lines.

    Parameters
    ----------
    path : str
        The file. Empty lines, and those that begin with #, are passed over.
    key : str
        What names it, for messages.

    Raises
    ------
    InputError
        If the file cannot be read, its columns are not those of a table of lines, or a value is no
        number: one line with the number of the line in the file.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return list(_rows(file.read().splitlines(), path, key))
    except OSError as error:
        raise InputError(key, path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(key, path, "is no text in UTF-8") from None


def _rows(text: list[str], path: str, key: str) -> Iterator[LineRow]:
    names: list[str] = []
    empty = True
    for number, line in enumerate(text, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error as error:
            raise InputError(key, path, f"line {number}: {error}") from None
        if not names:
            names = cells
            groups = _groups(names, number, path, key)
            continue
        if len(cells) != len(names):
            raise InputError(
                key, path, f"line {number}: has {len(cells)} values for {len(names)} columns"
            )
        given = dict(zip(names, cells, strict=True))
        try:
            values = {group: tuple(_value(name, given[name]) for name in group) for group in groups}
        except ValueError as error:
            raise InputError(key, path, f"line {number}: {error}") from None
        empty = False
        yield LineRow(number, values)
    if empty:
        raise InputError(key, path, "lists no lines")


def _groups(names: list[str], number: int, path: str, key: str) -> list[tuple[str, ...]]:
    """The columns that belong together."""

    def mistake(text: str) -> InputError:
        return InputError(key, path, f"line {number}: {text}")

    known = [name for group in _GROUPS for name in group]
    for name in names:
        if name not in known:
            raise mistake(f"unknown column {name!r}; known are {', '.join(known)}")
        if names.count(name) > 1:
            raise mistake(f"column {name} stands there twice")
    for group in _GROUPS:
        lacking = [name for name in group if name not in names]
        if lacking and (group == POSITION or len(lacking) < len(group)):
            raise mistake(f"column {lacking[0]} is missing")
    found: list[tuple[str, ...]] = [group for group in _GROUPS if group[0] in names]
    for choice, what in (
        ((BURGERS_UVW, BURGERS_UM), "a Burgers vector"),
        ((LINE_UVW, LINE_XYZ, (ANGLE,), (CHARACTER,)), "a line"),
    ):
        given = [group for group in choice if group in found]
        if len(given) != 1:
            forms = " or ".join(",".join(group) for group in choice)
            raise mistake(f"needs one of the columns for {what}: {forms}")
    if PLANE not in found and ((ANGLE,) in found or (CHARACTER,) in found):
        raise mistake("an angle needs the columns h,k,l of its plane")
    return found


def _value(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if name in _WHOLE:
        if not value.is_integer() or abs(value) > 99:
            raise ValueError(f"{name} = {text!r} is no whole number from -99 to 99")
        return int(value)
    if not abs(value) <= 1e6:
        raise ValueError(f"{name} = {text!r} is no number from -1e6 to 1e6")
    return value

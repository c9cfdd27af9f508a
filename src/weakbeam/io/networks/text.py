"""Text files, token by token, and mistakes that name the line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.errors import InputError

_LARGEST = 1e12


@dataclass(frozen=True)
class TextFile:
    """The lines of a text file.

    Parameters
    ----------
    path, key : str
        Its name, and what names it, for messages.
    lines : tuple of str
        Its lines.
    """

    path: str
    key: str
    lines: tuple[str, ...]

    @classmethod
    def read(cls, path: str, key: str) -> TextFile:
        """Read a file.

        Raises
        ------
        InputError
            If it cannot be read, or is no text.
        """
        try:
            with open(path, encoding="utf-8-sig") as file:
                return cls(path, key, tuple(file.read().splitlines()))
        except OSError as error:
            raise InputError(key, path, f"cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise InputError(key, path, "is no text in UTF-8") from None

    def mistake(self, number: int, said: str) -> InputError:
        """What is wrong on a line, counted from 1; 0 stands for the end of the file."""
        where = f"line {number}" if number else "ends too early"
        return InputError(self.key, self.path, f"{where}: {said}")


@dataclass
class Tokens:
    """What stands between blanks, from a line of a file on, and where.

    Parameters
    ----------
    file : TextFile
        The file.
    words : list of str
        Its words.
    numbers : list of int
        The line of each.
    """

    file: TextFile
    words: list[str]
    numbers: list[int]
    place: int = 0

    @classmethod
    def of(cls, file: TextFile, first: int = 0, comment: str = "", blanks: str = "") -> Tokens:
        """Words from line `first`, from 0; `comment` begins one, `blanks` count as blanks."""
        words: list[str] = []
        numbers: list[int] = []
        table = str.maketrans(dict.fromkeys(blanks, " "))
        for number, line in enumerate(file.lines[first:], first + 1):
            text = line.split(comment, 1)[0] if comment else line
            found = (text.translate(table) if blanks else text).split()
            words += found
            numbers += [number] * len(found)
        return cls(file, words, numbers)

    @property
    def left(self) -> int:
        """How many words are left."""
        return len(self.words) - self.place

    @property
    def number(self) -> int:
        """Line of the next word; 0 after the last."""
        return self.numbers[self.place] if self.left else 0

    def word(self, what: str) -> str:
        """The next word.

        Raises
        ------
        InputError
            If there is none.
        """
        if not self.left:
            raise self.file.mistake(0, f"{what} is missing")
        self.place += 1
        return self.words[self.place - 1]

    def peek(self) -> str:
        """The next word, which stays; "" after the last."""
        return self.words[self.place] if self.left else ""

    def expect(self, *keywords: str) -> None:
        """Pass over words that must stand there.

        Raises
        ------
        InputError
            If others do.
        """
        for keyword in keywords:
            number = self.number
            found = self.word(keyword)
            if found.upper() != keyword.upper():
                raise self.file.mistake(number, f"{found!r} stands where {keyword} should")

    def floats(self, count: int, what: str) -> Floats:
        """The next `count` numbers.

        Raises
        ------
        InputError
            If there are fewer, or one is none or not finite.
        """
        if self.left < count:
            raise self.file.mistake(0, f"{what} is missing")
        words = self.words[self.place : self.place + count]
        try:
            values = np.array(words, dtype=np.float64)
        except ValueError:
            values = np.array([_float(word) for word in words])
        bad = np.flatnonzero(~(np.abs(values) <= _LARGEST))
        if len(bad):
            at = int(bad[0])
            raise self.file.mistake(
                self.numbers[self.place + at], f"{words[at]!r} is no number, in {what}"
            )
        self.place += count
        return values

    def whole(self, count: int, what: str) -> Ints:
        """The next `count` whole numbers; as :meth:`floats`."""
        start = self.place
        values = self.floats(count, what)
        bad = np.flatnonzero(values != np.round(values))
        if len(bad):
            at = start + int(bad[0])
            raise self.file.mistake(
                self.numbers[at], f"{self.words[at]!r} is no whole number, in {what}"
            )
        return values.astype(np.int64)

    def size(self, what: str, most: int = 100_000_000) -> int:
        """The next word as a number of things, from 0 to `most`."""
        number = self.number
        value = int(self.whole(1, what)[0])
        if not 0 <= value <= most:
            raise self.file.mistake(number, f"{value} is no number of {what}")
        return value


def _float(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def unknown_planes(count: int) -> Floats:
    """Normals of planes that a file does not tell."""
    return np.full((count, 3), np.nan)


def known_planes(normals: Floats) -> Floats:
    """Normals of planes; a zero vector stands for none."""
    none = ~np.any(normals, axis=1, keepdims=True)
    return np.where(none, np.nan, normals)


def listed(values: Iterable[float]) -> str:
    """Numbers as messages have them."""
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"

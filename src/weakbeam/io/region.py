"""A part of the frames of a camera."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weakbeam.errors import InputError


@dataclass(frozen=True)
class Region:
    """Some pixels of a frame: rows and columns from a first to one before the last.

    Parameters
    ----------
    rows, columns : slice
        With both ends.
    """

    rows: slice
    columns: slice

    @classmethod
    def of_text(cls, text: str, key: str = "roi") -> Region:
        """The region that a text names, rows first: ``"0:20,5:50"``.

        Raises
        ------
        InputError
            If it is no such text; `key` is what the message calls it.
        """
        match = re.fullmatch(r"\s*(\d+):(\d+)\s*,\s*(\d+):(\d+)\s*", text)
        if match is None:
            raise InputError(key, text, "must be R0:R1,C0:C1, such as 0:20,0:50")
        first_row, last_row, first_column, last_column = map(int, match.groups())
        return cls(slice(first_row, last_row), slice(first_column, last_column))

    def __str__(self) -> str:
        """The region as `of_text` reads it."""
        rows, columns = self.rows, self.columns
        return f"{rows.start}:{rows.stop},{columns.start}:{columns.stop}"

    @property
    def name(self) -> str:
        """What a legend calls it."""
        if self.shape == (1, 1):
            return f"pixel {self.rows.start}, {self.columns.start}"
        rows, columns = str(self).split(",")
        return f"rows {rows}, columns {columns}"

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns it has."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def first(self) -> tuple[int, int]:
        """Its first row and column."""
        return self.rows.start, self.columns.start

    def check(self, shape: tuple[int, int], first: tuple[int, int] = (0, 0)) -> None:
        """Raise an `InputError` if this is not on images of a shape.

        Parameters
        ----------
        shape : (int, int)
            Rows and columns of the images.
        first : (int, int)
            The numbers of their first row and column.
        """
        for name, part, length, start in zip(
            ("rows", "columns"), (self.rows, self.columns), shape, first, strict=True
        ):
            if not start <= part.start < part.stop <= start + length:
                allowed = f"the image has {name} {start} to {start + length - 1}"
                raise InputError("region", self.name, allowed)

    def within(self, first: tuple[int, int]) -> tuple[slice, slice]:
        """Its rows and columns in an image whose first row and column have these numbers."""
        rows, columns = (
            slice(part.start - start, part.stop - start)
            for part, start in zip((self.rows, self.columns), first, strict=True)
        )
        return rows, columns

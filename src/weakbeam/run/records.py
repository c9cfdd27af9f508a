"""Tables whose rows are read by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from weakbeam.core.extras import required

_MOST_SHOWN = 60

_STYLE = "white-space: nowrap; border-collapse: separate; border-spacing: 0.7em 0.1em"


class Records(Sequence[Mapping[str, Any]]):
    """Rows with the same columns, units in the names of the columns.

    Parameters
    ----------
    title : str
        What the table holds.
    rows : sequence of mapping
        Value of each column, row by row.

    Examples
    --------
    >>> table = Records("planes", [{"hkl": (1, 1, 1), "d_angstrom": 2.338}])
    >>> table[0]["d_angstrom"], table.column("hkl")
    (2.338, [(1, 1, 1)])
    """

    def __init__(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self.title = title
        self._rows = tuple(rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(dict.fromkeys(name for row in self._rows for name in row))

    def column(self, name: str) -> list[Any]:
        """Values of a column; None where a row has none.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        if name not in self.columns:
            raise KeyError(f"{name}: the columns are {', '.join(self.columns)}")
        return [row.get(name) for row in self._rows]

    def to_pandas(self) -> Any:
        """The table as a `pandas.DataFrame`.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return required("pandas", "to_pandas").DataFrame(
            [dict(row) for row in self._rows], columns=list(self.columns)
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Records(self.title, self._rows[index])
        return self._rows[index]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._rows)

    def __repr__(self) -> str:
        count = "1 row" if len(self) == 1 else f"{len(self)} rows"
        return f"<{self.title}: {count} of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{_shown(row.get(name))}</td>" for name in self.columns) + "</tr>"
            for row in self._rows[:_MOST_SHOWN]
        )
        left = len(self) - _MOST_SHOWN
        more = f"<caption>{escape(self.title)}</caption>"
        rest = f'<tr><td colspan="99">and {left} more</td></tr>' if left > 0 else ""
        # Wide tables are scrolled, and not squeezed into lines of a word each.
        return (
            f'<div style="overflow-x: auto"><table style="{_STYLE}">'
            f"{more}<thead><tr>{head}</tr></thead><tbody>{body}{rest}</tbody></table></div>"
        )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        return escape(" ".join(_shown(part) for part in value))
    return escape(str(value))

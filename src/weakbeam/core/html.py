"""Pieces of pages that notebooks show."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table_html(rows: Iterable[tuple[str, str]]) -> str:
    """Names and texts as a table of a page."""
    lines = "".join(
        f'<tr><th style="text-align: left">{escape(name)}</th>'
        f'<td style="text-align: left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table>{lines}</table>"


def lines_html(lines: Iterable[str]) -> str:
    """Texts below each other, nothing if there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""

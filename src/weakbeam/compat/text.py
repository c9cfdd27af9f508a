"""An experiment that is being made, as TOML."""

from __future__ import annotations

from typing import Any

from weakbeam.experiment.toml_text import toml_value

Section = dict[str, Any]


def toml_of(tree: Section) -> str:
    """Return the tables of an experiment as the text of a file.

    Parameters
    ----------
    tree : dict
        A table, or a list of tables, for each section; those of ``scan`` hold tables of their own.
    """
    return "\n".join(_lines(tree))


def _lines(tree: Section) -> list[str]:
    lines: list[str] = []
    for name, value in tree.items():
        if isinstance(value, list):
            for entry in value:
                lines += [f"[[{name}]]", *_pairs(entry), ""]
            continue
        nested = {k: v for k, v in value.items() if name == "scan" and isinstance(v, dict)}
        plain = {k: v for k, v in value.items() if k not in nested}
        if plain or not nested:
            lines += [f"[{name}]", *_pairs(plain), ""]
        for key, inner in nested.items():
            lines += [f"[{name}.{key}]", *_pairs(inner), ""]
    return lines


def _pairs(table: Section) -> list[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]

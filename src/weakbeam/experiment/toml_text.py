"""TOML text: reading it with one-line errors, and writing an experiment with its comments."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from weakbeam.errors import InputError
from weakbeam.experiment.schema import Schema

MAX_BYTES = 64 * 2**20
"""A larger file is not an experiment file."""

_MOST_PARTS = 100

_COMMENT_COLUMN = 44
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If the file is missing, unreadable, too large, not UTF-8 or not TOML.
    """
    source = os.fspath(path)
    try:
        with Path(source).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(source, None, f"cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        allowed = f"too large; an experiment file has at most {MAX_BYTES // 2**20} MiB"
        raise InputError(source, None, allowed)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        allowed = f"must be a TOML text in UTF-8; byte {error.start} is not"
        raise InputError(source, None, allowed) from None
    return parse_toml(text, source)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parse TOML text; `source` names it in the message of an `InputError`."""
    if _has_long_keys(text):
        # The time for a key grows with the square of its parts.
        raise InputError(source, None, "must be TOML; it is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(source, None, "must be TOML; it is nested too deeply") from None
    except ValueError as error:
        reason = str(error).replace("at end of document", f"at {_end(text)}")
        raise InputError(source, None, f"must be TOML; {reason}") from None


def _has_long_keys(text: str) -> bool:
    """Whether a key or the title of a table has far more parts than any table is deep."""
    for line in text.split("\n"):
        if line.count(".") > _MOST_PARTS:
            *keys, last = line.split("=")
            keys += [last] if line.lstrip().startswith("[") else []
            # What stands before in the same line: other keys of an inline table, other numbers.
            if any(re.split("[,{]", key)[-1].count(".") > _MOST_PARTS for key in keys):
                return True
    return False


def _end(text: str) -> str:
    lines = text.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"


def toml_value(value: object) -> str:
    """Return a value as TOML, such that reading it gives the value back to the last bit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, Schema):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        # Whole numbers read better without a decimal point; the key knows that they are floats.
        whole = all(isinstance(x, float) and _is_plainly_whole(x) for x in value)
        return "[" + ", ".join(str(int(x)) if whole else toml_value(x) for x in value) + "]"
    return str(value)


def toml_key(key: str) -> str:
    """Return a key as TOML, quoted where it has to be."""
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key)


def _float_text(x: float) -> str:
    # repr is the shortest text that gives the same float; 6e-05 is written 6.0e-5.
    mantissa, e, exponent = repr(x).partition("e")
    if not e:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent)}"


def _is_plainly_whole(x: float) -> bool:
    return x.is_integer() and abs(x) < 1e15 and str(x) != "-0.0"


def experiment_text(experiment: Schema, comments: bool = False) -> str:
    """Return the TOML text of an experiment; see `Experiment.to_toml`."""
    blocks = list(_blocks(experiment, comments))
    return "\n".join("\n".join(lines) + "\n" for lines in blocks)


def _blocks(experiment: Schema, comments: bool) -> Iterator[list[str]]:
    """Yield the lines of each section."""
    sections = {
        name: (field.description, getattr(experiment, name))
        for name, field in type(experiment).model_fields.items()
    }
    # A key of the root must stand before the first table.
    for name, (description, value) in sections.items():
        if value == () or isinstance(value, str):
            yield [f"# {description}"] * comments + [f"{name} = {toml_value(value)}"]
    for name, (description, value) in sections.items():
        heading = [f"# {description}"] * comments
        if isinstance(value, tuple):
            for number, item in enumerate(value):
                explained = comments and number == 0
                yield heading * explained + _table(item, f"[[{name}]]", explained)
            continue
        if not isinstance(value, Schema):
            continue
        lines = _table(value, f"[{name}]", comments)
        for key, field in type(value).model_fields.items():
            if _is_subtable(nested := getattr(value, key)):
                note = field.description if comments else None
                lines += _table(nested, f"[{name}.{key}]", comments, note)
        yield heading + lines


def _is_subtable(value: object) -> bool:
    return isinstance(value, Schema) and not value.inline


def _table(table: Schema, title: str, comments: bool, note: str | None = None) -> list[str]:
    """Return the lines of one table; without its title where it holds subtables only.

    `note` is a comment that stands beside the title.
    """
    entries: list[tuple[str, str]] = []
    for key, field in type(table).model_fields.items():
        value = getattr(table, key)
        if value is None:
            if comments and field.examples:
                entries.append(
                    (f"# {key} = {toml_value(field.examples[0])}", field.description or "")
                )
        elif not _is_subtable(value):
            entries.append((f"{key} = {toml_value(value)}", field.description or ""))
    if not entries:
        return []
    if not comments:
        return [title, *(text for text, _ in entries)]
    if note:
        entries.insert(0, (title, note))
    column = max((len(text) for text, _ in entries if len(text) <= _COMMENT_COLUMN), default=0)
    lines = [] if note else [title]
    for text, description in entries:
        if len(text) > _COMMENT_COLUMN:
            lines += [f"# {description}:", text]
        else:
            lines.append(f"{text:<{column}}  # {description}")
    return lines

"""What is wrong with an experiment, told in one line: key, value, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, get_args, get_origin

from weakbeam.errors import InputError
from weakbeam.experiment.schema import Schema, allowed, choices, nested_table, nested_tables
from weakbeam.experiment.toml_text import toml_key

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_NOTHING = object()
_LONG_LIST = 3
_LONGEST_WORD = 60


def input_error(errors: Sequence[ErrorDetails], data: Any, root: type[Schema]) -> InputError:
    """Return the `InputError` for the first of the mistakes that pydantic found.

    Unknown keys come first: a misspelt key is often the reason why another one is missing.

    Parameters
    ----------
    errors : sequence of ErrorDetails
        What ``ValidationError.errors()`` returns.
    data : any
        What was validated; a mapping, unless that is the mistake.
    root : type of Table
        The model that `data` was validated against.
    """
    ordered = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
    mistakes: dict[str, InputError] = {}
    for error in ordered:
        # Only the first is told: looking for what the others may have meant would take too long.
        mistake = _mistake(error, data, root, is_first=not mistakes)
        mistakes.setdefault(mistake.key, mistake)
    first, *others = mistakes.values()
    if not others:
        return first
    more = f"(and {len(others)} more mistake{'s' * (len(others) > 1)})"
    return InputError(first.key, first.value, f"{first.allowed} {more}")


def known_keys(root: type[Schema], prefix: str = "") -> Iterator[str]:
    """Yield the path of every table and key, such as ``beam.energy_keV``, ``defects[0].line``."""
    for name, field in root.model_fields.items():
        path = f"{prefix}{name}"
        yield path
        for table in nested_tables(field.annotation):
            index = "[0]" if _is_list_of_tables(field.annotation) else ""
            yield from known_keys(table, f"{path}{index}.")


def _mistake(error: ErrorDetails, data: Any, root: type[Schema], is_first: bool) -> InputError:
    table: type[Schema] | None = root
    path, value, field = "", data, None
    for part in error["loc"]:
        if table is not None and table.kind_name() == part:
            # Where several kinds are possible, pydantic tells between which keys it chose one.
            continue
        if error["type"] == "invalid_key":
            key = _joined(path, _short(str(part)))
            return InputError(
                key, _showable(_item(value, part)), "the name of a key must be a text"
            )
        if isinstance(value, Schema):
            # It stands where a list of tables is wanted, and pydantic went through its values.
            break
        if isinstance(part, int):
            # Three numbers are shown whole; in a longer list, the wrong one is pointed at.
            if table is None and not (isinstance(value, Sized) and len(value) > _LONG_LIST):
                break
            path, value = f"{path}[{part}]", _item(value, part)
            table = nested_table(field.annotation, value) if field else None
        elif table is None:
            break
        elif part in table.model_fields:
            field = table.model_fields[part]
            path, value = _joined(path, part), _item(value, part)
            table = nested_table(field.annotation, value)
        elif error["type"] == "extra_forbidden":
            key = _joined(path, _short(toml_key(part)))
            allowed_keys = _unknown(part, path, table, root) if is_first else "unknown key"
            return InputError(key, _showable(_item(value, part)), allowed_keys)

    inner = error.get("ctx", {}).get("error")
    if isinstance(inner, InputError):
        # As it was written, if it was: 30 rather than 30.0, a list rather than a tuple.
        written = _item(value, inner.key)
        shown = inner.value if written is _NOTHING else _showable(written)
        return InputError(_joined(path, inner.key), shown, inner.allowed)
    if error["type"].startswith("union_tag") and field is not None:
        kind, kinds = _item(value, "kind"), _kinds(field.annotation)
        lacking = "missing; " if kind is _NOTHING else ""
        return InputError(f"{path}.kind", _showable(kind), f"{lacking}must be {kinds}")
    if error["type"] == "missing" and value is _NOTHING:
        return InputError(path, None, f"missing; must be {allowed(field)}" if field else "missing")
    if table is not None and field is not None:
        many = _is_list_of_tables(field.annotation) and not path.endswith("]")
        form = f"a list of tables, each written [[{path}]]" if many else "a table"
        return InputError(path, _showable(value), f"must be {form}")
    if field is None:
        return InputError(root.__name__, _showable(value), "must be a table")
    return InputError(path, _showable(value), f"must be {allowed(field)}{_meant(value, field)}")


def _meant(value: Any, field: FieldInfo) -> str:
    """The word that a misspelt one may have stood for, of the few that a key may hold."""
    words = [word for word in choices(field.annotation) if isinstance(word, str)]
    if not isinstance(value, str) or len(value) > _LONGEST_WORD:
        return ""
    by_lower = {word.lower(): word for word in words}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else ""


def _unknown(key: str, path: str, table: type[Schema], root: type[Schema]) -> str:
    """Return "unknown key" with the nearest known key, of the same table if one is near enough."""
    by_name: dict[str, str] = {}
    for known in known_keys(root):
        # Another kind of table at the same place may have the key; and a key of a table in a list
        # says little outside of it.
        listed = known.partition("[")[0]
        outside = "[" in known and not path.startswith(listed)
        if known != _joined(path, key) and not outside:
            by_name.setdefault(known.rpartition(".")[2].lower(), known)
    by_name |= {name.lower(): _joined(path, name) for name in table.model_fields}
    own = [name.lower() for name in table.model_fields]
    wanted = key.lower()
    near = difflib.get_close_matches(wanted, own, n=1, cutoff=0.75)
    near = near or difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.75)
    near = near or difflib.get_close_matches(wanted, own, n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {by_name[near[0]]}?"
    place = f"[{path}]" if path else "the file"
    return f"unknown key; {place} has {', '.join(table.model_fields)}"


def _is_list_of_tables(annotation: Any) -> bool:
    if get_origin(annotation) is tuple:
        return bool(nested_tables(annotation))
    return any(_is_list_of_tables(argument) for argument in get_args(annotation))


def _kinds(annotation: Any) -> str:
    tables = nested_tables(annotation)
    *most, last = (f'"{kind}"' for t in tables if (kind := t.kind_name()))
    return f"{', '.join(most)} or {last}"


def _item(value: Any, part: int | str) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return _NOTHING


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _showable(value: Any) -> Any:
    """Return the value if its text can be shown in a message, else None."""
    if value is _NOTHING or isinstance(value, dict):
        return None
    try:
        repr(value)
    except (ValueError, RecursionError):
        return None
    return value

"""An experiment as Python: the call that makes it, with what was given and no default."""

from __future__ import annotations

from typing import Any

from weakbeam.experiment.experiment import Experiment
from weakbeam.experiment.schema import Schema

__all__ = ["python_text"]

PUBLIC = frozenset(
    (
        "AngleAxis",
        "Beam",
        "Boundary",
        "Camera",
        "Crystal",
        "Dislocation",
        "Experiment",
        "Grid",
        "HeightAxis",
        "LineTable",
        "Loop",
        "Network",
        "Objective",
        "Polyline",
        "RandomDislocations",
        "Reflection",
        "Scan",
        "StoredDislocations",
        "Uniform",
        "Wall",
    )
)
"""The tables that ``import weakbeam as wb`` has by name; others are written as mappings."""

_WIDTH = 88


def python_text(experiment: Experiment) -> str:
    """A script that makes the experiment and simulates it.

    Only what was given stands in it, so that it reads as a person would have written it.

    Parameters
    ----------
    experiment : Experiment
        The description.

    Examples
    --------
    >>> from weakbeam.experiment import Beam
    >>> print(python_text(Experiment(beam=Beam(energy_keV=19.0))))
    import weakbeam as wb
    <BLANKLINE>
    experiment = wb.Experiment(beam=wb.Beam(energy_keV=19.0))
    run = wb.simulate(experiment)
    <BLANKLINE>
    """
    call = _text(experiment, 0, len("experiment = "))
    return f"import weakbeam as wb\n\nexperiment = {call}\nrun = wb.simulate(experiment)\n"


def _text(value: Any, indent: int, taken: int) -> str:
    """The expression of a value; `taken` characters stand before it on its first line."""
    opening, parts, closing = _parts(value)
    if parts is None:
        return opening
    inside = [f"{name}{_text(item, indent + 4, 0)}" for name, item in parts]
    # A tuple of one has a comma behind it.
    comma = "," if opening == "(" and len(parts) == 1 else ""
    line = f"{opening}{', '.join(inside)}{comma}{closing}"
    if "\n" not in line and indent + taken + len(line) <= _WIDTH:
        return line
    margin = " " * (indent + 4)
    body = "".join(
        f"{margin}{name}{_text(item, indent + 4, len(name) + 1)},\n" for name, item in parts
    )
    return f"{opening}\n{body}{' ' * indent}{closing}"


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]] | None, str]:
    """How an expression begins, what stands in it with names before, and how it ends."""
    if isinstance(value, Schema):
        named = type(value).__name__
        fields = [key for key in type(value).model_fields if key in value.model_fields_set]
        given = {key: x for key in fields if (x := getattr(value, key)) is not None}
        if named in PUBLIC:
            keys = {key: item for key, item in given.items() if key != "kind"}
            return f"wb.{named}(", [(f"{key}=", item) for key, item in keys.items()], ")"
        return "{", [(f'"{key}": ', item) for key, item in given.items()], "}"
    if isinstance(value, tuple | list):
        return "(", [("", item) for item in value], ")"
    if isinstance(value, dict):
        return "{", [(f'"{key}": ', item) for key, item in value.items()], "}"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f'float("{value}")', None, ""
    if isinstance(value, str):
        escaped = repr(value)
        return (f'"{value}"' if '"' not in value and "\\" not in escaped else escaped), None, ""
    return repr(value), None, ""

"""The reference page of the experiment file, made from the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weakbeam._fields import Table, allowed, nested_table
from weakbeam.experiment import Experiment
from weakbeam.templates import TEMPLATES
from weakbeam.toml_text import toml_value

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["experiment_reference"]

_INTRODUCTION = """\
# The experiment file

<!-- Made from the models: python -m weakbeam.reference > docs/reference/experiment.md -->

An experiment is a TOML file. A section or key that is left out has the default given here, so that
an empty file is valid: one image of one edge dislocation in aluminium, reflection (−1 1 −1) at
17 keV. Unknown keys are errors. Units stand in the names of the keys. A whole number is accepted
where a number is wanted; text, `true` and `nan` are not.

`weakbeam init` writes commented files to start from:

{templates}

`weakbeam forward --set key=value` changes single keys, written as here: `--set beam.energy_keV=19`,
`--set "defects[0].line=[1, 0, -1]"`. A key that excludes another one replaces it: setting
`scan.phi.value_mrad` ends a range of `phi`.
"""

_NOTES = {
    "crystal": "Give a `material` of the built-in table, or a `cell` with its `space_group` and "
    "`poisson_ratio`. Keys beside a material override its values.",
    "camera": "Give `pixel_nm`, or `camera_pixel_um` and `magnification`; the pixel in the object "
    "plane is then their quotient.",
    "defects": "Each defect is a table of its own, `[[defects]]`. Without any, the file describes "
    "the default: `plane = [1, 1, 1]`, `burgers = [1, 0, -1]`, `line = [1, -2, 1]`, a pure edge "
    "dislocation. Give `line`, or `character_deg` with `plane`: the angle by which the line is "
    "turned about the plane normal from pure edge (0) towards screw (90).",
    "scan": "Each motor is a table: `[scan.phi]`, `[scan.chi]`, `[scan.two_theta]` in mrad, "
    "`[scan.z]` in um. It takes one of three forms: it stands at `value_*`; it moves over "
    "`half_range_*` to either side of `center_*` in `steps` positions, both ends included (one "
    "step: the centre alone); or it visits the list `values_*`. A motor that is absent stands at "
    "0. The sign of chi is the published one, left-handed about x; two_theta is positive towards "
    "larger angles.",
}


def experiment_reference() -> str:
    """Return the reference page of the experiment file as Markdown."""
    templates = "\n".join(f"- `{t.name}.toml`: {t.description}" for t in TEMPLATES.values())
    parts = [_INTRODUCTION.format(templates=templates)]
    for name, field in Experiment.model_fields.items():
        title = f"[[{name}]]" if name == "defects" else f"[{name}]"
        text = f"{field.description} {_NOTES.get(name, '')}".strip()
        parts.append(f"## `{title}`\n\n{text}\n")
        table = nested_table(field.annotation)
        assert table is not None
        parts.append("\n".join(_subtables(name, table) or _keys(table)) + "\n")
    return "\n".join(parts)


def _keys(table: type[Table]) -> list[str]:
    """Return the lines of a Markdown table of keys."""
    lines = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in table.model_fields.items():
        lines.append(_row(name, field))
        if (nested := nested_table(field.annotation)) is not None:
            lines += (_row(f"{name}.{key}", inner) for key, inner in nested.model_fields.items())
    return lines


def _subtables(name: str, table: type[Table]) -> list[str]:
    """Return lines on the tables within a table: each by itself, then the keys of each kind."""
    kinds: dict[type[Table], list[str]] = {}
    lines = ["| table | default | meaning |", "|---|---|---|"]
    for key, field in table.model_fields.items():
        kind = nested_table(field.annotation)
        if kind is None or kind.inline:
            return []
        kinds.setdefault(kind, []).append(f"`[{name}.{key}]`")
        default = toml_value(field.default.model_dump(exclude_none=True))
        lines.append(f"| `[{name}.{key}]` | `{default}` | {field.description} |")
    for kind, titles in kinds.items():
        lines += ["", f"Keys of {', '.join(titles)}:", "", *_keys(kind)]
    return lines


def _row(key: str, field: FieldInfo) -> str:
    if field.is_required():
        default = "required"
    elif field.default is None:
        default = ""
    else:
        default = f"`{toml_value(field.default)}`"
    cells = (f"`{key}`", default, allowed(field), field.description or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    import sys

    sys.stdout.write(experiment_reference())

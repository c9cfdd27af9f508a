"""The reference page of the experiment file, made from the models."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from weakbeam.experiment.experiment import Experiment
from weakbeam.experiment.presets import preset_names, preset_text
from weakbeam.experiment.schema import Schema, allowed, nested_table, nested_tables
from weakbeam.experiment.tables import Variant
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.experiment.toml_text import toml_value

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["experiment_reference"]

_INTRODUCTION = """\
# The experiment file

<!-- Made by python -m weakbeam.experiment.reference > docs/reference/experiment.md -->

An experiment is a TOML file. A section or key that is left out has the default given here, so that
an empty file is valid: one image of one edge dislocation in aluminium, reflection (−1 1 −1) at
17 keV. Unknown keys are errors. Units stand in the names of the keys. A whole number is accepted
where a number is wanted; text, `true` and `nan` are not.

Indices are a list, or a text as people write it: `hkl = [2, 2, 0]`, `"2 2 0"`, `"220"`, `"-1 1 -1"`
and `"(1 1 -2 0)"`, four of them on hexagonal axes, of which the first three add up to 0. Materials
have their symbols or their English names, `"Cu"` or `"copper"`.

Names of files count from the folder of the experiment file; in `--set` and in Python from the
current one.

`weakbeam init` writes commented files to start from:

{templates}

`weakbeam forward --set key=value` changes single keys, written as here: `--set beam.energy_keV=19`,
`--set "defects[0].line=[1, 0, -1]"`. A key that excludes another one replaces it: setting
`scan.phi.value_mrad` ends a range of `phi`.

## `preset`

{preset}
A key that stands in the file always wins, so that a file which spells everything out, such as the
`experiment.toml` beside a result, does not change with its preset. The values and their sources
stand in `weakbeam/instrument/presets`.

| preset | instrument |
|---|---|
{presets}
"""

_NOTES = {
    "crystal": "Give a `material` of the built-in table, a `cell` with its `space_group` and "
    "`poisson_ratio`, or a `cif` with `poisson_ratio`. Keys beside a material override its values. "
    "`stiffness_GPa` is Voigt's matrix (xx, yy, zz, yz, xz, xy; x along a, y in the plane of a and "
    "b), or a table of the constants that the symmetry leaves free, such as c11, c12, c44 of a "
    "cubic crystal ([when anisotropy matters](../how-to/anisotropy.md)). "
    "`x_axis` mounts the planes of each reflection facing up; `mount`, `ub`, `euler_deg` or "
    "`quaternion` fix the orientation for all reflections ([how to describe a "
    "crystal](../how-to/crystals.md)).",
    "reflection": "In the symmetric geometry the crystal is mounted with the planes flat and "
    "tilted by mu = -theta. In the oblique one it stays on its mount, and the rotation omega about "
    "the vertical brings the planes to diffract, at two angles. `goniometer` takes any mu, chi and "
    "phi and solves omega; where `omega_deg` is given too, the setting must fulfil the Laue "
    "condition, and omega, or mu where it is not given, is set exactly if within 0.01 degrees "
    "([how to choose a reflection](../how-to/reflections.md)).",
    "reflections": "Each is a table of its own, `[[reflections]]`, with the keys of "
    "`[reflection]`. Every reflection makes entries of its own in the output file, with the same "
    "defects: positions count in the sample frame of the first reflection.",
    "all_reflections": "They are found from crystal, mount and energy, and listed by "
    "`weakbeam forward --dry-run`.",
    "beam": "Give `bandwidth_rms`, or a `spectrum`: a list of Gaussians in relative energy, whose "
    'weights need not add up to 1. With `profile = "tabulated"` the height of the beam follows '
    "`profile_um` and `profile_intensity`, and `height_fwhm_um` has no meaning. A uniform "
    "divergence is cut by `divergence_vertical_clip_mrad` like a Gaussian one.",
    "objective": "Give the angles that pass, or a `lens` that they are computed from at the photon "
    "energy; angles beside a lens override it ([what the lens does](../explanation/lens.md)). The "
    "computed `aperture_mrad` is the largest angle that clears the rims of all lenslets, which is "
    "less than the angle D / 2 d1 of the entrance that the default quotes. Lengths of a stop are "
    "those in the back focal plane of the lens, or of the ID06 lens (266.24 mm/rad at 17 keV) "
    "where none is given.",
    "acceptance": '`rays`, `bins` and `seed` are those of "ray-trace", which makes a table like '
    "that of `weakbeam bootstrap` in memory.",
    "camera": "Give `pixel_nm`, or `camera_pixel_um` and `magnification`; the pixel in the object "
    "plane is then their quotient.",
    "defects": "Each is a table of its own, `[[defects]]`, of one of these kinds, which mix freely "
    "([how to describe defects](../how-to/defects.md)). Without any, the file describes the "
    "default: `plane = [1, 1, 1]`, `burgers = [1, 0, -1]`, `line = [1, -2, 1]`, a pure edge "
    "dislocation. Give `line`, or `angle_deg` with `plane`: the angle between Burgers vector b and "
    "line t, 0 for a screw along b, 90 for an edge along b × n, n being the normal of the plane; "
    "a negative angle is the other line of the plane at that angle. `character_deg` is the same "
    "counted from edge: 60° dislocations have `angle_deg = 60` or `character_deg = 30`. The "
    "Burgers vector must be a lattice vector unless `partial = true`.",
    "scan": "Each motor is a table: `[scan.phi]`, `[scan.chi]`, `[scan.two_theta]`, "
    "`[scan.strain]` "
    "in mrad, `[scan.z]` in um. A `mode` names the motors that move, over usual ranges unless"
    " their tables say otherwise. In a strain scan phi turns by -two_theta/2 along with the "
    "arm, so that only the lattice spacing is scanned. With `continuous = true` the fastest "
    "motor moves on by one step during each exposure, and frames are averages over the way. "
    'With `order = "zigzag"` every second row of two motors runs backwards. A'
    " motor takes one of three forms: it stands at `value_*`; it moves over `half_range_*` to"
    " either side of `center_*` in `steps` positions, both ends included (one step: the "
    "centre alone); or it visits the list `values_*`. A motor that is absent stands at 0. The"
    " sign of chi is the published one, left-handed about x; two_theta is positive towards "
    "larger angles.",
    "compatibility": "Absent in an experiment of one's own. `dfxm_geo_projection` needs the "
    "symmetric geometry, a Gaussian beam, and images of N columns and N // 3 rows ([how to "
    "reproduce images of dfxm-geo](../how-to/from-dfxm-geo.md)).",
    "identify": "`weakbeam identify generate` makes a library of all types of dislocations, or a "
    "training set with several of them in each image, in place of the experiment's own defects "
    "([how to](../how-to/identify-library.md)). Other commands ignore this table. Without it a "
    "library with the defaults is made. Each key of `[identify.vary]` is a range "
    "`[lowest, highest]` from which every image of a training set takes a value.",
}


_HEADING = ("| key | default | allowed | meaning |", "|---|---|---|---|")


def experiment_reference() -> str:
    """Return the reference page of the experiment file as Markdown."""
    templates = "\n".join(f"- `{t.name}.toml`: {t.description}" for t in TEMPLATES.values())
    presets = "\n".join(f"| `{n}` | {_first_comment(preset_text(n))} |" for n in preset_names())
    preset = Experiment.model_fields["preset"].description
    parts = [_INTRODUCTION.format(templates=templates, preset=preset, presets=presets)]
    for name, field in Experiment.model_fields.items():
        if name == "preset":
            continue
        title = f"[[{name}]]" if name in ("defects", "reflections") else f"[{name}]"
        text = f"{field.description} {_NOTES.get(name, '')}".strip()
        parts.append(f"## `{title}`\n\n{text}\n")
        if name == "reflections":
            continue
        tables = nested_tables(field.annotation)
        if len(tables) > 1:
            lines = [line for kind in tables for line in _kind(f"[[{name}]]", kind)][1:]
            lines[0] += "; this is the kind of a table that names none"
        else:
            lines = _subtables(name, tables[0]) or [*_keys(tables[0]), *_kinds(name, tables[0])]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _keys(table: type[Schema]) -> list[str]:
    """Return the lines of a Markdown table of keys; the kind of a variant is not among them."""
    lines = [*_HEADING]
    for name, field in table.model_fields.items():
        if name == "kind" and issubclass(table, Variant):
            continue
        lines.append(_row(name, field))
        tables = nested_tables(field.annotation)
        if len(tables) == 1:
            lines += (_row(f"{name}.{key}", f) for key, f in tables[0].model_fields.items())
    return lines


def _kinds(name: str, table: type[Schema]) -> list[str]:
    """Return lines on the keys that hold a table of one of several kinds."""
    lines = []
    for key, field in table.model_fields.items():
        for table in nested_tables(field.annotation):
            if issubclass(table, Variant):
                lines += _kind(f"[{name}.{key}]", table)
    return lines


def _kind(title: str, table: type[Schema]) -> list[str]:
    """Return lines on one kind of table under a title."""
    assert issubclass(table, Variant)
    kind = table.model_fields["kind"]
    said = f'`{title}` with `kind = "{table.kind_name()}"`: {kind.description}'
    return ["", said, "", *_keys(table)]


def _first_comment(text: str) -> str:
    """Return the comment at the top of a TOML file as one line."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def _subtables(name: str, table: type[Schema]) -> list[str]:
    """Return lines on the tables within a table: each by itself, then the keys of each kind."""
    kinds: dict[type[Schema], list[str]] = {}
    plain = {k: f for k, f in table.model_fields.items() if nested_table(f.annotation) is None}
    if 2 * len(plain) > len(table.model_fields):
        return []
    lines = [*_HEADING, *(_row(key, field) for key, field in plain.items()), ""] if plain else []
    lines += ["| table | default | meaning |", "|---|---|---|"]
    for key, field in table.model_fields.items():
        if key in plain:
            continue
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

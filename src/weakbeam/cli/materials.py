"""``weakbeam materials``: the crystals that are known by name, and what may be asked of each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.options import Number

if TYPE_CHECKING:
    from weakbeam.crystal.materials import Material

_REFLECTIONS = 6
"""Families of reflections that are told of a material."""

_THETA_MAX_DEG = 40.0


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--energy",
    type=Number(1.0, 1000.0),
    default=17.0,
    show_default=True,
    metavar="KEV",
    help="Photon energy for the Bragg angles.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def materials(names: tuple[str, ...], energy: float, as_json: bool) -> None:
    """List the materials that crystal.material names, and what each may be asked for.

    NAME is a symbol, an English name, or a structure such as hcp. Of what it names, slip families,
    elastic constants, sources and the first reflections are told; without one, all are listed.

    \b
    Examples:
      weakbeam materials
      weakbeam materials copper
      weakbeam materials hcp --energy 19.1
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.crystal.materials import MATERIALS, find_materials
    from weakbeam.errors import naming

    chosen: dict[str, Material] = {}
    for name in names:
        with naming("NAME", name):
            chosen |= {entry.name: entry for entry in find_materials(name)}
    listed = [*(chosen or MATERIALS).values()]
    if as_json:
        click.echo(json.dumps([_record(entry, energy) for entry in listed], indent=2))
        return
    for line in _table(listed):
        click.echo(line)
    for entry in chosen.values():
        click.echo()
        for line in _details(entry, energy):
            click.echo(line)
    if not chosen:
        from weakbeam.instrument.matter import SUBSTANCES

        click.echo()
        for line in _slip(listed):
            click.echo(line)
        click.echo(f"lenses and beam stops: {', '.join(SUBSTANCES)}")
        click.echo("weakbeam materials NAME tells slip families, constants and reflections")


def _table(listed: Sequence[Material]) -> list[str]:
    from weakbeam.core.material_names import NAMES

    head = ("name", "also", "structure", "space group", "a (Å)", "c (Å)", "ν")
    rows = [head]
    for entry in listed:
        cell = entry.cell
        rows.append(
            (
                entry.name,
                ", ".join(NAMES.get(entry.name, ())[:2]),
                entry.structure or "",
                entry.space_group,
                f"{cell.a:.4f}",
                f"{cell.c:.4f}" if cell.c != cell.a else "",
                f"{entry.poisson_ratio:g}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _slip(listed: Sequence[Material]) -> list[str]:
    """The slip families of the structures, those with the same together."""
    structures: dict[str, dict[str, None]] = {}
    for entry in listed:
        if entry.structure is not None:
            structures.setdefault(", ".join(_families(entry)), {})[entry.structure] = None
    return [
        f"slip families of {', '.join(names)}: {families}" for families, names in structures.items()
    ]


def _details(entry: Material, energy: float) -> list[str]:
    from weakbeam.crystal.stiffness import averages, zener_ratio

    constants = ", ".join(f"{name} {value:g}" for name, value in entry.stiffness.items())
    cell, stiffness, ratio = entry.source.split("; ")
    matrix = entry.stiffness_matrix
    anisotropy = f"universal {averages(matrix).universal_anisotropy:.2g}"
    if (zener := zener_ratio(matrix)) is not None:
        anisotropy = f"Zener ratio {zener:.3g}, {anisotropy}"
    lines = [
        f'material = "{entry.name}"  {entry.space_group}',
        f"  stiffness (GPa)  {constants}",
        f'  anisotropy       {anisotropy}; crystal.elasticity = "anisotropic" takes it',
        f"  sources          cell {cell}; stiffness {stiffness}; Poisson ratio {ratio}",
    ]
    for name, count in _families(entry).items():
        lines.append(f'  slip family      "{name}", {count} systems')
    for family in _reflections(entry, energy):
        shown = " ".join(map(str, family["hkl"]))
        lines.append(
            f'  reflection       hkl = "{shown}"  d {family["d_angstrom"]:.4f} Å, '
            f"θ {family['theta_deg']:.3f}° at {energy:g} keV, |F| {family['structure_factor']:.3g}"
        )
    return lines


def _families(entry: Material) -> dict[str, int]:
    """The slip families of a material, and how many systems each has."""
    from weakbeam.crystal.slip import slip_families

    if entry.structure is None:
        return {}
    return {name: len(systems) for name, systems in slip_families(entry.structure).items()}


def _reflections(entry: Material, energy: float) -> list[dict[str, Any]]:
    """The first families of reflections, by their Bragg angle."""
    from weakbeam.diffraction.reachable import find_reflections

    rows = find_reflections(
        entry.cell, entry.space_group, energy, math.radians(_THETA_MAX_DEG), sites=entry.sites
    )
    families: dict[tuple[float, float], list[Any]] = {}
    for row in sorted(rows, key=lambda row: row.theta):
        alike = (round(row.theta, 7), round(row.structure_factor or 0.0, 3))
        families.setdefault(alike, []).append(row)
    found = []
    for members in [*families.values()][:_REFLECTIONS]:
        row = max(members, key=lambda row: (sum(index >= 0 for index in row.hkl), row.hkl))
        h, k, last = row.hkl
        hexagonal = entry.cell.gamma == 120.0
        found.append(
            {
                "hkl": [h, k, -h - k, last] if hexagonal else [h, k, last],
                "d_angstrom": row.d_spacing,
                "theta_deg": math.degrees(row.theta),
                "structure_factor": row.structure_factor or 0.0,
            }
        )
    return found


def _record(entry: Material, energy: float) -> dict[str, Any]:
    from weakbeam.core.material_names import NAMES

    return {
        "name": entry.name,
        "names": [*NAMES.get(entry.name, ())],
        "structure": entry.structure,
        "space_group": entry.space_group,
        "a_angstrom": entry.cell.a,
        "c_angstrom": entry.cell.c,
        "poisson_ratio": entry.poisson_ratio,
        "stiffness_GPa": {**entry.stiffness},
        "slip_families": _families(entry),
        "reflections": _reflections(entry, energy),
        "source": entry.source,
    }

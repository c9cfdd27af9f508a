"""``weakbeam convert``: experiments from files of dfxm-geo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import output_option, text_with_flags, with_flags
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.compat.conversion import Conversion
    from weakbeam.compat.keys import Notes

_NAMES = 3
"""Files that are named of those which a note is about."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_option("Write the experiment there, a folder for a folder.  [default: print it]")
@click.option(
    "--reproduce",
    is_flag=True,
    help="Take projection, Burgers vectors and cores of dfxm-geo, too, to compare images.",
)
@click.option(
    "--overwrite", "--force", "overwrite", is_flag=True, help="Replace files that are there."
)
@click.option("-v", "--verbose", is_flag=True, help="Tell why each key is ignored.")
@click.option("-q", "--quiet", is_flag=True, help="Do not tell what changes.")
def convert(
    file: Path, output: Path | None, reproduce: bool, overwrite: bool, verbose: bool, quiet: bool
) -> None:
    """Turn a TOML file of dfxm-geo, 2.x or 3.x, or a folder of them into experiments.

    What changes the image is told first on stderr, then what is the same in another form, then the
    keys that are ignored. Of a folder all files of dfxm-geo are converted, in its folders, too, and
    none is written unless all can be.

    \b
    Examples:
      weakbeam convert configs/default.toml -o experiment.toml
      weakbeam convert configs/default.toml --reproduce > as-before.toml
      weakbeam convert configs -o experiments
    """  # noqa: D301 (click needs the character \b itself)
    if file.is_dir():
        _convert_folder(file, output, reproduce, overwrite, verbose, quiet)
        return
    conversion = _converted(file, reproduce)
    if conversion is None:
        raise InputError(str(file), None, "has no key of dfxm-geo; it may be an experiment already")
    if output is not None:
        _claim(output, file, overwrite)
    # What physics refuses is told before anything is written.
    _check(conversion)
    if not quiet:
        _tell(conversion.notes.grouped(reasons=verbose))
    if output is None:
        click.echo(_text(conversion, file, Path.cwd()).rstrip())
        return
    _write(conversion, file, output)


def _convert_folder(
    folder: Path, output: Path | None, reproduce: bool, overwrite: bool, verbose: bool, quiet: bool
) -> None:
    from weakbeam.io.targets import claim_folder

    if output is None:
        raise InputError("--output", None, "missing; a folder is converted into another one")
    claim_folder(output, key="--output")
    done: dict[Path, Conversion] = {}
    failed: list[str] = []
    others: list[str] = []
    inside = os.path.realpath(output)
    for file in sorted(folder.rglob("*.toml")):
        name = file.relative_to(folder)
        if os.path.realpath(file).startswith(f"{inside}{os.sep}"):
            continue
        try:
            conversion = _converted(file, reproduce)
            if conversion is None:
                others.append(str(name))
                continue
            _claim(output / name, file, overwrite)
            _check(conversion)
            done[name] = conversion
        except InputError as error:
            failed.append(f"{name}: {with_flags(error)}")
    for line in failed:
        click.echo(f"weakbeam: {line}", err=True)
    if not done and not failed:
        raise InputError(str(folder), None, "holds no file of dfxm-geo")
    if failed:
        files = "file" if len(failed) == 1 else "files"
        allowed = f"{len(failed)} {files} cannot be converted; nothing was written"
        raise InputError(str(folder), None, allowed)
    if not quiet:
        _tell(_common({str(name): found.notes for name, found in done.items()}, verbose))
        if others:
            _tell([f"not of dfxm-geo, and left out: {_few(others)}"])
    for name, conversion in done.items():
        _write(conversion, folder / name, output / name)


def _converted(file: Path, reproduce: bool) -> Conversion | None:
    from weakbeam.compat.conversion import convert as converted
    from weakbeam.compat.conversion import is_dfxm_geo
    from weakbeam.experiment.toml_text import read_toml

    data = read_toml(file)
    return converted(data, reproduce=reproduce, folder=file.parent) if is_dfxm_geo(data) else None


def _check(conversion: Conversion) -> None:
    from weakbeam.assemble import assemble_all

    assemble_all(conversion.experiment)


def _claim(output: Path, file: Path, overwrite: bool) -> None:
    from weakbeam.io.targets import EXPERIMENT, claim

    advice = "`overwrite` replaces it"
    claim(output, EXPERIMENT, overwrite=overwrite, inputs=[file], advice=advice)


def _text(conversion: Conversion, file: Path, folder: Path) -> str:
    notes = conversion.notes
    told = [f"# {note}" for note in (*notes.changes, *notes.restated)]
    return "\n".join([f"# Converted from {file.name}.", *told, "", conversion.toml_in(folder)])


def _write(conversion: Conversion, file: Path, output: Path) -> None:
    from weakbeam.io.targets import place_bytes

    place_bytes(output, _text(conversion, file, output.parent).encode())
    click.echo(f"wrote {output}")


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"note: {text_with_flags(line)}", err=True)


def _common(notes: Mapping[str, Notes], reasons: bool) -> list[str]:
    """The notes of many files, each once with the files that it is about."""
    from weakbeam.compat.keys import Notes

    together = Notes()
    files: dict[str, list[str]] = {}
    for name, own in notes.items():
        for line in own.lines:
            files.setdefault(line, []).append(name)
        for kind in ("changes", "restated", "unknown", "ignored"):
            known = getattr(together, kind)
            known += [line for line in getattr(own, kind) if line not in known]
    about = {
        line: "" if len(names) == len(notes) else f"  ({_few(names)})"
        for line, names in files.items()
    }
    for kind in ("changes", "restated", "unknown", *(["ignored"] if reasons else [])):
        setattr(together, kind, [f"{line}{about[line]}" for line in getattr(together, kind)])
    return together.grouped(reasons)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more

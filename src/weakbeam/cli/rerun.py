"""``weakbeam rerun``: repeat a run from its own file, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    folder_option,
    naming_flags,
    overwrite_option,
    quiet_option,
    workers_option,
)
from weakbeam.errors import RunError

if TYPE_CHECKING:
    from weakbeam.rerun import Rerun

_NAMES = 5
"""Names that are printed of a long list."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@folder_option("Keep the repeated run in this folder.  [default: nothing is kept]")
@overwrite_option("a run that is there")
@workers_option
@click.option(
    "--requirements",
    is_flag=True,
    help="Only print the versions with which the file was made, for pip install -r.",
)
@quiet_option
def rerun(
    file: Path,
    output: Path | None,
    overwrite: bool,
    workers: int | None,
    requirements: bool,
    quiet: bool,
) -> None:
    """Repeat a run from the experiment and the seeds in its own file, and compare.

    FILE is the file of a run, of a library or training set, or its folder, or the file of images of
    a sweep. Frames are compared bit for bit; versions and inputs that are not as they were are
    listed. The status is 1 where something differs.

    \b
    Examples:
      weakbeam rerun weak-beam
      weakbeam rerun weak-beam/weakbeam.h5 --requirements > requirements.txt
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.rerun import repeated_amount, repeated_file
    from weakbeam.rerun import rerun as repeat

    file = repeated_file(file)
    if requirements:
        _print_requirements(file)
        return
    try:
        flags = naming_flags(folder="--output")
        with flags, progress(repeated_amount(file), "frame", "repeating", quiet) as update:
            result = repeat(file, output, overwrite=overwrite, workers=workers, progress=update)
    except KeyboardInterrupt:
        raise click.Abort from None
    if not quiet:
        _print(result)
    if not result.is_identical:
        raise RunError(_difference(result))


def _print_requirements(file: Path) -> None:
    from weakbeam.io.file_comparison import read_provenance
    from weakbeam.io.provenance import requirements

    origin = read_provenance(file)
    python = origin.environment.get("python", "unknown")
    click.echo(f"# Python {python} on {origin.environment.get('platform', 'an unknown platform')}")
    click.echo(requirements(origin.version, origin.environment), nl=False)


def _print(result: Rerun) -> None:
    for change in result.versions:
        click.echo(f"{change.name}: {change.then} then, {change.now} now")
    for change in result.inputs:
        click.echo(f"{change.name}: is not the file that it was (SHA-256 {change.then[:12]}… then)")
    for original in result.originals:
        state = "is gone" if original.is_gone else "is not the file that it was"
        click.echo(f"{original.name}: {state}; the copy beside the images is")
    if result.missing:
        click.echo(f"{result.file}: lacks {result.missing} frames, as its run ended early")
    if not result.compared:
        click.echo(f"{result.file}: no frames to compare")
    elif not result.differing:
        count = f"{result.compared} frames" if result.compared > 1 else "one frame"
        click.echo(f"{result.file}: {count}, the same bit for bit")


def _difference(result: Rerun) -> str:
    """What is not the same, in a line: the reason for the status 1."""
    parts = []
    if result.differing:
        largest = max(entry.largest for entry in result.frames)
        brightest = max(entry.brightest for entry in result.frames)
        parts.append(
            f"{result.differing} of {result.compared} frames differ, by {largest:.3g} at most; "
            f"the brightest pixel has {brightest:.3g}"
        )
    if result.others:
        names = ", ".join(result.others[:_NAMES])
        more = f" and {len(result.others) - _NAMES} more" if len(result.others) > _NAMES else ""
        parts.append(f"differs in {names}{more}")
    return f"{result.file}: {'; '.join(parts)}"

"""``weakbeam sweep``: many experiments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.groups import CommandGroup
from weakbeam.cli.options import folder_option, naming_flags, overwrite_option
from weakbeam.errors import InputError, RunError

if TYPE_CHECKING:
    from weakbeam.batch.manifest import Sweep
    from weakbeam.batch.run import Part, Summary
    from weakbeam.experiment.sweep import ExecutorOptions

_REASONS = 5
"""Reasons of failures that are printed."""


class _SweepGroup(CommandGroup):
    """``weakbeam sweep MANIFEST`` is short for ``weakbeam sweep run MANIFEST``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_SweepGroup)
def sweep() -> None:
    """Simulate many experiments, on one machine or on many.

    A manifest (TOML) tells a base experiment and what varies in it; weakbeam init --template sweep
    writes one. "weakbeam sweep MANIFEST" is short for "weakbeam sweep run MANIFEST".

    \b
    Examples:
      weakbeam sweep energies.toml -o energies
      weakbeam sweep status energies
    """  # noqa: D301 (click needs the character \b itself)


@sweep.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@folder_option("Folder for the images and their tables.", "weakbeam-sweep")
@click.option(
    "--executor",
    type=click.Choice(["local", "dask", "slurm", "lsf"]),
    help="Where to compute.  [default: as the manifest says]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes, or jobs of a cluster.  [default: all cores, or 1 job]",
)
@click.option(
    "--part",
    metavar="K/N",
    help="Compute the K-th of N equal parts, as a job of an array.",
)
@click.option("--resume", is_flag=True, help="Go on with a sweep, or extend it.")
@overwrite_option("a sweep that is there")
@click.option("--yes", is_flag=True, help="Start also what has more than a million tasks.")
@click.option("--dry-run", is_flag=True, help="Only print what the sweep is.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def run(
    manifest: Path,
    output: Path,
    executor: str | None,
    workers: int | None,
    part: str | None,
    resume: bool,
    overwrite: bool,
    yes: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Simulate the experiments that a manifest describes.

    What is complete is never computed again, and the files do not depend on where they are
    computed. The exit status is 1 if any task has no images at the end.

    \b
    Examples:
      weakbeam sweep run energies.toml -o energies
      weakbeam sweep run energies.toml -o energies --executor slurm --workers 20
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.batch.manifest import read_sweep

    described = read_sweep(manifest)
    options = _options(described, executor, workers)
    share = _part(part)
    if dry_run:
        _print_plan(described)
        return
    _ask(manifest, described, yes)
    _name_what_is_outside(manifest, described, options)
    _run(described, output, options, resume, overwrite, share, quiet)


@sweep.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Read every byte of the files.")
def status(folder: Path, check: bool) -> None:
    """Tell how the sweep in a folder stands.

    The exit status is 1 if files are damaged or missing that were complete.

    \b
    Example:
      weakbeam sweep status energies
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.batch.status import sweep_status

    standing = sweep_status(folder, check)
    click.echo(f"tasks    {standing.tasks}")
    click.echo(f"done     {standing.done}")
    click.echo(f"failed   {standing.failed}")
    click.echo(f"missing  {standing.missing}")
    click.echo(f"files    {standing.complete} of {standing.files} complete")
    for holder in standing.running:
        click.echo(f"running  {holder}")
    for reason, count in list(standing.reasons.items())[:_REASONS]:
        click.echo(f"{count} x  {reason}")
    if len(standing.reasons) > _REASONS:
        click.echo(f"and {len(standing.reasons) - _REASONS} other reasons, see tasks.csv")
    lost = dict.fromkeys([*standing.damaged, *(Path(name).name for name in standing.unreadable)])
    if lost:
        first = ", ".join(list(lost)[:3])
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        # --resume looks at the lengths of files only.
        repair = "remove them, and --resume" if check and standing.damaged else "--resume"
        raise RunError(f"damaged or missing: {first}{more}; {repair} computes them again")


def _options(described: Sweep, executor: str | None, workers: int | None) -> ExecutorOptions:
    given: dict[str, Any] = {"kind": executor, "workers": workers}
    return described.manifest.executor.model_copy(
        update={key: value for key, value in given.items() if value is not None}
    )


def _part(text: str | None) -> Part:
    from weakbeam.batch.run import Part

    if text is None:
        return Part()
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError("--part", text, "must be K/N with K from 1 to N, such as 3/8")
    return Part(int(match[1]), int(match[2]))


def _ask(manifest: Path, described: Sweep, yes: bool) -> None:
    from weakbeam.batch.run import MANY_TASKS

    if described.count > MANY_TASKS and not yes:
        raise InputError(
            str(manifest), None, f"describes {described.count} tasks; --yes starts so many"
        )


def _name_what_is_outside(manifest: Path, described: Sweep, options: ExecutorOptions) -> None:
    """Tell which files and commands a manifest, which may come from anybody, brings in."""
    from weakbeam.core.notices import notice
    from weakbeam.experiment import Experiment
    from weakbeam.experiment.files import files_named, keys_of_files
    from weakbeam.io.file_walk import outside_of

    named = dict(files_named(described.base))
    for axis in described.manifest.axes:
        for number, key in enumerate(axis.names):
            if axis.values is not None and key.rpartition(".")[2] in keys_of_files(Experiment):
                values = [axis.at(place)[number] for place in range(axis.count)]
                named |= {f"{key}, value {k}": str(v) for k, v in enumerate(values, 1)}
    if described.manifest.base is not None:
        named["base"] = described.manifest.base
    for key, name in named.items():
        if [*outside_of(manifest.parent, [name])]:
            notice(f"{manifest} reads the file {name} ({key}), outside its folder")
    for line in options.prologue if options.kind != "local" else ():
        notice(f"{manifest} runs in every job: {line}")


def _frames_per_task(described: Sweep) -> int:
    base = described.base
    return base.scan.frames * len(base.reflections or (base.reflection,))


def _print_plan(described: Sweep) -> None:
    camera = described.base.camera.pixels
    frames_per_task = _frames_per_task(described)
    click.echo(described.to_toml().rstrip())
    click.echo()
    click.echo(f"# tasks    {described.count}")
    click.echo(f"# files    {described.shards} of {described.tasks_per_shard} tasks")
    click.echo(
        f"# images   {described.count * frames_per_task} of {camera[0]} x {camera[1]} pixels"
    )
    size = 4.0 * described.count * frames_per_task * camera[0] * camera[1]
    click.echo(f"# disk     at most about {size / 1e9:.2g} GB")
    for task in (described.task(0), described.task(described.count - 1)):
        shown = ", ".join(f"{key} = {_rounded(value)}" for key, value in task.settings.items())
        click.echo(f"# task {task.number}: {shown}")


def _rounded(value: Any) -> Any:
    """A value without what rounding has left in the last digits."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _run(
    described: Sweep,
    output: Path,
    options: ExecutorOptions,
    resume: bool,
    overwrite: bool,
    part: Part,
    quiet: bool,
) -> None:
    import time
    from contextlib import closing

    from weakbeam.batch.index import INDEX, TABLE
    from weakbeam.batch.run import run_sweep
    from weakbeam.cli.sweep_table import LiveTable, duration
    from weakbeam.core.interrupts import telling_interrupts

    start = time.monotonic()
    table = LiveTable(part.tasks(described), _frames_per_task(described), quiet)
    try:
        flags = naming_flags(executor="--executor")
        with telling_interrupts(), flags, closing(table):
            summary = run_sweep(
                described,
                output,
                options,
                resume=resume,
                overwrite=overwrite,
                part=part,
                watch=table,
            )
    except KeyboardInterrupt:
        click.echo("weakbeam: interrupted; --resume goes on with the sweep", err=True)
        raise click.exceptions.Exit(130) from None
    if not quiet:
        took = duration(time.monotonic() - start)
        failed = f", {len(summary.failures)} failed" if summary.failures else ""
        click.echo(f"{output}: {summary.done} of {summary.tasks} tasks done{failed}; {took}")
        for name in (TABLE, INDEX):
            if (output / name).exists():
                click.echo(str(output / name))
    own = [failure for failure in summary.failures if part.holds(described, failure.number)]
    for failure in own[:_REASONS]:
        click.echo(f"weakbeam: task {failure.number}: {failure.reason}", err=True)
    _tell_end(summary, len(own), part.tasks(described), output / TABLE, part)


def _tell_end(summary: Summary, failed: int, tasks: int, table: Path, part: Part) -> None:
    """End with a line if any task has no images."""
    if summary.lost:
        raise RunError(
            f"{len(summary.lost)} files could not be computed ({summary.lost[0].reason}); "
            "--resume tries again"
        )
    if failed:
        raise RunError(f"{failed} of {tasks} tasks failed; {table} tells why")
    if summary.missing and part.of == 1:
        raise RunError(f"{summary.missing} tasks are missing; --resume computes them")

"""``weakbeam forward``: simulate an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    duration,
    experiment_of,
    experiment_options,
    folder_option,
    overwrite_option,
    quiet_option,
    workers_option,
)

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment


@click.command()
@experiment_options
@folder_option("Folder for the images, the experiment and the figures.", "weakbeam-run")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the noise, for camera.seed.")
@workers_option
@click.option("--dry-run", is_flag=True, help="Only print the experiment and what it would take.")
@click.option("--resume", is_flag=True, help="Go on with a run that ended early.")
@overwrite_option("a run that is there")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@quiet_option
def forward(
    config: Path | None,
    output: Path,
    settings: tuple[str, ...],
    seed: int | None,
    workers: int | None,
    dry_run: bool,
    resume: bool,
    overwrite: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Simulate an experiment; without one, the default: a dislocation in aluminium.

    \b
    Examples:
      weakbeam forward -o first-image
      weakbeam forward -c weak-beam.toml -o weak-beam --set scan.phi.value_mrad=0.14
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.errors import InputError

    if resume and overwrite:
        raise InputError("--resume", None, "cannot go with --overwrite; choose one")
    if seed is not None:
        settings = (*settings, f"camera.seed={seed}")
    experiment = experiment_of(config, settings)
    if config is not None and not resume:
        _keep_what_is_read(config, experiment, output)
    if dry_run:
        _print_plan(experiment, output, workers)
        return
    _simulate(experiment, output, workers, resume, overwrite, verbose, quiet)


def _keep_what_is_read(config: Path, experiment: Experiment, output: Path) -> None:
    """Refuse to write another experiment over the file from which this one was read."""
    from weakbeam.io.targets import claim_place
    from weakbeam.run.folder import EXPERIMENT_FILE

    beside = output / EXPERIMENT_FILE
    if not beside.is_file():
        return
    from weakbeam.run.kept_inputs import text_in

    if beside.read_bytes() != text_in(experiment, output).encode():
        claim_place(beside, inputs=[config])


def _print_plan(experiment: Experiment, output: Path, workers: int | None) -> None:
    from weakbeam.assemble import assemble_all, resolve
    from weakbeam.run.defect_lines import defect_lines
    from weakbeam.run.estimate import FieldParts, check_resources, estimate, lit_share_of
    from weakbeam.run.reflection_rows import reflection_rows, reflection_table, validity_notes

    resolved = resolve(experiment)
    check_resources(resolved, output, workers)
    setups = assemble_all(resolved)
    lit = sum(map(lit_share_of, setups)) / len(setups)
    defects = setups[0].defects
    needs = estimate(resolved, workers, lit, FieldParts.of(defects))
    rows, columns = setups[0].detector.shape
    pixels = setups[0].grid.pixels
    click.echo(experiment.to_toml().rstrip())
    click.echo()
    for line in reflection_table(reflection_rows(setups)).splitlines():
        click.echo(f"# {line}")
    crystal = setups[0].crystal
    notes = [
        *crystal.elastic_lines,
        *crystal.notes,
        *(note for setup in setups for note in setup.notes),
    ]
    for note in [*defect_lines(defects), *notes, *validity_notes(setups)]:
        click.echo(f"# {note}")
    click.echo("#")
    click.echo(f"# frames   {needs.frames} of {rows} x {columns} pixels")
    click.echo(f"# rays     about {needs.rays / pixels:.0f} for each pixel")
    click.echo(f"# memory   about {needs.memory / 1e9:.2g} GB")
    click.echo(f"# disk     about {needs.disk / 1e9:.2g} GB")
    click.echo(f"# time     about {duration(needs.seconds)}")


def _simulate(
    experiment: Experiment,
    output: Path,
    workers: int | None,
    resume: bool,
    overwrite: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    import time

    from weakbeam.cli.progress import progress
    from weakbeam.core.interrupts import telling_interrupts
    from weakbeam.plot.drawing import Artist

    start = time.monotonic()
    try:
        with telling_interrupts(), Artist() as artist:
            if experiment.output.figures:
                artist.start()
            # After the start, so that two processes import their libraries side by side.
            from weakbeam.assemble import resolve

            resolved = resolve(experiment)
            twins = 2 if experiment.output.perfect_crystal else 1
            frames = experiment.scan.frames * twins * len(resolved.reflections)
            with progress(frames, "frame", "simulating", quiet) as update:
                from weakbeam.run.record import record

                result = record(
                    resolved,
                    output,
                    resume=resume,
                    overwrite=overwrite,
                    workers=workers,
                    progress=update,
                    artist=artist,
                )
    except KeyboardInterrupt:
        click.echo(f"weakbeam: interrupted; {_what_is_left(output)}", err=True)
        raise click.exceptions.Exit(130) from None
    if quiet:
        return
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    count = f"{frames} frames" if frames > 1 else "one image"
    if result.unchanged:
        click.echo(f"{result.file}: {count}, already complete; nothing has changed")
        return
    click.echo(f"{result.file}: {count} in {duration(time.monotonic() - start)}")
    if verbose:
        from weakbeam.run.reflection_rows import reflection_table

        click.echo(reflection_table(result.reflections))
        for path in result.figures:
            click.echo(str(path))
    elif result.figures:
        click.echo(f"{result.figures[0].parent}: {len(result.figures)} figures")


def _what_is_left(folder: Path) -> str:
    """What to do after Ctrl-C."""
    from weakbeam.errors import InputError
    from weakbeam.io.reading import frames_done, read_entry
    from weakbeam.run.folder import FILE

    file = folder / FILE
    try:
        done = frames_done(file).values()
        complete = read_entry(file).end_reason == "SUCCESS"
    except InputError:
        return "nothing was written"
    if complete:
        return f"{file} is complete, weakbeam show draws its figures"
    count = sum(int(frames.sum()) for frames in done)
    total = sum(frames.size for frames in done)
    return f"{file} has {count} of {total} frames, --resume goes on with it"

"""``weakbeam identify generate``: libraries of candidates, and training sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.options import (
    experiment_of,
    experiment_options,
    folder_option,
    naming_flags,
    overwrite_option,
    quiet_option,
    workers_option,
)

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment


class Shares(click.ParamType):  # type: ignore[type-arg]
    """Three numbers with slashes between them, as the value of a key."""

    name = "shares"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Write them as a list; what it may hold the key itself tells."""
        try:
            return str([float(share) for share in str(value).split("/")])
        except ValueError:
            self.fail(f"{value!r} is not three numbers, such as 0.8/0.1/0.1.", param, ctx)


@click.command()
@experiment_options
@folder_option("Folder for the images and the experiment.", "library")
@click.option(
    "--mode",
    type=click.Choice(["single", "z-scan", "multi"]),
    help="For identify.mode: a library, one over heights, or a training set.",
)
@click.option("--seed", type=click.IntRange(min=0), help="For identify.seed and camera.seed.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["hdf5", "webdataset", "zarr"]),
    help="For identify.format: how a training set is stored.",
)
@click.option(
    "--split",
    type=Shares(),
    metavar="A/B/C",
    help="For identify.split: shares to train, validate and test with, such as 0.8/0.1/0.1.",
)
@workers_option
@click.option("--dry-run", is_flag=True, help="Only print the experiment and what it would take.")
@click.option("--resume", is_flag=True, help="Go on with a training set that ended early.")
@overwrite_option("a library or training set that is there")
@quiet_option
def generate(
    config: Path | None,
    output: Path,
    settings: tuple[str, ...],
    mode: str | None,
    seed: int | None,
    file_format: str | None,
    split: str | None,
    workers: int | None,
    dry_run: bool,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Make images of all candidates of an experiment, or a training set of several in each.

    The table [identify] of the experiment says which; without it, all slip systems of the crystal
    with characters in steps of 10 degrees, one image each.

    \b
    Examples:
      weakbeam identify generate -c weak-beam.toml -o library
      weakbeam identify generate --mode multi --set identify.images=100 -o training
      weakbeam identify generate -c training.toml --format webdataset --split 0.8/0.1/0.1 -o set
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.errors import InputError

    if resume and overwrite:
        raise InputError("--resume", None, "cannot go with --overwrite; choose one")
    if mode is not None:
        settings = (*settings, f"identify.mode={mode}")
    if seed is not None:
        settings = (*settings, f"identify.seed={seed}", f"camera.seed={seed}")
    if file_format is not None:
        settings = (*settings, f"identify.format={file_format}")
    if split is not None:
        settings = (*settings, f"identify.split={split}")
    experiment = experiment_of(config, settings)
    with naming_flags(folder="--output"):
        if dry_run:
            _print_plan(experiment, workers)
        else:
            _make(experiment, output, overwrite, resume, workers, quiet)


def _make(
    experiment: Experiment,
    output: Path,
    overwrite: bool,
    resume: bool,
    workers: int | None,
    quiet: bool,
) -> None:
    import time

    from weakbeam.cli.progress import progress
    from weakbeam.identify.library.writing import count_images, generate_images

    start = time.monotonic()
    total, done = count_images(experiment), 0.0
    try:
        with progress(total, "image", "simulating", quiet) as update:

            def tell(amount: float) -> None:
                nonlocal done
                done += amount
                update(amount)

            result = generate_images(
                experiment,
                output,
                overwrite=overwrite,
                resume=resume,
                workers=workers,
                progress=tell,
            )
    except KeyboardInterrupt:
        is_training = experiment.identify is not None and experiment.identify.is_training
        kept = f"{done:.0f} of {total} images were made, --resume goes on with them"
        left = kept if is_training and done else "nothing was written"
        click.echo(f"weakbeam: interrupted; {left}", err=True)
        raise click.exceptions.Exit(130) from None
    if quiet:
        return
    seconds = time.monotonic() - start
    if result.made == 0:
        click.echo(f"{result.file}: {result.summary}, already complete; nothing has changed")
        return
    if result.hidden:
        click.echo(
            f"{result.hidden} of {result.images} cannot be seen under these conditions; they are "
            "marked in the table of members"
        )
    made = result.images if result.made is None else result.made
    told = "" if made == result.images else f" ({made} now)"
    click.echo(
        f"{result.file}: {result.summary}{told} in {seconds:.1f} s, {made / seconds:.3g} images/s, "
        f"{result.bytes / 1e6:.3g} MB"
    )


def _print_plan(experiment: Experiment, workers: int | None) -> None:
    from weakbeam.cli.options import duration
    from weakbeam.identify.library.estimate import estimate_images

    needs = estimate_images(experiment, workers)
    click.echo(experiment.to_toml().rstrip())
    click.echo("\n#")
    rows, columns = needs.shape
    frames = f", {needs.conditions} frames each" if needs.conditions > 1 else ""
    click.echo(f"# images   {needs.images} of {rows} x {columns} pixels{frames}")
    classes = "" if needs.classes is None else f", {needs.classes} classes of equal images"
    click.echo(f"# types    {needs.types} types of dislocations, {needs.visible} visible{classes}")
    if needs.parts:
        parts = ", ".join(f"{count} to {use}" for use, count in needs.parts.items())
        click.echo(f"# split    {parts}")
    if needs.shards:
        click.echo(f"# files    {needs.shards} shards")
    click.echo(f"# disk     about {needs.disk / 1e9:.2g} GB")
    click.echo(f"# time     about {duration(needs.seconds)}")

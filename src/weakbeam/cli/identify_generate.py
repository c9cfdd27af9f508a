"""``weakbeam identify generate``: libraries of candidates, and training sets."""

from __future__ import annotations

from pathlib import Path

import click

from weakbeam.cli.options import (
    experiment_of,
    experiment_options,
    folder_option,
    naming_flags,
    workers_option,
)


@click.command()
@experiment_options
@folder_option("Folder for the images and the experiment.", "library")
@click.option(
    "--mode",
    type=click.Choice(["single", "z-scan", "multi"]),
    help="For identify.mode: a library, one over heights, or a training set.",
)
@click.option("--seed", type=click.IntRange(min=0), help="For identify.seed and camera.seed.")
@workers_option
@click.option("--overwrite", is_flag=True, help="Replace a library that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def generate(
    config: Path | None,
    output: Path,
    settings: tuple[str, ...],
    mode: str | None,
    seed: int | None,
    workers: int | None,
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
    """  # noqa: D301 (click needs the character \b itself)
    import time

    from weakbeam.cli.progress import progress

    if mode is not None:
        settings = (*settings, f"identify.mode={mode}")
    if seed is not None:
        settings = (*settings, f"identify.seed={seed}", f"camera.seed={seed}")
    experiment = experiment_of(config, settings)
    start = time.monotonic()
    from weakbeam.identify.library.writing import count_images, generate_images

    try:
        flags = naming_flags(folder="--output")
        with flags, progress(count_images(experiment), "image", "simulating", quiet) as update:
            result = generate_images(
                experiment, output, overwrite=overwrite, workers=workers, progress=update
            )
    except KeyboardInterrupt:
        raise click.Abort from None
    if quiet:
        return
    seconds = time.monotonic() - start
    click.echo(f"{result.file}: {result.summary} in {seconds:.1f} s")
    if result.hidden:
        click.echo(
            f"{result.hidden} of {result.images} cannot be seen under these conditions; they are "
            "marked in the table of members"
        )

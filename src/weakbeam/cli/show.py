"""``weakbeam show``: figures from an output file or a kernel."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the figures.  [default: figures beside the file]",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["png", "svg", "pdf"]),
    default="png",
    show_default=True,
    help="Format of the figures.",
)
@click.option(
    "--entry",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Detector scan N.1 of the file.",
)
def show(file: Path, output: Path | None, suffix: str, entry: int) -> None:
    """Draw the figures of an output file: image, rocking curve, acceptance, maps.

    Of a kernel from weakbeam bootstrap: slices and marginals against the closed form, and a cloud
    of 50,000 rays.

    \b
    Examples:
      weakbeam show first-image/weakbeam.h5 --format pdf
      weakbeam show kernel.h5
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.figures import draw_file, save_all
    from weakbeam.figures_instrument import draw_kernel
    from weakbeam.io.kernel_file import is_kernel

    folder = file.parent / "figures" if output is None else output
    figures = draw_kernel(file) if is_kernel(file) else draw_file(file, entry - 1)
    for path in save_all(figures, folder, f".{suffix}"):
        click.echo(str(path))

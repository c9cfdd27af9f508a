"""``weakbeam convert``: an experiment from a file of dfxm-geo."""

from __future__ import annotations

from pathlib import Path

import click

from weakbeam.cli.options import output_option, text_with_flags


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@output_option("Write the experiment there.  [default: print it]")
@click.option(
    "--reproduce",
    is_flag=True,
    help="Take projection, Burgers vectors and cores of dfxm-geo, too, to compare images.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Do not tell what changes.")
def convert(file: Path, output: Path | None, reproduce: bool, force: bool, quiet: bool) -> None:
    """Turn a TOML file of dfxm-geo, 2.x or 3.x, into an experiment.

    What changes in meaning, and every key that is ignored, is told in a line each on stderr.

    \b
    Examples:
      weakbeam convert configs/default.toml -o experiment.toml
      weakbeam convert configs/default.toml --reproduce > as-before.toml
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.assemble import assemble_all
    from weakbeam.compat.conversion import convert as converted
    from weakbeam.compat.conversion import is_dfxm_geo
    from weakbeam.errors import InputError
    from weakbeam.experiment.toml_text import read_toml
    from weakbeam.io.targets import EXPERIMENT, claim, place_bytes

    data = read_toml(file)
    if not is_dfxm_geo(data):
        raise InputError(str(file), None, "has no key of dfxm-geo; it may be an experiment already")
    conversion = converted(data, reproduce=reproduce, folder=file.parent)
    if output is not None:
        advice = "use --force or another --output"
        claim(output, EXPERIMENT, overwrite=force, inputs=[file], advice=advice)
    # What physics refuses is told before anything is written.
    assemble_all(conversion.experiment)
    if not quiet:
        for line in conversion.notes.lines:
            click.echo(f"note: {text_with_flags(line)}", err=True)
    comments = [f"# Converted from {file.name}.", *(f"# {n}" for n in conversion.notes.changes), ""]
    text = "\n".join([*comments, conversion.toml])
    if output is None:
        click.echo(text.rstrip())
        return
    place_bytes(output, text.encode())
    click.echo(f"wrote {output}")

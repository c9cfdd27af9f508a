"""``weakbeam init``: write commented experiments to start from."""

from __future__ import annotations

from pathlib import Path

import click

from weakbeam.cli.options import OutputPath


@click.command()
@click.option(
    "--dest",
    type=OutputPath(),
    default=Path("."),
    metavar="DIR",
    help="Folder for the files; made if it does not exist.  [default: the current one]",
)
@click.option(
    "--template",
    "names",
    multiple=True,
    metavar="NAME",
    help="Write this template; may be given several times.  [default: all experiments]",
)
@click.option("--overwrite", "--force", "force", is_flag=True, help="Replace files that are there.")
@click.option("--list", "list_only", is_flag=True, help="Only list the templates.")
def init(dest: Path, names: tuple[str, ...], force: bool, list_only: bool) -> None:
    """Write commented experiment files to start from, and files for sweeps.

    \b
    Examples:
      weakbeam init --dest my-experiment --template weak-beam
      weakbeam forward -c my-experiment/weak-beam.toml -o weak-beam
      weakbeam init --template sweep --template slurm
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.batch.scripts import SCRIPTS
    from weakbeam.experiment.templates import TEMPLATES

    if list_only:
        width = max(map(len, TEMPLATES))
        described = [(t.name, t.description) for t in TEMPLATES.values()]
        described += [(script.name, script.description) for script in SCRIPTS.values()]
        for name, description in described:
            click.echo(f"{name:<{width}}  {description}")
        return
    for path in write_templates(dest, names or tuple(TEMPLATES), force=force):
        click.echo(f"wrote {path}")


def write_templates(dest: Path, names: tuple[str, ...], *, force: bool = False) -> list[Path]:
    """Write templates into a folder.

    Parameters
    ----------
    dest : Path
        The folder; made if it does not exist.
    names : tuple of str
        Names of templates.
    force : bool
        Whether files that exist are overwritten.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If a name is unknown, or a file exists that is no template or, unless `force` is set, is one
        (nothing is written then), or the folder cannot be written to.
    """
    from weakbeam.batch.scripts import SCRIPTS
    from weakbeam.errors import InputError
    from weakbeam.experiment.templates import TEMPLATES
    from weakbeam.io.targets import TEMPLATE, claim, claim_folder, place_bytes

    known = (*TEMPLATES, *SCRIPTS)
    for name in names:
        if name not in known:
            raise InputError("--template", name, f"must be one of {', '.join(known)}")
    claim_folder(dest, key="--dest")
    files = {name: (f"{name}.toml", t.text) for name, t in TEMPLATES.items()}
    files |= {name: (script.file, script.text) for name, script in SCRIPTS.items()}
    paths = {name: dest / files[name][0] for name in names}
    advice = "use --overwrite or another --dest"
    for path in paths.values():
        claim(path, TEMPLATE, overwrite=force, key="--dest", advice=advice)
    for name, path in paths.items():
        place_bytes(path, files[name][1].encode())
    return list(paths.values())

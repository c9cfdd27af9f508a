"""``weakbeam live``: the microscope in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from weakbeam.cli.options import experiment_of, experiment_options, workers_option
from weakbeam.errors import InputError

_MEANS = (
    "lets whoever reaches this machine and knows the address change the experiment and write runs "
    "into this folder, unencrypted; add --yes if that is meant"
)


@click.command()
@experiment_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port.  [default: free]"
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--host", metavar="HOST", help="Listen for other machines, too: see what --yes then confirms."
)
@click.option("--yes", is_flag=True, help="Confirm --host.")
@workers_option
def live(
    config: Path | None,
    settings: tuple[str, ...],
    port: int,
    no_browser: bool,
    host: str | None,
    yes: bool,
    workers: int | None,
) -> None:
    """Open the microscope in the browser: turn motors, move defects, change the instrument.

    Image, curve and maps follow at once. Only this machine can reach it, by the address that is
    printed; files are read and written in the current folder only. Ctrl-C ends it.

    \b
    Examples:
      weakbeam live
      weakbeam live weak-beam.toml
      weakbeam live --set beam.height_fwhm_um=0.6
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.viewer.server import LOOPBACK, is_loopback

    where = LOOPBACK if host is None else host
    if not is_loopback(where):
        if not yes:
            raise InputError("--host", where, _MEANS)
        click.echo(f"--host {where} {_MEANS.partition(';')[0]}", err=True)
    experiment = experiment_of(config, settings)
    from weakbeam.viewer.live import Microscope
    from weakbeam.viewer.session import Session

    with Microscope(Session(experiment, workers=workers), where, port) as microscope:
        click.echo(microscope.url)
        if not no_browser:
            import webbrowser

            webbrowser.open(microscope.url)
        try:
            microscope.wait()
        except KeyboardInterrupt:
            click.echo("weakbeam: the microscope is closed", err=True)

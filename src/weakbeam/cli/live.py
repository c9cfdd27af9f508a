"""``weakbeam live``: the microscope in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import experiment_of, file_and_entry, workers_option
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.viewer.talk import Handler

_MEANS = (
    "lets whoever reaches this machine and knows the address change the experiment and write runs "
    "into this folder, unencrypted; add --yes if that is meant"
)


@click.command()
@click.argument("file", required=False)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The experiment (TOML): what is shown, or simulated beside the frames of a scan.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the experiment; may be given several times.",
)
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
    file: str | None,
    config: Path | None,
    settings: tuple[str, ...],
    port: int,
    no_browser: bool,
    host: str | None,
    yes: bool,
    workers: int | None,
) -> None:
    """Open the microscope in the browser: turn motors, move defects, change the instrument.

    Image, curve and maps follow at once. FILE is an experiment (TOML), or a scan: a file of this
    program or of a beamline (HDF5, FILE::2.1 for an entry), or EDF images. Of a scan frames, curves
    and maps are shown, beside them what -c simulates at the same motors. Only this machine can
    reach it, by the address that is printed; files are read and written in the current folder
    only. Ctrl-C ends it.

    \b
    Examples:
      weakbeam live
      weakbeam live weak-beam.toml
      weakbeam live --set beam.height_fwhm_um=0.6
      weakbeam live rocking/weakbeam.h5
      weakbeam live measured.h5::2.1 -c experiment.toml
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.viewer.server import LOOPBACK, is_loopback

    where = LOOPBACK if host is None else host
    if not is_loopback(where):
        if not yes:
            raise InputError("--host", where, _MEANS)
        click.echo(f"--host {where} {_MEANS.partition(';')[0]}", err=True)
    handler = _handler(file, config, settings, workers)
    from weakbeam.viewer.live import Microscope

    with Microscope(handler, where, port) as microscope:
        try:
            click.echo(microscope.url)
            if not no_browser:
                import webbrowser

                webbrowser.open(microscope.url)
            microscope.wait()
        except KeyboardInterrupt:
            click.echo("weakbeam: the microscope is closed", err=True)


def _handler(
    file: str | None, config: Path | None, settings: tuple[str, ...], workers: int | None
) -> Handler:
    """The session that a page will talk to: with a scan, or with an experiment."""
    from weakbeam.io.edf import is_edf
    from weakbeam.io.guard import is_hdf5
    from weakbeam.measured.sides import named_file

    place, entry = (None, None) if file is None else file_and_entry(file)
    if place is not None and place.is_dir() and named_file(place) != place:
        place = named_file(place)
        file = str(place)
    if file is not None and place is not None and (is_edf(file) or is_hdf5(place)):
        from weakbeam.viewer.opened import scan_session

        described = config is not None or bool(settings)
        experiment = experiment_of(config, settings) if described else None
        return scan_session(file if entry is None else place, entry, experiment, workers)
    if file is not None:
        if config is not None and config.resolve() != Path(file).resolve():
            raise InputError("--config", str(config), f"and FILE = {file!r} differ; give one")
        config = Path(file)
    from weakbeam.viewer.session import Session

    return Session(experiment_of(config, settings), workers=workers)

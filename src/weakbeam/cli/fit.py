"""``weakbeam fit``: the dislocations of a measured stack."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import click

from weakbeam.cli.calibrate import _pair
from weakbeam.cli.options import (
    FLAGS,
    count_option,
    experiment_of,
    experiment_options,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    text_with_flags,
    workers_option,
)

STATE = "fit-state"
"""Folder in the output in which a fit is kept until it is done."""

_FLAGS = {**FLAGS, "motors": "--pair", "start": "--start", "experiment": "--config"}


@click.command()
@click.argument("scan", metavar="SCAN")
@experiment_options
@click.option(
    "--start",
    type=click.Path(path_type=Path),
    metavar="LIST",
    help="Refine these dislocations instead of searching: an experiment file with [[defects]], or "
    "the table (.csv, .json) of an earlier fit.",
)
@click.option("--detect", is_flag=True, help="Search for them, as is done without --start.")
@count_option("--most", default=40, help="Largest number of dislocations that are sought.")
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="MOTOR=MOTOR",
    help="What the scan calls phi, chi or two_theta, such as phi=mu, or phi=-mu if it turns the "
    "other way; may be given several times.  [default: phi or mu, chi, obpitch]",
)
@folder_option("What is found: tables, fitted.toml, maps and a figure.", "fit")
@format_option("none")
@overwrite_option("a fit that is there")
@click.option("--resume", is_flag=True, help="Go on with a fit that ended early.")
@names_only_option
@workers_option
def fit(
    scan: str,
    config: Path | None,
    settings: tuple[str, ...],
    start: Path | None,
    detect: bool,
    most: int,
    pairs: tuple[str, ...],
    output: Path,
    suffix: str,
    overwrite: bool,
    resume: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Find the dislocations of a measured stack: how many, which and where, with errors.

    SCAN is FILE or FILE::ENTRY, a scan of phi, chi, two_theta or several of them: HDF5 of ours or
    of a beamline, or EDF images (a folder, a pattern in quotes). The experiment tells crystal,
    instrument and frame, best as weakbeam calibrate has written it; [identify] tells the candidates
    and [identify.nuisance] what else is fitted: zero offsets, a lattice that is bent, blur, light
    and background. Round loops and tilt walls are tried where straight lines leave residuals. What
    the model does not explain is said, with where it is.

    \b
    Examples:
      weakbeam fit measured.h5::2.1 -c calibrated.toml -o found
      weakbeam fit measured.h5::2.1 -c calibrated.toml --start found/dislocations.csv
      weakbeam fit measured.h5::2.1 -c calibrated.toml -o found --resume
    """  # noqa: D301 (click needs the character \b itself)
    # Threads of small matrix products wait for each other most of the time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from dataclasses import replace

    import numpy as np

    from weakbeam.cli.progress import progress
    from weakbeam.errors import InputError
    from weakbeam.fit.fitted_experiment import TILT_FILE
    from weakbeam.fit.stack_figure import stack_drawing, told_of_drawing
    from weakbeam.fit.stack_journal import Journal
    from weakbeam.fit.stack_record import told_of
    from weakbeam.identify.fit_scan import USUAL, fit_scan
    from weakbeam.io.fit_file import fit_file
    from weakbeam.io.foreign import read_scan
    from weakbeam.io.targets import (
        EXPERIMENT,
        FIT,
        FIT_FILE,
        FIT_TABLE,
        PICTURE,
        TILT,
        claim,
        claim_folder,
        place_bytes,
    )
    from weakbeam.measured.figures import view_of

    if start is not None and detect:
        raise InputError("--detect", None, "cannot be given together with --start")
    if resume and overwrite:
        raise InputError("--resume", None, "cannot go with --overwrite; choose one")
    found = re.fullmatch(r"(.*?)(?:::(.*))?", scan, re.S)
    assert found is not None
    inputs = [Path(found[1]), *(path for path in (config, start) if path is not None)]
    folder = claim_folder(output, inputs=inputs, key="--output")
    kinds = {
        "dislocations.csv": FIT_TABLE,
        "fit.json": FIT,
        "fit.h5": FIT_FILE,
        TILT_FILE: TILT,
        "fitted.toml": EXPERIMENT,
    }
    if suffix != "none":
        kinds[f"fit.{suffix}"] = PICTURE
    targets = {
        name: claim(folder / name, kind, overwrite=overwrite, inputs=inputs, key="--output")
        for name, kind in kinds.items()
    }
    state = folder / STATE
    if Journal.begun(state) and not (resume or overwrite):
        allowed = "holds a fit that ended early: --resume goes on with it, --overwrite begins anew"
        raise InputError("--output", str(folder), allowed)
    motors = dict(map(_pair, pairs))
    with naming_flags(motors="--pair", start="--start", experiment="--config", scan="SCAN"):
        measured = read_scan(found[1], found[2])
        experiment = None if config is None else experiment_of(config, settings)
        try:
            with progress(100.0, "percent", "fitting", quiet) as update:
                result = fit_scan(
                    measured,
                    experiment,
                    start,
                    motors=motors,
                    options=replace(USUAL, most=most),
                    workers=workers,
                    progress=lambda share: update(100.0 * share),
                    state=state,
                    resume=resume,
                )
        except KeyboardInterrupt:
            left = "--resume goes on" if Journal.begun(state) else "nothing was written"
            click.echo(f"weakbeam: interrupted; {left}", err=True)
            raise click.exceptions.Exit(130) from None
        text = result.fitted().to_toml()
    for remark in result.remarks:
        click.echo(f"weakbeam: {text_with_flags(remark, _FLAGS)}", err=True)
    record = result.to_json()
    tilt = io.BytesIO()
    np.savez(tilt, **dict(result.tilt_grid()))  # type: ignore[arg-type]
    maps = {
        "misfit": (result.fit.misfit, "mean squared residual over its variance"),
        "residual": (result.fit.residual, "mean residual over its standard error"),
    }
    drawing = stack_drawing(result, view_of(measured))
    maps["image"] = drawing.arguments[0], str(drawing.options["image_label"])
    if "shifts" in drawing.options:
        maps["shifts"] = drawing.options["shifts"], str(drawing.options["shift_label"])
    contents = {
        "dislocations.csv": result.to_csv().encode(),
        "fit.json": record.encode(),
        "fit.h5": fit_file(
            result.table(),
            result.names,
            result.values,
            result.covariance,
            maps,
            record,
            json.dumps(told_of_drawing(drawing)),
        ),
        TILT_FILE: tilt.getvalue(),
        "fitted.toml": text.encode(),
    }
    if suffix != "none":
        contents[f"fit.{suffix}"] = drawing.picture(f".{suffix}")
    for name, content in contents.items():
        place_bytes(targets[name], content)
    if not quiet:
        for line in told_of(result.numbers()):
            click.echo(line)
    for path in targets.values():
        click.echo(str(path))

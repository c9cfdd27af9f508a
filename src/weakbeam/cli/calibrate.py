"""``weakbeam calibrate``: zero offsets and optics from a region that is nearly perfect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    FLAGS,
    experiment_of,
    experiment_options,
    format_option,
    names_only_option,
    naming_flags,
    output_option,
    overwrite_option,
    text_with_flags,
    workers_option,
)
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.fit.calibration_result import Calibration

_FLAGS = {**FLAGS, "motors": "--pair", "region": "--region"}


@click.command()
@click.argument("scan", metavar="SCAN")
@experiment_options
@click.option(
    "--region",
    "region_text",
    metavar="R0:R1,C0:C1",
    help="Rows and columns of the region, from 0, the last ones excluded.  [default: the largest "
    "rectangle whose curves are alike]",
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="MOTOR=MOTOR",
    help="What the scan calls phi, chi or two_theta, such as phi=mu, or phi=-mu if it turns the "
    "other way; may be given several times.  [default: phi or mu, chi, obpitch]",
)
@output_option(
    "The experiment with what was found; the numbers (.json) and the figure stand beside it.",
    "calibrated.toml",
)
@format_option("none")
@overwrite_option("a calibration that is there")
@names_only_option
@workers_option
def calibrate(
    scan: str,
    config: Path | None,
    settings: tuple[str, ...],
    region_text: str | None,
    pairs: tuple[str, ...],
    output: Path,
    suffix: str,
    overwrite: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Find zero offsets of the motors and the optics from a region that is nearly perfect.

    SCAN is FILE or FILE::ENTRY, a scan of phi, chi or two_theta, or several of them: HDF5 of ours
    or of a beamline, or EDF images (a folder, a pattern in quotes). The experiment tells what is
    known of crystal and instrument; without --config that of a simulated file, or the built-in one.
    What the scan does not determine stays as it is, and is named.

    \b
    Examples:
      weakbeam calibrate measured.h5::2.1 -c experiment.toml
      weakbeam calibrate measured.h5::2.1 -c known.toml --region 0:60,200:500
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.fit.calibrate import calibrate as calibrated_by
    from weakbeam.fit.calibrate import own_experiment
    from weakbeam.fit.calibration_figure import calibration_drawing
    from weakbeam.io.foreign import read_scan
    from weakbeam.io.region import Region
    from weakbeam.io.targets import CALIBRATION, EXPERIMENT, PICTURE, claim, place_bytes
    from weakbeam.measured.figures import view_of

    found = re.fullmatch(r"(.*?)(?:::(.*))?", scan, re.S)
    assert found is not None
    inputs = [Path(found[1])] + ([] if config is None else [config])
    if output.suffix != ".toml":
        raise InputError("--output", str(output), "must end in .toml")
    target = claim(output, EXPERIMENT, overwrite=overwrite, inputs=inputs, key="--output")
    table = claim(output.with_suffix(".json"), CALIBRATION, overwrite=overwrite, inputs=inputs)
    region = None
    if region_text is not None:
        part = Region.of_text(region_text, "--region")
        region = (part.rows.start, part.rows.stop, part.columns.start, part.columns.stop)
    motors = dict(map(_pair, pairs))
    with naming_flags(motors="--pair", region="--region", scan="SCAN", entry="SCAN"):
        measured = read_scan(found[1], found[2])
        experiment = None if config is None else experiment_of(config, settings)
        if experiment is None and settings:
            own = own_experiment(measured)
            experiment = own.with_settings(settings) if own else experiment_of(None, settings)
        with progress(100.0, "percent", "calibrating", quiet) as update:
            result = calibrated_by(
                measured,
                experiment,
                region,
                motors=motors,
                workers=workers,
                progress=lambda share: update(100.0 * share),
            )
        text = result.calibrated().to_toml()
    for remark in result.remarks:
        click.echo(f"weakbeam: {text_with_flags(remark, _FLAGS)}", err=True)
    written = [target, table]
    if suffix != "none":
        place = output.with_suffix(f".{suffix}")
        picture = calibration_drawing(result, view_of(measured)).picture(f".{suffix}")
        written.append(claim(place, PICTURE, overwrite=overwrite, inputs=inputs))
        place_bytes(written[-1], picture)
    place_bytes(table, result.to_json().encode())
    place_bytes(target, text.encode())
    if not quiet:
        _tell(result)
    for path in written:
        click.echo(str(path))


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = (part.strip() for part in text.partition("="))
    if not (ours and equals and theirs.lstrip("-")):
        raise InputError("--pair", text, "must be two motors, such as phi=mu")
    return ours, theirs


def _tell(result: Calibration) -> None:
    """Print what was found."""
    from weakbeam.fit.calibration_figure import with_error

    r0, r1, c0, c1 = result.region
    how = "given" if result.chosen else "found"
    click.echo(f"region {how}: rows {r0}:{r1}, columns {c0}:{c1}")
    for parameter in result.parameters:
        name = parameter.key or parameter.name
        unit = f" {parameter.unit}" if parameter.unit and not parameter.key else ""
        if parameter.determined:
            shown = with_error(parameter.value, parameter.error) + unit
        else:
            shown = f"{parameter.value:.6g} ± {parameter.prior:.2g}{unit}, not determined"
        click.echo(f"{name:34} {shown}")
    for motor, (value, error) in result.bragg_readings.items():
        click.echo(f"{motor + ' at the Bragg setting':34} {with_error(value, error)} deg")
    if not result.noise.noiseless:
        gain = with_error(result.noise.gain, result.noise.gain_error)
        click.echo(f"{'gain':34} {gain} counts per photon")
    for name, known in (("dark level", result.dark), ("noise without light", result.read_noise)):
        if known is not None:
            click.echo(f"{name:34} {with_error(*known)} counts")
    if result.edge is not None:
        blur = with_error(result.edge.sigma, result.edge.error)
        click.echo(f"{'camera.psf_px, at most':34} {blur}")
    click.echo(f"{'chi2 per degree of freedom':34} {result.fit.chi2:.3g}")

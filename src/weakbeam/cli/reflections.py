"""``weakbeam reflections``: which reflections can be reached, and what they show."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from weakbeam.cli import reflection_plan, reflection_table
from weakbeam.cli.options import (
    Number,
    choice_option,
    experiment_of,
    experiment_options,
    naming_flags,
    output_option,
    overwrite_option,
)
from weakbeam.run.reflection_list import ReflectionList, spaced
from weakbeam.run.reflection_search import Limits, geometry_of, search_of, tabulate, with_absorption

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment

FLAGS = {
    "geometry": "--geometry",
    "theta_max_deg": "--theta-max",
    "omega_range_deg": "--omega-range",
    "eta_range_deg": "--eta",
    "mu_range_deg": "--mu",
    "chi_deg": "--chi",
    "phi_deg": "--phi",
    "absorption": "--absorption",
}
"""Options by the arguments of `weakbeam.run.reflection_search`."""

SORT_KEYS = ("theta", "hkl", "eta", "omega", "structure-factor", "visibility")


@click.command()
@experiment_options
@click.option(
    "--geometry",
    type=click.Choice(["symmetric", "oblique", "goniometer"]),
    help="oblique: the crystal stays on its mount and turns by omega about the vertical; "
    "goniometer: and may be tilted.  [default: the experiment's]",
)
@click.option(
    "--mount",
    metavar='"H K L; H K L; H K L"',
    help="Fixed mount: the plane normals along x, y and z of the sample, in place of the "
    "experiment's.  [default: the Cartesian crystal frame, for cubic crystals the cube axes]",
)
@click.option(
    "--energy", type=float, metavar="KEV", help="Photon energy.  [default: the experiment's]"
)
@click.option(
    "--theta-max",
    type=float,
    default=20.0,
    show_default=True,
    metavar="DEG",
    help="Largest Bragg angle.",
)
@click.option(
    "--omega-range",
    nargs=2,
    type=float,
    metavar="FROM TO",
    help="Fixed mount: limits of omega in degrees, such as -30 30 or 350 370.",
)
@click.option(
    "--eta",
    "eta_range",
    nargs=2,
    type=float,
    metavar="FROM TO",
    help="Fixed mount: limits of the azimuth eta in degrees, -180 to 180; 0 is up.",
)
@click.option(
    "--mu",
    "mu_range",
    nargs=2,
    type=float,
    metavar="FROM TO",
    help="Goniometer: limits of the tilt mu in degrees; the smallest that will do is taken.",
)
@click.option("--chi", type=float, metavar="DEG", help="Goniometer: where chi stands.")
@click.option("--phi", type=float, metavar="DEG", help="Goniometer: where phi stands.")
@choice_option(
    "--sort",
    "sort_key",
    of=SORT_KEYS,
    default="theta",
    help="Order of the rows; |F| and visibility downwards.",
)
@click.option(
    "--absorption", is_flag=True, help="Also tell the absorption length (not with --csv)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values instead.")
@output_option("Also draw the reflections: .png, .svg or .pdf.")
@overwrite_option("a figure that is there")
@click.option(
    "--plan",
    "size",
    type=click.IntRange(1, 12),
    metavar="N",
    help="Print the sets of N settings that determine the displacement gradient best instead.",
)
@click.option(
    "--motors",
    metavar="NAMES",
    help="Plan: the motors that are scanned at each setting.  [default: phi,chi,two_theta]",
)
@click.option(
    "--exposure",
    type=Number(min=0.0, min_open=True),
    metavar="S",
    help="Plan: tell errors, frames and time of each set, with the scan and the camera of the "
    "experiment and frames of so many seconds.",
)
def reflections(
    config: Path | None,
    settings: tuple[str, ...],
    geometry: str | None,
    mount: str | None,
    energy: float | None,
    theta_max: float,
    omega_range: Limits | None,
    eta_range: Limits | None,
    mu_range: Limits | None,
    chi: float | None,
    phi: float | None,
    sort_key: str,
    absorption: bool,
    as_json: bool,
    as_csv: bool,
    output: Path | None,
    overwrite: bool,
    size: int | None,
    motors: str | None,
    exposure: float | None,
) -> None:
    """Print which reflections can be reached, and what they show of the dislocations.

    With θ, |F|, the extinction length Λ, and on a fixed mount both settings of ω with the azimuth
    η of the diffracted beam; for each dislocation g·b, g·(b × t) and the visibility, the rms
    change of the diffraction vector 1 µm from the line. The reflection of the experiment does not
    matter.

    \b
    Examples:
      weakbeam reflections --set crystal.material=Cu --sort visibility
      weakbeam reflections --geometry oblique --energy 19.1 --eta 0 45 -o polar.png
      weakbeam reflections --geometry oblique --energy 19.1 --eta 20 21 --plan 3
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.errors import InputError

    if as_json and as_csv:
        raise InputError("--csv", None, "give either --json or --csv")
    if motors is not None and size is None:
        raise InputError("--motors", motors, "needs --plan")
    if exposure is not None and size is None:
        raise InputError("--exposure", exposure, "needs --plan")
    planned = reflection_plan.MOTORS if motors is None else reflection_plan.motors_of(motors)
    experiment = _with_energy(experiment_of(config, settings), energy)
    experiment = _with_mount(experiment, mount, geometry)
    with naming_flags(None, **FLAGS):
        search = search_of(
            experiment,
            geometry=geometry,
            theta_max_deg=theta_max,
            omega_range_deg=omega_range,
            eta_range_deg=eta_range,
            mu_range_deg=mu_range,
            chi_deg=chi,
            phi_deg=phi,
        )
        table = tabulate(experiment, search, sort_key)
        if absorption:
            table = with_absorption(experiment, table)
    if size is not None and not table.rows:
        raise InputError("--plan", size, "no reflection lies within these limits")
    if output is not None and table.rows:
        draw(output, table, overwrite=overwrite)
        click.echo(f"wrote {output}", err=True)
    if not table.rows:
        click.echo("no reflection lies within these limits", err=True)
    shown: ReflectionList | reflection_plan.Plan = table
    written: ModuleType = reflection_table
    if size is not None:
        shown = reflection_plan.plan(experiment, table, size, planned, exposure)
        written = reflection_plan
    if as_json:
        click.echo(written.as_json_text(shown))
    elif as_csv:
        click.echo(written.as_csv_text(shown), nl=False)
    else:
        click.echo(written.as_text(shown))


def draw(path: Path, table: ReflectionList, *, overwrite: bool = False) -> None:
    """Draw the table, as beams on a screen or as sticks over 2θ, and write the figure.

    Raises
    ------
    InputError
        If the file cannot be written or may not be replaced, or has another ending than .png,
        .svg or .pdf.
    """
    from weakbeam.errors import InputError
    from weakbeam.plot.reflections import polar_figure, stick_figure
    from weakbeam.plot.style import save

    known = all(row.structure_factor is not None for row in table.rows)
    if table.geometry != "symmetric":
        beams = [(row, s) for row in table.rows for s in row.solutions if s is not None]
        figure = polar_figure(
            [math.degrees(s.eta) for _, s in beams],
            [math.degrees(2 * s.theta) for _, s in beams],
            [row.structure_factor or 0.0 for row, _ in beams] if known else None,
            [spaced(row.hkl) for row, _ in beams],
            title=table.title,
        )
    else:
        figure = stick_figure(
            [math.degrees(2 * row.theta) for row in table.rows],
            [row.structure_factor or 0.0 for row in table.rows] if known else None,
            [spaced(row.hkl) for row in table.rows],
            title=table.title,
        )
    try:
        save(figure, path, overwrite=overwrite)
    except InputError:
        raise
    except ValueError as error:
        raise InputError("--output", str(path), str(error)) from None


def _with_mount(experiment: Experiment, mount: str | None, geometry: str | None) -> Experiment:
    """The experiment mounted as in "1 0 0; 0 1 0; 0 0 1"."""
    from weakbeam.errors import InputError

    if mount is None:
        return experiment
    if (geometry or geometry_of(experiment)) == "symmetric":
        raise InputError("--mount", mount, "needs --geometry oblique")
    try:
        normals = [[int(i) for i in plane.replace(",", " ").split()] for plane in mount.split(";")]
    except ValueError:
        normals = []
    if [len(normal) for normal in normals] != [3, 3, 3] or not all(map(any, normals)):
        raise InputError(
            "--mount", mount, 'must be three planes of three integers: "1 0 0; 0 1 0; 0 0 1"'
        )
    return experiment.with_settings([f"crystal.mount={normals}"])


def _with_energy(experiment: Experiment, energy: float | None) -> Experiment:
    from weakbeam.errors import InputError

    if energy is None:
        return experiment
    try:
        return experiment.with_settings([f"beam.energy_keV={energy}"])
    except InputError as error:
        if error.key == "beam.energy_keV":
            raise InputError("--energy", energy, error.allowed) from None
        raise

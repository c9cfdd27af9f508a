"""``weakbeam reflections``: which reflections can be reached, and what they show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import experiment_of, experiment_options
from weakbeam.cli.reflection_table import Table, as_csv_text, as_json_text, as_text, spaced

if TYPE_CHECKING:
    from weakbeam._typing import Floats
    from weakbeam.crystal.lattice import UnitCell
    from weakbeam.crystal.materials import Material
    from weakbeam.experiment import Experiment

SORT_KEYS = ("theta", "hkl", "eta", "omega", "structure-factor", "visibility")


@click.command()
@experiment_options
@click.option(
    "--geometry",
    type=click.Choice(["symmetric", "oblique"]),
    default="symmetric",
    show_default=True,
    help="oblique: the crystal stays on its mount and turns by omega about the vertical.",
)
@click.option(
    "--mount",
    metavar='"H K L; H K L; H K L"',
    help="Oblique: the plane normals along x, y and z of the sample at omega = 0.  "
    "[default: the Cartesian crystal frame, for cubic crystals the cube axes]",
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
    help="Oblique: limits of omega in degrees, such as -30 30.",
)
@click.option(
    "--eta",
    "eta_range",
    nargs=2,
    type=float,
    metavar="FROM TO",
    help="Oblique: limits of the azimuth eta in degrees, -180 to 180; 0 is up.",
)
@click.option(
    "--sort",
    "sort_key",
    type=click.Choice(SORT_KEYS),
    default="theta",
    show_default=True,
    help="Order of the rows; |F| and visibility downwards.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values instead.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also draw the reflections: .png, .svg or .pdf.",
)
def reflections(
    config: Path | None,
    settings: tuple[str, ...],
    geometry: str,
    mount: str | None,
    energy: float | None,
    theta_max: float,
    omega_range: tuple[float, float] | None,
    eta_range: tuple[float, float] | None,
    sort_key: str,
    as_json: bool,
    as_csv: bool,
    output: Path | None,
) -> None:
    """Print which reflections can be reached, and what they show of the dislocations.

    With θ, |F|, and in the oblique geometry both settings of ω with the azimuth η of the diffracted
    beam; for each dislocation g·b, g·(b × t) and the visibility, the rms change of the diffraction
    vector 1 µm from the line. The reflection and x_axis of the experiment do not matter.

    \b
    Examples:
      weakbeam reflections --set crystal.material=Cu --sort visibility
      weakbeam reflections --geometry oblique --energy 19.1 --eta 0 45 -o polar.png
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.errors import InputError

    oblique = geometry == "oblique"
    if as_json and as_csv:
        raise InputError("--csv", None, "give either --json or --csv")
    for option, value in (
        ("--mount", mount),
        ("--omega-range", omega_range),
        ("--eta", eta_range),
    ):
        if value is not None and not oblique:
            raise InputError(option, value, "needs --geometry oblique")
    if not 0.0 < theta_max < 45.0:
        raise InputError(
            "--theta-max",
            theta_max,
            "must lie between 0 and 45 deg; the objective stands downstream",
        )
    omega_limits = _limits("--omega-range", omega_range)
    eta_limits = _limits("--eta", eta_range)
    experiment = _with_energy(experiment_of(config, settings), energy)
    table = tabulate(
        experiment,
        theta_max,
        oblique=oblique,
        mount=mount,
        omega_range=omega_limits,
        eta_range=eta_limits,
        sort_key=sort_key,
    )
    if output is not None and table.rows:
        draw(output, table)
        click.echo(f"wrote {output}", err=True)
    if not table.rows:
        click.echo("no reflection lies within these limits", err=True)
    if as_json:
        click.echo(as_json_text(table))
    elif as_csv:
        click.echo(as_csv_text(table), nl=False)
    else:
        click.echo(as_text(table))


def tabulate(
    experiment: Experiment,
    theta_max_deg: float,
    *,
    oblique: bool,
    mount: str | None = None,
    omega_range: tuple[float, float] | None = None,
    eta_range: tuple[float, float] | None = None,
    sort_key: str = "theta",
) -> Table:
    """Find the reflections of the experiment's crystal.

    Parameters
    ----------
    experiment : Experiment
        Its crystal, energy and defects count.
    theta_max_deg : float
        Largest Bragg angle (degrees).
    oblique : bool
        The geometry.
    mount : str, optional
        Three plane normals, as the option has them.
    omega_range, eta_range : pair of float, optional
        Limits (rad).
    sort_key : str
        One of `SORT_KEYS`.

    Raises
    ------
    InputError
        If crystal, defects or mount are impossible, or there are too many reflections.
    """
    import numpy as np

    from weakbeam.assemble_crystal import crystal_of
    from weakbeam.assemble_defects import dislocations_of
    from weakbeam.errors import InputError
    from weakbeam.reflections import find_reflections, sort_reflections

    crystal = crystal_of(experiment)
    cell, named = crystal.cell, crystal.named
    # With the crystal's own frame in place of the sample's.
    placed = dislocations_of(experiment, crystal, np.eye(3))
    try:
        rows = find_reflections(
            cell,
            crystal.space_group,
            experiment.beam.energy_keV,
            math.radians(theta_max_deg),
            sites=None if named is None else named.sites,
            sample_from_crystal=orientation(cell, mount) if oblique else None,
            omega_range=omega_range,
            eta_range=eta_range,
            dislocations=[defect.line for defect in placed],
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError("--theta-max", theta_max_deg, str(error)) from None
    defects = [
        f"b ∥ [{spaced(defect.description.burgers)}], "
        f"{defect.character_deg:.1f}° from edge (0°) to screw (90°)"
        for defect in placed
    ]
    return Table(
        _title(experiment, crystal.space_group, named, oblique),
        sort_reflections(rows, sort_key),
        defects,
        experiment.beam.energy_keV,
        oblique,
    )


def orientation(cell: UnitCell, mount: str | None) -> Floats:
    """Orientation of a mount such as "1 0 0; 0 1 0; 0 0 1"; none: the Cartesian crystal frame.

    Raises
    ------
    InputError
        If the text is no three times three whole numbers, or the normals no right-handed axes.
    """
    import numpy as np

    from weakbeam.crystal.orientation import sample_from_crystal_mount
    from weakbeam.errors import InputError

    if mount is None:
        return np.eye(3)
    try:
        normals = [[int(i) for i in plane.replace(",", " ").split()] for plane in mount.split(";")]
    except ValueError:
        normals = []
    if [len(normal) for normal in normals] != [3, 3, 3]:
        raise InputError(
            "--mount", mount, 'must be three planes of three integers: "1 0 0; 0 1 0; 0 0 1"'
        )
    try:
        return sample_from_crystal_mount(cell, *normals)
    except ValueError as error:
        raise InputError("--mount", mount, str(error)) from None


def draw(path: Path, table: Table) -> None:
    """Draw the table, as beams on a screen or as sticks over 2θ, and write the figure.

    Raises
    ------
    InputError
        If the file cannot be written, or has another ending than .png, .svg or .pdf.
    """
    from weakbeam.errors import InputError
    from weakbeam.plot.reflections import polar_figure, stick_figure
    from weakbeam.plot.style import save

    known = all(row.structure_factor is not None for row in table.rows)
    if table.oblique:
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
        save(figure, path)
    except ValueError as error:
        raise InputError("--output", str(path), str(error)) from None
    except OSError as error:
        raise InputError(str(path), None, f"cannot be written: {error.strerror}") from None


def _limits(option: str, degrees: tuple[float, float] | None) -> tuple[float, float] | None:
    from weakbeam.errors import InputError

    if degrees is None:
        return None
    first, last = degrees
    if not (abs(first) <= 360.0 and abs(last) <= 360.0 and 0.0 <= last - first <= 360.0):
        raise InputError(
            option,
            degrees,
            "must be two angles from -360 to 360 deg, the second not less than the first "
            "and at most a full turn from it",
        )
    return math.radians(first), math.radians(last)


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


def _title(experiment: Experiment, space_group: str, named: Material | None, oblique: bool) -> str:
    crystal = space_group if named is None else f"{named.name} ({space_group})"
    geometry = "oblique" if oblique else "symmetric"
    return f"{crystal}, {experiment.beam.energy_keV:g} keV, {geometry} geometry"

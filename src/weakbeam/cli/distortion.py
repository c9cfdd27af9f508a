"""``weakbeam distortion``: the nine components of the distortion from several reflections."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    FLAGS,
    Number,
    choice_option,
    experiment_of,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    text_with_flags,
    workers_option,
)
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.measured.circuit import Circuit
    from weakbeam.measured.distortion_result import Distortion

_OWN_FLAGS = {
    "scan": "SCAN",
    "entries": "SCAN",
    "frame": "--frame",
    "reference": "--reference",
    "method": "--method",
    "registration": "--register",
    "step_um": "--step",
    "smooth_um": "--smooth",
    "gain": "--gain",
    "dark": "--dark",
    "circuit": "--circuit",
}
_FLAGS = {**FLAGS, **_OWN_FLAGS}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@click.command()
@click.argument("scans", metavar="SCAN...", nargs=-1, required=True)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The experiment (TOML) with one reflection for each SCAN.  [default: that of simulated "
    "files]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the experiment; may be given several times.",
)
@choice_option(
    "--frame",
    of=["sample", "crystal"],
    default="sample",
    help="Axes of the tensors: x, y and normal of the sheet, or the crystal's.",
)
@click.option(
    "--reference",
    type=click.Choice(["bragg", "mean"]),
    help="What counts as undistorted: the lattice at the Bragg settings, or the mean of what all "
    "see.  [default: bragg for simulated files, otherwise mean]",
)
@choice_option(
    "--method",
    of=["curves", "com"],
    default="curves",
    help="Maximum likelihood on the curves, or centres of mass alone.",
)
@choice_option(
    "--register",
    "registration",
    of=["geometry", "shift", "full"],
    default="shift",
    help="What of the cameras' places is fitted: nothing, shifts, or rotation and magnification "
    "too.",
)
@click.option(
    "--circuit",
    "circuit_texts",
    multiple=True,
    metavar="X0:X1,Y0:Y1",
    help="A Burgers circuit (µm): a box, or corners such as '0,0; 3,0; 3,2'; may be given several "
    "times.",
)
@click.option(
    "--step",
    "step_um",
    type=Number(min=0.0, min_open=True),
    metavar="UM",
    help="Distance of places.  [default: the side of a pixel]",
)
@click.option(
    "--smooth",
    "smooth_um",
    type=Number(min=0.0),
    default=0.0,
    metavar="UM",
    help="Smooth the maps by a Gaussian of this standard deviation.  [default: not at all]",
)
@click.option(
    "--gain",
    type=Number(min=0.0, min_open=True),
    metavar="COUNTS",
    help="Counts per photon.  [default: the camera's, or found from the scatter of the counts]",
)
@click.option(
    "--dark",
    type=Number(),
    metavar="COUNTS",
    help="Dark level.  [default: of every pixel, from the frames that its curve leaves dark]",
)
@folder_option("Folder for maps, tables and figures.", "distortion")
@format_option("none")
@overwrite_option("what is there")
@names_only_option
@workers_option
def distortion(
    scans: tuple[str, ...],
    config: Path | None,
    settings: tuple[str, ...],
    frame: str,
    reference: str | None,
    method: str,
    registration: str,
    circuit_texts: tuple[str, ...],
    step_um: float | None,
    smooth_um: float,
    gain: float | None,
    dark: float | None,
    output: Path,
    suffix: str,
    overwrite: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Find the nine components of the distortion from scans of several reflections.

    SCAN is FILE or FILE::ENTRIES (1.1-11.1), a scan of each reflection in the order of the
    experiment; a simulated file may hold several. All must cut the same sheet out of the crystal,
    as reflections do that a rotation about the vertical brings into the beam. Written are the maps
    of β with errors, strain, rotation, stress and Nye tensor (HDF5, and XDMF for ParaView), a
    table of the Burgers circuits and figures. What the reflections leave open is NaN, and named.
    Scans at several heights of the sample (z) are layers, an entry each; one between two others
    has all components of the Nye tensor.

    \b
    Examples:
      weakbeam distortion run/weakbeam.h5 --circuit -3:3,-3:3
      weakbeam distortion a.h5 b.h5 c.h5 d.h5 -c four.toml -o tensor
    """  # noqa: D301 (click needs the character \b itself)
    import numpy as np

    from weakbeam.cli.progress import progress
    from weakbeam.io.maps_file import write_layers, write_maps
    from weakbeam.io.targets import CIRCUITS, MAPS, XDMF, claim, claim_folder, place_bytes
    from weakbeam.io.xdmf_maps import xdmf_of_layers, xdmf_text
    from weakbeam.measured.distortion import distortion as distortion_of
    from weakbeam.measured.distortion_figures import layer_drawings
    from weakbeam.measured.distortion_stored import circuits_text, stored_layers
    from weakbeam.plot.files import claim_pictures, save_pictures

    if settings and config is None:
        raise InputError("--set", settings[0], "goes together with --config")
    corners = [_corners(text) for text in circuit_texts]
    inputs = [Path(scan.partition("::")[0]) for scan in scans]
    inputs += [] if config is None else [config]
    claim_folder(output, inputs=[path for path in inputs if path.is_dir()], key="--output")
    target = claim(output / "distortion.h5", MAPS, overwrite=overwrite, inputs=inputs)
    beside = claim(output / "distortion.xdmf", XDMF, overwrite=overwrite, inputs=inputs)
    table = claim(output / "circuits.csv", CIRCUITS, overwrite=overwrite, inputs=inputs)
    experiment = None if config is None else experiment_of(config, settings)
    with naming_flags(None, **_OWN_FLAGS):
        with progress(100.0, "percent", "distortion", quiet) as update:
            result = distortion_of(
                scans,
                experiment,
                frame=frame,
                reference=reference,
                method=method,
                registration=registration,
                step_um=step_um,
                smooth_um=smooth_um,
                gain=gain,
                dark=dark,
                workers=workers,
                progress=lambda share: update(100.0 * share),
            )
        layers = result.layers
        circuits = [
            (number, layer.circuit(each))
            for number, each in enumerate(corners, 1)
            for layer in layers
        ]
    for note in result.notes:
        click.echo(f"weakbeam: {text_with_flags(note, _FLAGS)}", err=True)
    pictures: dict[str, bytes] = {}
    if suffix != "none" and np.isfinite(result.beta).any():
        drawings = layer_drawings(result, circuits)
        claim_pictures(drawings, output, f".{suffix}", overwrite=overwrite)
        pictures = {name: drawn.picture(f".{suffix}") for name, drawn in drawings.items()}
    stored = stored_layers(result)
    if len(layers) == 1:
        write_maps(target, "1.1", stored["1.1"], overwrite)
        text = xdmf_text(stored["1.1"], target.name, "1.1")
    else:
        heights = np.array([layer.z for layer in layers])
        middle = list(stored)[int(np.argmin(np.abs(heights - result.z)))]
        write_layers(target, stored, heights, middle, overwrite)
        text = xdmf_of_layers(stored, heights, target.name)
    place_bytes(beside, text.encode())
    written = [target, beside]
    if circuits:
        place_bytes(table, circuits_text(circuits, result.frame).encode())
        written.append(table)
    written += save_pictures(pictures, output, f".{suffix}", overwrite=overwrite)
    if not quiet:
        _tell(result, circuits)
    for path in written:
        click.echo(str(path))


def _corners(text: str) -> list[tuple[float, float]]:
    """Corners (x, y) of a circuit from a box or a list of them."""
    box = re.fullmatch(
        rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*,\s*({_NUMBER})\s*:\s*({_NUMBER})\s*", text
    )
    if box is not None:
        x0, x1, y0, y1 = map(float, box.groups())
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    corners = []
    for part in text.split(";"):
        pair = re.fullmatch(rf"\s*({_NUMBER})\s*,\s*({_NUMBER})\s*", part)
        if pair is None:
            raise InputError(
                "--circuit", text, "must be X0:X1,Y0:Y1, or corners such as '0,0; 3,0; 3,2'"
            )
        corners.append((float(pair[1]), float(pair[2])))
    return corners


def _tell(result: Distortion, circuits: list[tuple[int, Circuit]]) -> None:
    """Print what was found."""
    import numpy as np

    from weakbeam.measured.distortion_figures import lattice_text

    rows, columns = result.shape
    click.echo(
        f"{rows} x {columns} places of {result.sheet.step:.4g} um, {result.frame} axes, from "
        + ", ".join(one.name for one in result.reflections)
    )
    layers = result.layers
    if len(layers) > 1:
        places = ", ".join(f"{layer.z:.4g}" for layer in layers)
        click.echo(f"{f'{len(layers)} layers at z (um)':34} {places}; below, {result.z:.4g}")
    known = np.isfinite(result.beta).all(axis=(-2, -1))
    click.echo(f"{'all nine components known':34} {int(known.sum())} places")
    if np.isfinite(result.beta_error).any():
        error = 1e6 * result.beta_error.reshape(-1, 9).T
        middle = [
            np.median(one[np.isfinite(one)]) if np.isfinite(one).any() else np.nan for one in error
        ]
        for i, name in enumerate("xyz"):
            shown = "  ".join(f"{x:8.3g}" for x in middle[3 * i : 3 * i + 3])
            label = "median error of beta, 1e-6" if i == 0 else ""
            click.echo(f"{label:34} {name}: {shown}")
    if np.isfinite(result.chi2).any():
        click.echo(f"{'chi2 per degree of freedom, median':34} {np.nanmedian(result.chi2):.3g}")
    for number, one in circuits:
        b = ", ".join(f"{1e3 * x:.5f}" for x in one.burgers)
        near = "near no lattice vector" if one.lattice is None else lattice_text(one)
        layer = f" at z = {one.z:.4g} um" if len(layers) > 1 else ""
        click.echo(f"{f'circuit {number}{layer}: b':34} ({b}) nm, {near}")
        if np.isfinite(one.error).all():
            e = ", ".join(f"{1e3 * x:.5f}" for x in one.error)
            click.echo(f"{'  standard deviation':34} ({e}) nm")

"""``weakbeam show``: pictures of a scan, simulated or measured, of a kernel or a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from weakbeam.cli.options import (
    choice_option,
    count_option,
    entry_options,
    folder_option,
    format_option,
    naming_flags,
    overwrite_option,
)
from weakbeam.cli.scan_options import ScanChoice, scan_options
from weakbeam.cli.shown import (
    Scale,
    comparison_figures,
    curve_figures,
    exported_files,
    fit_figures,
    grid_figures,
    holds_members,
    is_grid,
    map_figures,
    network_figures,
    scan_of,
    usual_figures,
)
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.io.export import Exported


@click.command()
@entry_options
@folder_option("Folder for the figures.  [default: figures beside the file]")
@format_option("none")
@click.option(
    "--frame",
    "frames",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="A frame by its number, from 0; may be given several times.",
)
@choice_option(
    "--scale",
    of=["linear", "log", "asinh"],
    default="linear",
    help="Intensity to colour, for image, frames, montage and movie.",
)
@click.option(
    "--clim",
    type=(float, float),
    metavar="LO HI",
    help="Intensities of the darkest and the brightest colour.  [default: those of the lit pixels]",
)
@click.option(
    "--zoom",
    type=click.Choice(["lit"]),
    help="Of the image or of each --frame only the part that is lit.",
)
@click.option(
    "--montage",
    is_flag=True,
    help="Frames side by side: those of --frame, or spread over the lit part of the scan.",
)
@count_option(
    "--panels",
    default=25,
    most=400,
    help="Most frames of the montage.",
)
@click.option(
    "--common-range",
    is_flag=True,
    help="All frames of montage or movie on one range of colours.  [default: each on its own, "
    "which is written above it]",
)
@click.option(
    "--pixel",
    "pixels",
    multiple=True,
    metavar="ROW,COLUMN",
    help="Intensity of a pixel over the scan; may be given several times.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="R0:R1,C0:C1",
    help="Mean intensity of rows R0 to R1 - 1 and columns C0 to C1 - 1 over the scan.",
)
@click.option(
    "--movie",
    type=click.Choice(["gif", "mp4"]),
    help="All frames one after another; mp4 needs ffmpeg or the package imageio-ffmpeg.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0.1, 50.0),
    default=10.0,
    show_default=True,
    metavar="N",
    help="Frames per second of the movie.",
)
@scan_options
@click.option(
    "--export",
    "exports",
    type=click.Choice(["npy", "tiff", "csv"]),
    multiple=True,
    help="Write as numbers, too: the maps of the file and each --frame; may be given several "
    "times.",
)
@overwrite_option("figures and numbers that are there")
@click.option(
    "--compare",
    is_flag=True,
    help="Centres of mass of a simulated scan against its deformation, as numbers and figure.",
)
@click.option(
    "--burgers-length",
    "burgers_length_nm",
    type=float,
    metavar="NM",
    help="Of a network: length of the Burgers vector, the unit of most of them.",
)
@click.option(
    "--increment",
    type=click.IntRange(min=0),
    metavar="N",
    help="Increment of a DAMASK result.  [default: the last]",
)
@click.option(
    "--phase",
    metavar="NAME",
    help="Phase of a DAMASK result; of other grids, the array of what diffracts.",
)
@click.option(
    "--grain",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of deformation on a grid: the grain in it.  [default: all]",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the numbers of --compare, of a network, a grid or a fit, as JSON, and the names of "
    "the files on stderr.",
)
def show(
    files: tuple[Path, ...],
    output: Path | None,
    suffix: str,
    entry: int,
    frames: tuple[int, ...],
    scale: Scale,
    clim: tuple[float, float] | None,
    zoom: str | None,
    montage: bool,
    panels: int,
    common_range: bool,
    pixels: tuple[str, ...],
    regions: tuple[str, ...],
    movie: Literal["gif", "mp4"] | None,
    fps: float,
    exports: tuple[str, ...],
    overwrite: bool,
    choice: ScanChoice,
    compare: bool,
    burgers_length_nm: float | None,
    increment: int | None,
    phase: str | None,
    grain: int | None,
    as_json: bool,
) -> None:
    """Draw pictures of a scan; without a choice, the figures of an output file.

    Those are image, rocking curve, acceptance and maps; of a file from weakbeam maps the maps that
    it holds; of a kernel from weakbeam bootstrap slices and marginals against the closed form, and
    a cloud of 50,000 rays. Frames, montage, curves and movie are drawn of measured BLISS files too,
    of libraries, and of EDF images: a folder, a pattern in quotes, or several files. Pictures of
    the sample are upright, however the camera was turned; of others pixels are as the camera read
    them. Networks of dislocation dynamics (ParaDiS, ExaDiS, OVITO .ca, tables) are counted,
    measured and drawn in space. Of a fit.h5 of weakbeam fit the table is printed and the figure
    drawn. Of deformation on a grid (DAMASK results, XDMF, arrays in .npz or
    HDF5) slices of the displacement gradient, of rotation and of strain are drawn, and phases and
    grains are listed.

    \b
    Examples:
      weakbeam show first-image/weakbeam.h5 --format pdf
      weakbeam show first-image/weakbeam.h5 --zoom lit --clim 0 0.2
      weakbeam show run/weakbeam.h5 --frame 30 --frame 45 --scale log
      weakbeam show run/weakbeam.h5 --montage --pixel 85,255 --region 0:20,0:50
      weakbeam show run/weakbeam.h5 --movie gif --fps 12
      weakbeam show mosaicity/weakbeam.h5 --compare
      weakbeam show kernel.h5
      weakbeam show mosa_scan_maps/maps.h5 --export tiff --export csv
      weakbeam show "2017/strain/*.edf" --montage
      weakbeam show found/fit.h5
      weakbeam show network.data --burgers-length 0.2556
      weakbeam show result.hdf5 --increment 40 --phase Al --grain 3
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.io.edf import is_edf
    from weakbeam.io.fit_file import is_fit
    from weakbeam.io.guard import is_hdf5
    from weakbeam.io.kernel_file import is_kernel
    from weakbeam.io.maps_file import is_maps
    from weakbeam.io.networks.reading import is_network
    from weakbeam.io.reading import is_own_file
    from weakbeam.plot.files import claim_pictures, save_all, save_pictures

    file = _source(files)
    folder = file.parent / "figures" if output is None else output
    some = bool(frames or montage or pixels or regions or movie)
    figures: dict[str, Figure] = {}

    def save() -> None:
        if suffix != "none":
            for path in save_all(figures, folder, f".{suffix}", overwrite=overwrite):
                click.echo(str(path), err=as_json)

    if is_network(str(file)):
        if some or compare or exports:
            raise InputError("file", str(file), "is a network; it has no frames")
        with naming_flags(burgers_length_nm="--burgers-length"):
            figures = network_figures(file, burgers_length_nm, as_json)
        save()
        return
    if burgers_length_nm is not None:
        raise InputError("--burgers-length", burgers_length_nm, "belongs to a network")
    of_grid = {"increment": increment, "phase": phase, "grain": grain}
    if is_grid(file):
        if some or compare or exports:
            raise InputError("file", str(file), "is deformation on a grid; it has no frames")
        figures = grid_figures(file, of_grid, as_json)
        save()
        return
    if file.is_file() and file.stat().st_size and not (is_edf(file) or is_hdf5(file)):
        allowed = (
            "is neither HDF5, nor EDF, nor a network of ParaDiS, ExaDiS, OVITO or a table, nor "
            "deformation on a grid"
        )
        raise InputError("file", str(file), allowed)
    for name, value in of_grid.items():
        if value is not None:
            raise InputError(f"--{name}", value, "belongs to deformation on a grid")
    if is_fit(file):
        if some or compare or exports:
            raise InputError("file", str(file), "is of a fit; it has no frames")
        figures = fit_figures(file, as_json)
        save()
        return
    if as_json and not compare:
        raise InputError("--json", None, "belongs to --compare, to a network, a grid or a fit")
    if is_kernel(file) and (some or compare):
        raise InputError("file", str(file), "is a kernel; it has no frames")
    if is_maps(file) and (some or compare):
        raise InputError("file", str(file), "is a file of maps; it has no frames")
    numbers: list[Exported] = []
    if compare:
        figures |= comparison_figures(file, entry, as_json)
    if common_range and not (montage or movie):
        raise InputError("--common-range", None, "belongs to --montage or --movie")
    if clim is not None and not clim[0] < clim[1]:
        raise InputError("--clim", clim, "must be two increasing intensities")
    if clim is not None and scale == "log" and clim[0] <= 0.0:
        raise InputError("--clim", clim, "must be positive on a log scale")
    # The members of a library are no scan of its experiment.
    usual = is_kernel(file) or not (file.is_file() or is_edf(file) or len(files) > 1)
    usual = usual or (file.is_file() and is_own_file(file) and not holds_members(file))
    usual = usual and not choice.changes_frames
    if choice.unit is not None and usual and not some and not is_maps(file):
        allowed = "belongs to maps, frames, montage, curves, movie; figures of a run are in mrad"
        raise InputError("--unit", choice.unit, allowed)
    if is_maps(file):
        figures, numbers = map_figures(file, choice)
    elif some or not (compare or usual):
        from weakbeam.measured.exports import exported_frames
        from weakbeam.measured.pictures import frame_pictures, montage_picture

        scan = scan_of(file if len(files) == 1 else list(files), entry, choice)
        if not some:
            frames, montage = (scan.frames // 2,), bool(scan.positions)
        if frames:
            figures |= frame_pictures(scan, frames, scale, clim, zoom == "lit")
            numbers += exported_frames(scan, frames) if exports else []
        if montage:
            figures["montage"] = montage_picture(
                scan, panels, scale, not common_range, numbers=frames if some else (), limits=clim
            )
        figures |= curve_figures(scan, pixels, regions)
    elif not compare:
        figures |= usual_figures(file, entry, scale, clim, zoom == "lit")
    # Figures of the other entries stay.
    place = "" if entry == 1 else f"{entry}_" if is_edf(file) else f"{entry}.1_"
    figures = {f"{place}{name}": figure for name, figure in figures.items()}
    if movie:
        claim_pictures([f"{place}movie"], folder, f".{movie}", overwrite=overwrite)
    paths = []
    if exports:
        paths += exported_files(file, entry, numbers, folder, exports, overwrite)
    if suffix != "none":
        paths += save_all(figures, folder, f".{suffix}", overwrite=overwrite)
    if movie:
        from weakbeam.cli.progress import progress
        from weakbeam.measured.pictures import movie_picture

        flags = naming_flags(kind="--movie")
        with flags, progress(scan.frames, "frame", "drawing the movie") as update:
            picture = movie_picture(
                scan,
                movie,
                fps,
                scale,
                own_range=not common_range,
                limits=clim,
                progress=update,
            )
        paths += save_pictures({f"{place}movie": picture}, folder, f".{movie}", overwrite=overwrite)
    for path in paths:
        click.echo(str(path), err=as_json)


def _source(files: tuple[Path, ...]) -> Path:
    """The file that is shown, or the first of the images of a scan."""
    from weakbeam.io.edf import is_edf

    if len(files) > 1 and not all(is_edf(name) for name in files):
        raise InputError("FILE", " ".join(map(str, files)), "must be one file, or EDF images")
    if files[0].is_dir():
        from weakbeam.measured.sides import named_file

        return named_file(files[0])
    return files[0]

"""``weakbeam identify match``: which dislocation images show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.options import (
    Number,
    check_figures,
    check_target,
    choice_option,
    count_option,
    folder_option,
    format_option,
    names_only_option,
    naming_flags,
    overwrite_option,
    workers_option,
)
from weakbeam.errors import InputError
from weakbeam.io.places import place_of

if TYPE_CHECKING:
    from weakbeam.core.arrays import Floats
    from weakbeam.identify.library.library import Library
    from weakbeam.identify.match_result import Candidate, Match

_SHOWN = 8

_FLAGS = {
    "phi_mrad": "--phi",
    "pixel_nm": "--pixel-nm",
    "dark": "--dark",
    "noise": "--noise",
    "saturation": "--saturation",
    "max_shift": "--max-shift",
    "library": "--library",
    "exact": "--exact",
    "nuisances": "--set",
    "orientations": "--orientations",
}


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-l",
    "--library",
    type=click.Path(path_type=Path),
    default=Path("library"),
    show_default=True,
    metavar="PATH",
    help="The library of weakbeam identify generate: its folder or file.",
)
@click.option(
    "--entry", metavar="ENTRY", help="The entry of images that name none, such as 2 or 2.1."
)
@folder_option("Folder for match.json, match.h5 and the figures.", "match")
@click.option(
    "--phi",
    "phi_mrad",
    type=Number(-1e3, 1e3),
    multiple=True,
    metavar="MRAD",
    help="Offset from the Bragg setting, where the file does not tell it: once for all images, or "
    "once for each of them.",
)
@click.option(
    "--pixel-nm",
    type=Number(0.1, 1e6),
    metavar="NM",
    help="Size of a pixel in the sample, where the file does not tell it.",
)
@click.option(
    "--dark",
    metavar="LEVEL",
    help="Counts without light: a number, or a source of dark frames written like IMAGE.  "
    "[default: the camera's for simulated images, else the darkest percent of the image]",
)
@click.option(
    "--noise",
    type=float,
    nargs=2,
    metavar="GAIN FLOOR",
    help="Variance of the counts: GAIN x signal + FLOOR.  [default: the camera's for simulated "
    "images, else estimated from the image]",
)
@click.option(
    "--saturation",
    type=Number(0.0, 1e12, min_open=True),
    metavar="COUNTS",
    help="Brighter pixels do not count.",
)
@click.option(
    "--hot",
    type=Number(0.1, 1e6),
    metavar="SIGMAS",
    help="Single pixels that stand out by more do not count.",
)
@count_option(
    "--max-shift",
    default=20,
    least=0,
    metavar="PIXELS",
    help="Largest shift of a candidate along rows and columns.",
)
@choice_option(
    "--score",
    of=["likelihood", "correlation"],
    default="likelihood",
    help="What the library is ranked by at first.",
)
@choice_option(
    "--background",
    of=["mean", "median", "clipped", "local", "none"],
    default="mean",
    help="How the background is removed for the correlation.",
)
@count_option(
    "--keep",
    default=8,
    help="How many of the best are fitted between the pixels.",
)
@count_option(
    "--refine",
    default=12,
    least=0,
    help="How many of those that come near the best are then fitted with images computed anew, at "
    "most.",
)
@click.option(
    "--turn/--no-turn",
    default=None,
    help="Let the refinement turn all lines, or none.  [default: those whose types gain evidence "
    "by it]",
)
@click.option(
    "--exact/--nuisances",
    "exact",
    default=None,
    help="Take the model to be exact, or fit along what is not known exactly, as the table "
    "[identify.nuisance] says.  [default: exact for simulated images]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the library's [identify.nuisance], such as phi_offset_urad=50.",
)
@click.option(
    "--orientations",
    is_flag=True,
    help="Try the images mirrored and turned as well: how the camera sits is not known.",
)
@click.option(
    "--camera-known",
    is_flag=True,
    help="The camera sits as the experiment says; without it, only that of simulated "
    "images is known.",
)
@format_option("none")
@overwrite_option("a match that is there")
@names_only_option
@workers_option
def match(
    images: tuple[str, ...],
    library: Path,
    entry: str | None,
    output: Path,
    phi_mrad: tuple[float, ...],
    pixel_nm: float | None,
    dark: str | None,
    noise: tuple[float, float] | None,
    saturation: float | None,
    hot: float | None,
    max_shift: int,
    score: str,
    background: str,
    keep: int,
    refine: int,
    turn: bool | None,
    exact: bool | None,
    settings: tuple[str, ...],
    orientations: bool,
    camera_known: bool,
    suffix: str,
    overwrite: bool,
    quiet: bool,
    workers: int | None,
) -> None:
    """Rank the dislocations of a library by how well they explain one or several images.

    IMAGE is FILE, FILE::ENTRY or FILE::ENTRY#FRAME: HDF5 (entries 1.1, 2.1, ... or a dataset), npy,
    TIFF, EDF. All images show the same place; those of several phi, heights or reflections are
    matched together. Of an entry with many frames those are used that the library has a condition
    for.

    \b
    Examples:
      weakbeam identify match weak-beam.h5 --library library
      weakbeam identify match plus.edf minus.edf --phi 0.15 --phi -0.15 --pixel-nm 40 --refine 3
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.identify.figures import FIGURES, match_drawings
    from weakbeam.identify.identification import identify
    from weakbeam.identify.library.library_files import read_library
    from weakbeam.io.images import read_images
    from weakbeam.io.targets import MATCH, MATCH_FILE, place_bytes
    from weakbeam.plot.drawing import FORMAT, Artist
    from weakbeam.plot.files import save_pictures

    images = tuple(_with_entry(text, entry) for text in images)
    read = [library, *(Path(re.split("::|#", text)[0]) for text in images)]
    target = check_target(output, "match.json", overwrite, MATCH, read)
    file = None if exact else check_target(output, "match.h5", overwrite, MATCH_FILE, read)
    check_figures(output, FIGURES, suffix, overwrite)
    if turn and not refine:
        raise InputError("--turn", None, "needs --refine")
    with Artist() as artist:
        if suffix == FORMAT[1:]:
            artist.start()
        stacks = [read_images(text) for text in images]
        with naming_flags(file="--library", library="--library"):
            candidates = read_library(library)
        level = None if dark is None else _dark(dark)
        changes = _changes(candidates, settings)
        flags = naming_flags(None, **_FLAGS)
        with flags, progress(100.0, "percent", "matching", quiet) as update:
            found = identify(
                stacks,
                candidates,
                phi_mrad=phi_mrad,
                pixel_nm=pixel_nm,
                dark=level,
                noise=noise,
                saturation=saturation,
                hot=hot,
                max_shift=max_shift,
                score=score,
                background=background,
                keep=keep,
                refine=refine,
                turn=turn,
                exact=exact,
                nuisances=changes,
                orientations=orientations,
                camera_known=camera_known,
                workers=workers,
                progress=lambda share: update(100.0 * share),
            )
        match = found.match
        for note in found.notes:
            click.echo(f"weakbeam: {note}", err=True)
        drawings = match_drawings(match, candidates.experiment)
        if suffix == FORMAT[1:]:
            artist.submit(drawings)
        place_bytes(target, match.to_json().encode())
        if file is not None and match.regions is not None:
            place_bytes(file, match.to_hdf5())
        if not quiet:
            _tell(match)
        click.echo(str(target))
        if file is not None and match.regions is not None:
            click.echo(str(file))
        if suffix == "none":
            return
        if suffix == FORMAT[1:]:
            pictures = artist.finish()
        else:
            pictures = {name: drawing.picture(f".{suffix}") for name, drawing in drawings.items()}
    for path in save_pictures(pictures, output, f".{suffix}", overwrite=overwrite):
        click.echo(str(path))


def _with_entry(image: str, entry: str | None) -> str:
    """The image with the entry that it is to be taken from, unless it names one."""
    place = place_of(image)
    if entry is None or place.entry is not None:
        return image
    frame = "" if place.frame is None else f"#{place.frame}"
    return f"{place.path}::{f'{entry}.1' if entry.isdecimal() else entry}{frame}"


def _dark(text: str) -> float | Floats:
    import numpy as np

    from weakbeam.io.images import read_images

    try:
        return float(text)
    except ValueError:
        with naming_flags(image="--dark"):
            frames = read_images(text).frames
        return np.asarray(frames.mean(axis=0), dtype=np.float64)


def _changes(library: Library, settings: tuple[str, ...]) -> dict[str, Any] | None:
    """Keys of the library's [identify.nuisance] that are set."""
    if not settings:
        return None
    keys = [f"identify.nuisance.{text}" for text in settings]
    table = library.experiment.with_settings(keys).identify
    nuisance = None if table is None else table.nuisance
    return {} if nuisance is None else nuisance.model_dump(exclude_unset=True)


def _tell_nuisances(match: Match) -> None:
    """Print what was fitted along with the best candidate, if it says more than its prior."""
    import math

    shown = [n for n in match.nuisances if not n.name.startswith("background")]
    click.echo(f"{'fitted along':24}{'value':>12}{'error':>12}{'known before':>14}")
    for n in shown:
        if n.error > 0.9 * n.prior:
            continue
        prior = "" if math.isinf(n.prior) else f"{n.prior:.4g}"
        unit = f" {n.unit}" if n.unit else ""
        click.echo(f"{n.name:24}{n.value:12.4g}{n.error:12.2g}{prior:>14}{unit}")
    if match.regions is not None:
        click.echo(f"images {match.regions.sentence}")


def _tell(match: Match) -> None:
    """Print the ranked candidates and the verdict."""
    best = match.best
    click.echo(
        f"{'':3}{'candidate':32}{'probability':>12}{'below':>11}{'misfit':>8}{'corr.':>7}"
        "   row, column (px)"
    )
    for number, candidate in enumerate(match.candidates[:_SHOWN], 1):
        probability = 100.0 * candidate.cautious_probability
        below = best.log_evidence - candidate.log_evidence
        click.echo(
            f"{number:2} {candidate.type.name:32}{probability:10.2f} %{below:11.1f}"
            f"{candidate.misfit:8.2f}{candidate.correlation:7.2f}   {_place(candidate)}"
        )
    if match.nuisances:
        _tell_nuisances(match)
    click.echo(match.verdict.sentence)


def _place(candidate: Candidate) -> str:
    """Where a candidate lies, with the errors that are known."""
    import numpy as np

    if candidate.refinement is None:
        values, errors, in_sheet = candidate.shift_px[0], candidate.shift_errors_px[0], False
    else:
        values, errors = candidate.refinement.values[:2], candidate.refinement.errors[:2]
        in_sheet = candidate.refinement.names[0] == "across_um"
    digits = 4 if in_sheet else 2
    shown = [
        f"{value:.{digits}f}({error:.{digits}f})" if np.isfinite(error) and error < 3.0 else "?"
        for value, error in zip(values, errors, strict=True)
    ]
    return f"across, depth {', '.join(shown)} um" if in_sheet else ", ".join(shown)

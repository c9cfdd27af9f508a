"""Options of commands that read scans: which pixels, above which background, in which unit."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weakbeam.cli.options import FLAGS, F, naming_flags
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.core.arrays import Floats
    from weakbeam.io.foreign import Source
    from weakbeam.io.measured_scan import MeasuredScan

SCAN_FLAGS = {
    **FLAGS,
    "align": "--align",
    "dark": "--dark",
    "floor": "--floor",
    "hot": "--hot",
    "mask": "--mask",
    "pixel_nm": "--pixel-nm",
    "roi": "--roi",
    "skip": "--skip",
    "theta": "--theta",
    "threshold": "--threshold",
    "unit": "--unit",
}
"""What remarks on scans call the flags."""


@dataclass(frozen=True)
class PixelChoice:
    """What the options of :func:`pixel_options` ask for."""

    roi: str | None
    mask: str | None
    hot: float | None
    pixel_nm: str | None
    align: bool
    unit: str | None

    @property
    def sizes(self) -> tuple[float, float] | None:
        """Size of a pixel along rows and columns (nm).

        Raises
        ------
        InputError
            If the text is no number, or two.
        """
        return _sizes(self.pixel_nm)


@dataclass(frozen=True)
class ScanChoice(PixelChoice):
    """What the options of :func:`scan_options` ask for."""

    background: str
    dark: str | None

    @property
    def changes_frames(self) -> bool:
        """Whether frames are to be other than as they stand in the file."""
        given = (self.roi, self.mask, self.hot, self.pixel_nm, self.dark)
        return self.align or self.background != "none" or any(x is not None for x in given)

    @property
    def noted(self) -> str:
        """What the background is called in a file of maps."""
        return self.background if self.dark is None else f"mean of {self.dark}"

    def check(self) -> None:
        """Refuse what can be seen to be wrong before a file is read.

        Raises
        ------
        InputError
            If two options contradict each other, or a text is no number or region.
        """
        if self.dark is not None and self.background != "none":
            raise InputError("--dark", self.dark, "cannot be combined with --background")
        background_level(self.background)
        _sizes(self.pixel_nm)

    def of(self, scan: MeasuredScan) -> MeasuredScan:
        """The scan with the pixels, and in the unit, that are asked for."""
        from weakbeam.io.stills import read_mask
        from weakbeam.measured.selection import selected
        from weakbeam.measured.units import in_unit

        with naming_flags(roi="--roi", mask="--mask", hot="--hot", unit="--unit"):
            mask = None
            if self.mask is not None:
                mask = read_mask(self.mask, scan.camera or scan.shape)
            with naming_flags({"pixel_nm": lambda _: self.pixel_nm}, pixel_nm="--pixel-nm"):
                chosen = selected(
                    scan, roi=self.roi, mask=mask, hot=self.hot, pixel_nm=_sizes(self.pixel_nm)
                )
            return in_unit(chosen, self.unit)

    def level(self, file: Source, scan: MeasuredScan) -> str | float | Floats:
        """The background: its name, a number, or the mean of dark frames."""
        from weakbeam.io.stills import read_dark
        from weakbeam.measured.background import mean_frame

        if self.dark is None:
            return background_level(self.background)
        if self.dark in (scan.entry, scan.entry.removesuffix(".1")):
            raise InputError("--dark", self.dark, "is the scan itself: its mean is light")
        with naming_flags(entry="--dark", dark="--dark"):
            if "::" in self.dark or Path(self.dark).is_file():
                return read_dark(self.dark, scan.camera or scan.shape)
            return mean_frame(file, self.dark, scan.detector if scan.stack else None)


def pixel_options(command: F) -> F:
    """Add the options of :class:`PixelChoice`, which the command gets as its argument `choice`."""
    return _with_options(command, PixelChoice, _pixel_options())


def scan_options(command: F) -> F:
    """Add the options of :class:`ScanChoice`, which the command gets as its argument `choice`."""
    options: list[Callable[[Any], Any]] = [
        click.option(
            "--background",
            default="none",
            show_default=True,
            metavar="WHAT",
            help="Subtracted from every frame: none, a number of counts, or minimum or median: of "
            "each pixel over the scan.",
        ),
        click.option(
            "--dark",
            metavar="ENTRY",
            help="Dark frames, whose mean is subtracted: an entry of the file, or another file, "
            "such as dark.npy or dark.h5::1.1.",
        ),
    ]
    return _with_options(command, ScanChoice, [*options, *_pixel_options()])


def _with_options(command: F, kind: type[PixelChoice], options: list[Callable[[Any], Any]]) -> F:
    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        choice = kind(**{name: kwargs.pop(name) for name in kind.__dataclass_fields__})
        return command(*args, choice=choice, **kwargs)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


def _pixel_options() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--roi",
            metavar="R0:R1,C0:C1",
            help="Read rows R0 to R1 - 1 and columns C0 to C1 - 1 only.",
        ),
        click.option(
            "--mask",
            metavar="FILE",
            help="Pixels not to be used: an image (npy, TIFF, EDF, FILE.h5::PATH) that is not 0 "
            "there.",
        ),
        click.option(
            "--hot",
            type=float,
            metavar="K",
            help="Replace pixels that are K standard deviations above their neighbours in most "
            "frames, such as 8.",
        ),
        click.option(
            "--pixel-nm",
            metavar="SIZE",
            help="Size of a pixel in the sample, or ROWS,COLUMNS, of files that do not tell it: "
            "axes in µm.",
        ),
        click.option(
            "--align",
            is_flag=True,
            help="Move frames back by the drift of the image, if there is a significant one.",
        ),
        click.option(
            "--unit",
            type=click.Choice(["deg", "mrad", "urad"]),
            help="Unit of angles in figures and printed numbers.  [default: one that fits]",
        ),
    ]


def background_level(text: str) -> str | float:
    """The background that a text names: a number, or one of the words.

    Raises
    ------
    InputError
        If it is neither.
    """
    from weakbeam.measured.background import BACKGROUNDS

    if text in BACKGROUNDS:
        return text
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        names = ", ".join(BACKGROUNDS)
        raise InputError("--background", text, f"must be a number or one of {names}")
    return level


def _sizes(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 2 or not all(re.fullmatch(r"\d+\.?\d*(e[+-]?\d+)?", p) for p in parts):
        raise InputError("--pixel-nm", text, "must be a size in nm such as 40, or two: 110,40")
    return float(parts[0]), float(parts[-1])

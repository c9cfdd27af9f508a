"""Movies of a scan: one picture a frame, as GIF or MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.image import Scale, intensity_norm, label_intensities
from weakbeam.plot.montage import own_norm
from weakbeam.plot.style import (
    COLORS,
    FAINT,
    INK,
    INTENSITY_MAP,
    NAN_COLOR,
    PROGRAM,
    SINGLE_COLUMN_MM,
    add_axes,
    add_text,
    few_ticks,
    fit_text,
    fold_power,
    label_bar,
    paper,
    style,
)
from weakbeam.plot.view import View

Picture = NDArray[np.uint8]

_MAP_COLORS, _GREYS = 191, 40
_CHANGES = "changes"


@dataclass(frozen=True, eq=False)
class Curve:
    """What is drawn under the frames of a movie: an intensity of each of them.

    Parameters
    ----------
    positions : (n,) array_like
        Where the frames stand: positions of a motor, or their numbers.
    values : (n,) array_like
        Intensity of each frame.
    label : str
        What the positions are.
    """

    positions: ArrayLike
    values: ArrayLike
    label: str


def movie_figure(
    frame: ArrayLike,
    view: View,
    curve: Curve,
    number: int,
    common: Normalize,
    *,
    title: str = "",
    scale: Scale = "linear",
    label: str = "intensity",
    own_range: bool = True,
) -> Figure:
    """Draw one frame of a movie: the frame, and under it its place on a curve.

    Parameters
    ----------
    frame : (rows, columns) array_like
        The frame.
    view : View
        What its rows and columns are.
    curve : Curve
        An intensity of every frame.
    number : int
        Which of them this is.
    common : Normalize
        How intensities of all frames become colours.
    title : str
        A line above the picture.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    label : str
        At the colour bar.
    own_range : bool
        Whether the colours go from the darkest to the brightest pixels of this frame, whose
        intensities stand above it. On a common scale most frames of a scan are dark.
    """
    left, right, curve_bottom, curve_height = 15.0, 18.0, 9.0, 19.0
    bottom = curve_bottom + curve_height + 11.0
    width, height = view.box(SINGLE_COLUMN_MM - left - right, 80.0)
    array = view.field(frame)
    norm = own_norm(array, scale, common) if own_range else common
    with paper(SINGLE_COLUMN_MM, bottom + height + 10.5) as figure:
        axes = add_axes(figure, left, bottom, width, height)
        drawn: ScalarMappable = view.draw(axes, array, norm, INTENSITY_MAP)
        below = add_axes(figure, left, curve_bottom, SINGLE_COLUMN_MM - left - 5.0, curve_height)
        x, y = np.asarray(curve.positions, dtype=float), np.asarray(curve.values, dtype=float)
        order = np.argsort(x, kind="stable")
        below.plot(x[order], y[order], color=INK, linewidth=0.8, marker="o", markersize=1.2)
        cursor = below.axvline(x[number], color=COLORS[1], linewidth=0.8)
        point = below.plot(x[number], y[number], "o", color=COLORS[1], markersize=3.5)[0]
        few_ticks(below)
        below.set_xlabel(curve.label)
        below.set_ylabel("mean")
        fold_power(below.yaxis)
        below.spines[["top", "right"]].set_visible(False)
        bar_axes = add_axes(figure, left + width + 2.0, bottom, 3.0, height)
        if own_range:
            drawn = ScalarMappable(Normalize(0.0, 1.0), INTENSITY_MAP)
        bar = figure.colorbar(drawn, cax=bar_axes)
        if own_range:
            bar.set_ticks([0.0, 1.0], labels=["least", "most"])
            label = label if scale == "linear" else f"{label}, {scale}"
        else:
            label_intensities(bar, norm, height)
        label_bar(bar, label, labelpad=2.0)
        bar.outline.set_linewidth(0.6)
        heading = add_text(figure, left - 6.0, bottom + height + 5.2, title, size=8)
        ends = add_text(figure, left, bottom + height + 1.6, said_ends(norm), size=6.5, color=FAINT)
        # What changes from frame to frame.
        edges = (*axes.spines.values(), *below.spines.values())
        for artist in (axes.images[0], *edges, cursor, point, heading, ends):
            artist.set_gid(_CHANGES)
    return figure


def said_ends(norm: Normalize) -> str:
    """The intensities of the first and the last colour."""
    return f"colours from {norm.vmin:.3g} to {norm.vmax:.3g}".replace("-", "\u2212")


def pictures(
    frames: Iterable[tuple[ArrayLike, str]],
    view: View,
    curve: Curve,
    limits: tuple[float, float],
    *,
    scale: Scale = "linear",
    label: str = "intensity",
    own_range: bool = True,
) -> Iterator[Picture]:
    """Draw frames one after another.

    Parameters
    ----------
    frames : iterable of ((rows, columns) array_like, str)
        The frames and what stands above each.
    view : View
        What their rows and columns are.
    curve : Curve
        What is drawn under them, with a cursor.
    limits : (float, float)
        Intensities of the darkest and the brightest colour of all frames.
    scale, label, own_range
        As for :func:`movie_figure`.

    Yields
    ------
    (height, width, 3) ndarray of uint8
    """
    stage: _Stage | None = None
    common = intensity_norm(np.zeros((1, 1)), scale, limits)
    for number, (frame, title) in enumerate(frames):
        if stage is None:
            figure = movie_figure(
                frame,
                view,
                curve,
                number,
                common,
                title=title,
                scale=scale,
                label=label,
                own_range=own_range,
            )
            stage = _Stage(figure, view, curve)
        array = view.field(frame)
        norm = own_norm(array, scale, common) if own_range else common
        yield stage.picture(array, title, norm, number)


class _Stage:
    """A figure of a frame in which only what tells of the frame changes.

    Everything else is drawn once: axes and their numbers take most of the time.

    Parameters
    ----------
    figure : Figure
        From :func:`movie_figure`.
    view : View
        What the rows and columns of the frames are.
    curve : Curve
        What is drawn under them.
    """

    def __init__(self, figure: Figure, view: View, curve: Curve) -> None:
        self._view, self._curve = view, curve
        self._frame = figure.axes[0].images[0]
        self._title, self._ends = figure.texts
        self._size = self._title.get_fontsize()
        self._room = (figure.get_size_inches()[0] * 25.4) - 10.0
        self._changing = [
            artist
            for axes in figure.axes
            for artist in axes.get_children()
            if artist.get_gid() == _CHANGES
        ]
        # The spines lie above the edge of the frame.
        self._changing.sort(key=lambda artist: artist.get_zorder())
        self._changing += [self._title, self._ends]
        _, self._cursor, self._point = figure.axes[1].lines
        for artist in self._changing:
            artist.set_animated(True)
        canvas: Any = figure.canvas
        self._canvas = canvas
        with style():
            self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def picture(self, frame: Floats, title: str, norm: Normalize, number: int) -> Picture:
        """Draw a frame, its title, and its place on the curve."""
        self._frame.set_data(np.ma.masked_invalid(self._view.upright(frame)))
        self._frame.set_norm(norm)
        self._title.set_fontsize(self._size)
        self._title.set_text(title)
        self._ends.set_text(said_ends(norm))
        x = float(np.asarray(self._curve.positions, dtype=float)[number])
        y = float(np.asarray(self._curve.values, dtype=float)[number])
        self._cursor.set_xdata([x, x])
        self._point.set_data([x], [y])
        self._canvas.restore_region(self._background)
        with style():
            fit_text(self._title, self._room)
            for artist in self._changing:
                artist.draw(self._canvas.get_renderer())
        return np.ascontiguousarray(np.asarray(self._canvas.buffer_rgba())[..., :3])


def gif(movie: Iterable[Picture], fps: float) -> bytes:
    """Return an endless GIF of pictures.

    Parameters
    ----------
    movie : iterable of (height, width, 3) ndarray of uint8
        The pictures.
    fps : float
        Pictures per second; GIF counts in hundredths of a second.

    Raises
    ------
    ValueError
        If there is no picture.
    """
    movie_pictures = iter(movie)
    first = next(movie_pictures, None)
    if first is None:
        raise ValueError("a movie needs at least one picture")
    indexed = map(_Palette().indexed, chain([first], movie_pictures))
    file = BytesIO()
    next(indexed).save(
        file,
        format="GIF",
        save_all=True,
        append_images=indexed,
        duration=max(round(1000.0 / fps), 20),
        loop=0,
        comment=PROGRAM,
    )
    return file.getvalue()


class _Palette:
    """The colours of a GIF, the same in all of its pictures: colours must not flicker.

    Those of what a movie shows: of the map, so many that there are no contour rings; greys of the
    text, and the cursor's.
    """

    def __init__(self) -> None:
        colors = colormaps[INTENSITY_MAP](np.linspace(0.0, 1.0, _MAP_COLORS))[:, :3]
        greys = np.linspace(0.0, 1.0, _GREYS)[:, None] * np.ones(3)
        # Of the cursor also on the way to white and to black, at its edges.
        cursor = np.array([to_rgb(COLORS[1])])
        shades = [cursor + share * (1.0 - cursor) for share in np.linspace(0.0, 0.9, 12)]
        shades += [share * cursor for share in np.linspace(0.2, 0.9, 12)]
        every = np.concatenate([colors, greys, *shades, [to_rgb(NAN_COLOR)]])
        self._colors = (255.0 * every).round().astype(np.int64)
        self._number = np.full(1 << 24, -1, np.int16)

    def indexed(self, picture: Picture) -> Image.Image:
        """A picture in the nearest of the colours."""
        red, green, blue = np.moveaxis(picture.astype(np.int32), -1, 0)
        packed = (red << 16) | (green << 8) | blue
        new = np.unique(packed[self._number[packed] < 0])
        parts = np.stack([new >> 16, (new >> 8) & 255, new & 255], axis=-1)
        for start in range(0, len(new), 4096):
            block = slice(start, start + 4096)
            apart = ((parts[block, None] - self._colors) ** 2).sum(axis=-1)
            self._number[new[block]] = apart.argmin(axis=1)
        image = Image.fromarray(self._number[packed].astype(np.uint8), "P")
        image.putpalette(self._colors.astype(np.uint8).ravel().tolist())
        return image


def mp4(movie: Iterable[Picture], fps: float) -> bytes:
    """Return an MP4 (H.264) of pictures.

    Parameters
    ----------
    movie
        As for :func:`gif`.
    fps : float
        Pictures per second.

    Raises
    ------
    ValueError
        If there is no picture, or no program to encode them.
    """
    program = encoder()
    if program is None:
        raise ValueError("needs ffmpeg, or pip install 'weakbeam[movie]'; gif needs neither")
    coming = iter(movie)
    first = next(coming, None)
    if first is None:
        raise ValueError("a movie needs at least one picture")
    height, width = first.shape[:2]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        source: list[Any] = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        # H.264 wants even sizes.
        even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"]
        call = [program, "-v", "error", *source, "-r", f"{fps:g}", "-i", "-", *even]
        call += ["-c:v", "libx264", "-crf", "18", "-movflags", "+faststart"]
        call += ["-metadata", f"comment={PROGRAM}", str(path)]
        process = subprocess.Popen(call, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdin is not None
        try:
            for picture in chain([first], coming):
                process.stdin.write(np.ascontiguousarray(picture).data)
        except BrokenPipeError:
            pass
        _, said = process.communicate()
        if process.returncode != 0 or not path.is_file():
            reason = said.decode(errors="replace").strip().splitlines()
            raise ValueError(f"ffmpeg failed: {reason[-1] if reason else process.returncode}")
        return path.read_bytes()


def encoder() -> str | None:
    """Path of ffmpeg, on its own or from imageio-ffmpeg; None where there is neither."""
    program = shutil.which("ffmpeg")
    if program is not None:
        return program
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None

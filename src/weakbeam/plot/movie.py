"""Movies of a scan: one picture a frame, as GIF or MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib import import_module
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from weakbeam.core.arrays import ArrayLike
from weakbeam.plot.image import Scale
from weakbeam.plot.montage import frame_figure
from weakbeam.plot.panels import View
from weakbeam.plot.style import style

Picture = NDArray[np.uint8]

_MOST_COLORS = 255
_NEARLY_WHITE = 248


def pictures(
    frames: Iterable[tuple[ArrayLike, str]],
    view: View,
    limits: tuple[float, float],
    *,
    scale: Scale = "linear",
    label: str = "intensity",
) -> Iterator[Picture]:
    """Draw frames one after another, on one scale of colours.

    Parameters
    ----------
    frames : iterable of ((rows, columns) array_like, str)
        The frames and what stands above each.
    view : View
        What their rows and columns are.
    limits : (float, float)
        Intensities of the darkest and the brightest colour.
    scale : {"linear", "log", "asinh"}
        Intensity to colour.
    label : str
        At the colour bar.

    Yields
    ------
    (height, width, 3) ndarray of uint8
    """
    stage: _Stage | None = None
    for frame, title in frames:
        if stage is None:
            figure = frame_figure(frame, view, title=title, scale=scale, label=label, limits=limits)
            stage = _Stage(figure)
        yield stage.picture(frame, title)


class _Stage:
    """A figure of a frame in which only the frame and its title change.

    Everything else is drawn once: axes and their numbers take most of the time.

    Parameters
    ----------
    figure : Figure
        From :func:`weakbeam.plot.montage.frame_figure`.
    """

    def __init__(self, figure: Figure) -> None:
        self._axes = figure.axes[0]
        self._frame, self._title = self._axes.images[0], figure.texts[0]
        # The spines lie above the edge of the frame.
        self._above = [*self._axes.spines.values(), self._title]
        for artist in (self._frame, *self._above):
            artist.set_animated(True)
        canvas: Any = figure.canvas
        self._canvas = canvas
        with style():
            self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def picture(self, frame: ArrayLike, title: str) -> Picture:
        """Draw a frame and its title."""
        self._frame.set_data(np.ma.masked_invalid(np.asarray(frame, dtype=float)))
        self._title.set_text(title)
        self._canvas.restore_region(self._background)
        with style():
            for artist in (self._frame, *self._above):
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
    images = (Image.fromarray(picture) for picture in movie)
    first = next(images, None)
    if first is None:
        raise ValueError("a movie needs at least one picture")
    # One palette for all: colours must not flicker. The first picture has them in its colour bar.
    palette = first.quantize(_MOST_COLORS, method=Image.Quantize.MAXCOVERAGE)
    colors = np.array(palette.getpalette()).reshape(-1, 3)
    colors[colors.min(axis=1) >= _NEARLY_WHITE] = 255
    palette.putpalette(colors.ravel().tolist())
    indexed = (
        image.quantize(palette=palette, dither=Image.Dither.NONE)
        for image in chain([first], images)
    )
    file = BytesIO()
    next(indexed).save(
        file,
        format="GIF",
        save_all=True,
        append_images=indexed,
        duration=max(round(1000.0 / fps), 20),
        loop=0,
    )
    return file.getvalue()


def mp4(movie: Iterable[Picture], fps: float) -> bytes:
    """Return an MP4 (H.264) of pictures.

    Parameters
    ----------
    movie : iterable of (height, width, 3) ndarray of uint8
        The pictures.
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
        call += ["-c:v", "libx264", "-crf", "18", "-movflags", "+faststart", str(path)]
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

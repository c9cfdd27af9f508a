"""Parts of images whose pixels may be averaged in blocks, and what computes images of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weakbeam.core.arrays import Floats, Ints
from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise, Observation
from weakbeam.identify.nuisances.sampling_loops import block_means
from weakbeam.run.render import Renderer
from weakbeam.run.view import view_of

MARGIN = 4
"""Pixels by which a window's computed images are larger than the window on each side."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of each image.

    Parameters
    ----------
    counts : (conditions, rows, columns) ndarray
        Means of the blocks' pixels (ADU).
    number : (conditions, rows, columns) ndarray of int
        How many pixels count in each block.
    factor : int
        Edge of the blocks in pixels of the images.
    corners : mapping of int to (2,) ndarray of int
        First row and column, for each reflection.
    whole : (int, int)
        Rows and columns of the images.
    noise : Noise
        Of single pixels.
    """

    counts: Floats
    number: Ints
    factor: int
    corners: Mapping[int, Ints]
    whole: tuple[int, int]
    noise: Noise

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.counts.shape[1], self.counts.shape[2]

    def middles(self) -> dict[int, Floats]:
        """Rows and columns from the middle of the images to that of the window, in blocks."""
        size = self.factor * np.array(self.shape)
        return {
            reflection: (corner + 0.5 * size - 0.5 * np.array(self.whole)) / self.factor
            for reflection, corner in self.corners.items()
        }


def window_of(
    observation: Observation,
    reflections: Sequence[int],
    factor: int,
    corners: Mapping[int, Ints],
    shape: tuple[int, int],
) -> Window:
    """Cut a window of `shape` blocks of `factor` by `factor` pixels out of images."""
    counts = np.empty((len(observation), *shape))
    number = np.empty(counts.shape, np.int64)
    for k, reflection in enumerate(reflections):
        row, column = (int(n) for n in corners[reflection])
        good = np.ascontiguousarray(observation.good[k : k + 1], dtype=np.float64)
        own = slice(k, k + 1)
        block_means(observation.images[own], good, row, column, factor, counts[own], number[own])
    return Window(counts, number, factor, dict(corners), observation.shape, observation.noise)


def coarse_window(
    observation: Observation,
    reflections: Sequence[int],
    pixels: int,
    largest: tuple[int, int] = (10_000, 10_000),
) -> Window:
    """The middle of images in blocks so large that there are about as many as asked for, or fewer.

    `largest` are rows and columns (pixels) of what is taken at most.
    """
    rows, columns = np.minimum(observation.shape, largest)
    factor = max(1, int(np.ceil(np.sqrt(rows * columns / pixels))))
    shape = int(rows // factor), int(columns // factor)
    corner = (np.array(observation.shape) - factor * np.array(shape)) // 2
    return window_of(observation, reflections, factor, dict.fromkeys(reflections, corner), shape)


class WindowRenderers:
    """Renderers for windows of one library's experiment, made once for each size of blocks.

    Parameters
    ----------
    experiment : Experiment
        Of the library.
    numbers : sequence of int
        Conditions of the images.
    workers : int
        Threads for precise images; others are computed for several types at a time.
    """

    def __init__(self, experiment: Experiment, numbers: Sequence[int], workers: int = 1) -> None:
        self.experiment, self._numbers, self._workers = experiment, list(numbers), workers
        self._known: dict[tuple[object, ...], Renderer] = {}
        self._origins: dict[int, Floats] | None = None

    def of(
        self,
        window: Window,
        precise: bool = True,
        instrument: Mapping[str, Mapping[str, float]] | None = None,
        depths: int | None = None,
        points: int = 1,
    ) -> Renderer:
        """The renderer of a window with its margin.

        Parameters
        ----------
        window : Window
            What is seen.
        precise : bool
            As of :class:`~weakbeam.run.render.Renderer`.
        instrument : mapping, optional
            Tables of the experiment with keys that differ.
        depths : int, optional
            Samples along rays; as many as the crystal asks for unless given.
        points : int
            Samples along either edge of blocks of several pixels.
        """
        changed: dict[str, Any] = {table: dict(keys) for table, keys in (instrument or {}).items()}
        key = (window.shape, window.factor, precise, repr(changed), depths, points)
        if key not in self._known:
            camera = self.experiment.camera
            rows, columns = (n + 2 * MARGIN for n in window.shape)
            turned = camera.rotation_deg in (90, 270)
            plain = {
                "pixels": (columns, rows) if turned else (rows, columns),
                "pixel_nm": 1e3 * camera.pixel_um * camera.binning * window.factor,
                "binning": 1,
                "region": None,
                "psf_px": None,
                "model": "ideal",
                "file": None,
                "oversampling": camera.oversampling if window.factor == 1 else points,
            }
            if depths is not None:
                plain["depth_samples"] = depths
            experiment = self.experiment.replace(camera=plain, **changed)
            self._known[key] = Renderer(experiment, self._workers if precise else 1, precise)
            if len(self._known) > 24:
                self._known.pop(next(iter(self._known)))
        renderer = self._known[key]
        origins = self.origins(renderer)
        middles = {
            reflection: middle + origins[reflection] / window.factor
            for reflection, middle in window.middles().items()
        }
        return renderer.chosen(self._numbers, {k: list(m) for k, m in middles.items()})

    def origins(self, renderer: Renderer) -> dict[int, Floats]:
        """Rows and columns from what sees the sample's origin to the middle of whole images."""
        if self._origins is None:
            camera = self.experiment.camera
            if camera.region is None:
                self._origins = {k: np.zeros(2) for k in range(len(renderer.setups))}
            else:
                whole = Renderer(self.experiment, 1)
                self._origins = {}
                for k, setup in enumerate(whole.setups):
                    view = view_of(setup, whole.setups[0], 0.0)
                    middle = (np.array(view.shape) - 1.0) / 2.0
                    self._origins[k] = middle - view.pixel(np.zeros(3))
        return self._origins

"""The camera: from light to counts (docs/explanation/physics.md, E5)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats32
from weakbeam.core.workers import worker_count
from weakbeam.instrument.camera_loops import Levels, expose, fill_pattern, frame_key, tables


@dataclass(frozen=True)
class FixedPattern:
    """What a camera adds to every frame alike (ADU).

    Parameters
    ----------
    rms : float
        Standard deviation from pixel to pixel.
    tail_share, tail_scale : float
        Share of the pixels that are brighter by an exponentially distributed offset, and its mean:
        the warm and hot pixels.
    edge_rows : int
        Rows at the top and at the bottom that are brighter,
    edge_peak, edge_decay : float
        by ``edge_peak`` at the edge, falling by 1/e over ``edge_decay`` rows.
    serial : int
        Tells one camera of a kind from another.
    """

    rms: float = 0.0
    tail_share: float = 0.0
    tail_scale: float = 0.0
    edge_rows: int = 0
    edge_peak: float = 0.0
    edge_decay: float = 1.0
    serial: int = 0

    def frame(self, shape: tuple[int, int]) -> Floats32:
        """The pattern of a frame, shape (rows, columns); pixels keep it by place from the middle.

        Only the bright rows lie at the edges of any frame.
        """
        pattern = np.empty(shape, np.float32)
        key = np.uint64(frame_key(self.serial, 0, 0))
        fill_pattern(key, self.rms, self.tail_share, self.tail_scale, tables(), pattern)
        row = np.arange(min(self.edge_rows, shape[0]))
        edge = (self.edge_peak * np.exp(-row / self.edge_decay))[:, None].astype(np.float32)
        pattern[: len(row)] += edge
        pattern[shape[0] - len(row) :] += edge[::-1]
        return pattern


@dataclass(frozen=True)
class CameraModel:
    """Gain and noise of an indirect camera, in its units (ADU).

    Parameters
    ----------
    gain : float
        ADU per detected photon.
    offset : float
        ADU of a frame without light or exposure.
    dark_rate : float
        ADU per second without light.
    read_variance : float
        Variance of a frame without light or exposure (ADU²).
    dark_variance_rate : float
        Growth of that variance per second (ADU²/s).
    full_well : int
        Largest count, at most 65535.
    pattern : FixedPattern
        What every frame has in common beyond the offset.
    """

    gain: float
    offset: float
    dark_rate: float
    read_variance: float
    dark_variance_rate: float
    full_well: int
    pattern: FixedPattern = FixedPattern()

    def dark_level(self, exposure: float) -> float:
        """Mean count without light after `exposure` seconds, but for the fixed pattern."""
        return self.offset + self.dark_rate * exposure

    def dark_frame(self, shape: tuple[int, int], exposure: float) -> Floats32:
        """Mean count of every pixel without light: dark level and fixed pattern.

        Parameters
        ----------
        shape : (int, int)
            Rows and columns.
        exposure : float
            Exposure time (s).

        Returns
        -------
        (rows, columns) ndarray
        """
        return _pattern(self.pattern, shape) + np.float32(self.dark_level(exposure))

    def counts(
        self,
        signal: Floats32,
        exposure: float,
        seed: int,
        streams: Sequence[tuple[int, int]],
        workers: int | None = None,
        *,
        scale: float = 1.0,
    ) -> NDArray[np.uint16]:
        """Noisy frames.

        Parameters
        ----------
        signal : (n, rows, columns) ndarray
            Expected signal above dark (ADU), divided by `scale`.
        exposure : float
            Exposure time (s).
        seed : int
            Seed of the noise.
        streams : sequence of (int, int)
            Scan and number of each frame. The noise of a frame depends on them and the seed, not
            on the frames beside it or on the number of threads.
        workers : int, optional
            Threads.
        scale : float
            What the signal is multiplied with.

        Returns
        -------
        (n, rows, columns) ndarray of uint16
            rint(g·Poisson(s/g) + dark frame + Gaussian read noise), clipped to the full well
            (docs/explanation/physics.md, E5).
        """
        shape = signal.shape[1], signal.shape[2]
        levels = Levels(
            self.gain,
            self.dark_frame(shape, exposure).ravel(),
            float(np.sqrt(self.read_variance + self.dark_variance_rate * exposure)),
            self.full_well,
        )
        light = np.ascontiguousarray(signal, np.float32).reshape(len(signal), -1)
        frames = np.empty(light.shape, np.uint16)
        photons, lookup = scale / self.gain, tables()

        def expose_frame(k: int) -> None:
            key = np.uint64(frame_key(seed, *streams[k]))
            expose(light[k], photons, key, levels, lookup, frames[k])

        with ThreadPoolExecutor(worker_count(workers)) as pool:
            list(pool.map(expose_frame, range(len(frames))))
        return frames.reshape(signal.shape)


@lru_cache(maxsize=4)
def _pattern(pattern: FixedPattern, shape: tuple[int, int]) -> Floats32:
    return pattern.frame(shape)

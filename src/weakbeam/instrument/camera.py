"""The camera: from intensity to counts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import Floats32
from weakbeam.workers import worker_count


@dataclass(frozen=True)
class CameraModel:
    """Noise of an indirect camera, in its units (ADU).

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
        Largest count.
    """

    gain: float
    offset: float
    dark_rate: float
    read_variance: float
    dark_variance_rate: float
    full_well: int

    def dark_level(self, exposure: float) -> float:
        """Mean count without light after `exposure` seconds."""
        return self.offset + self.dark_rate * exposure

    def counts(
        self,
        signal: Floats32,
        exposure: float,
        seed: int,
        streams: Sequence[tuple[int, ...]],
        workers: int | None = None,
    ) -> NDArray[np.uint16]:
        """Noisy frames.

        Parameters
        ----------
        signal : (n, rows, columns) ndarray
            Expected signal above dark (ADU).
        exposure : float
            Exposure time (s).
        seed : int
            Seed of the noise.
        streams : sequence of tuple of int
            What tells each frame from all others; its noise depends on this and the seed alone, not
            on the frames beside it or on the number of threads.
        workers : int, optional
            Threads.

        Returns
        -------
        (n, rows, columns) ndarray of uint16
            rint(g·Poisson(s/g) + dark level + Gaussian read noise), clipped to the full well
            (docs/explanation/physics.md, E5).
        """
        noise = np.float32(np.sqrt(self.read_variance + self.dark_variance_rate * exposure))
        level = np.float32(self.dark_level(exposure))
        frames = np.empty(signal.shape, np.uint16)

        def expose(k: int) -> None:
            rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=streams[k]))
            adu = rng.standard_normal(signal.shape[1:], dtype=np.float32) * noise + level
            adu += self.gain * rng.poisson(signal[k] / self.gain)
            np.clip(np.rint(adu), 0, self.full_well, out=adu)
            frames[k] = adu

        with ThreadPoolExecutor(worker_count(workers)) as pool:
            list(pool.map(expose, range(len(frames))))
        return frames


PCO_EDGE = CameraModel(
    gain=2.14,
    offset=102.5,
    dark_rate=7.5,
    read_variance=6.3,
    dark_variance_rate=11.0,
    full_well=65535,
)
"""PCO edge 4.2 bi as measured at ID03 (docs/explanation/physics.md, E5)."""

CAMERAS = {"pco_edge": PCO_EDGE}

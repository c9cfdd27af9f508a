"""A session with a scan of a file, measured or simulated: its frames, curves and maps on demand.

Frames are read when they are looked at, so that files of any length open at once. Beside each a
simulated frame at the same motors can stand, where there is an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weakbeam.analysis.scan_grid import find_grid
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import MOTORS
from weakbeam.io.frames import read_blocks
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.measured.figures import heading_of, symbol, view_of
from weakbeam.measured.maps import MeasuredMaps, map_scan
from weakbeam.measured.pictures import intensity_label, shown_frames
from weakbeam.measured.units import shown_difference, shown_position
from weakbeam.viewer import messages
from weakbeam.viewer.answers import Answer, Job, Progress, refusal
from weakbeam.viewer.bench import Bench
from weakbeam.viewer.messages import Message
from weakbeam.viewer.pictures import (
    MOST_GLANCED,
    Picture,
    glanced_at,
    picture_of,
    stored_region,
)
from weakbeam.viewer.standing import AT_REST

__all__ = ["ScanSession"]

_KINDS = ("sum", "brightest", "com", "peak", "fwhm")
_MOST_CURVES = 32

_DEG = {"deg": np.pi / 180.0, "rad": 1.0, "mrad": 1e-3}
_UM = {"um": 1.0, "µm": 1.0, "mm": 1e3, "nm": 1e-3, "m": 1e6}


class ScanSession:
    """One scan and what has been asked of it.

    Parameters
    ----------
    scan : MeasuredScan
        From :func:`weakbeam.io.foreign.read_scan`.
    experiment : Experiment, optional
        What is simulated beside the frames.
    own : bool
        Whether the file was simulated from it: its motors then count as the experiment's do.
    workers : int, optional
        Threads.
    """

    def __init__(
        self,
        scan: MeasuredScan,
        experiment: Experiment | None = None,
        own: bool = False,
        workers: int | None = None,
    ) -> None:
        self.scan = scan
        self._workers = workers
        self._view = view_of(scan)
        self._bench = None if experiment is None else Bench(experiment, workers)
        self._grid = find_grid(scan.positions) if scan.positions else None
        self._zeros = self._first_zeros(own)
        self._curves: dict[tuple[int, ...], Floats] = {}
        self._maps: MeasuredMaps | None = None

    def handle(self, message: object) -> Answer | Job:
        """Answer a message; see :meth:`weakbeam.viewer.session.Session.handle`."""
        try:
            return self._handle(messages.checked(message))
        except InputError as error:
            return refusal(error)
        except RunError as error:
            return refusal(InputError("scan", None, str(error)))

    def _handle(self, message: Message) -> Answer | Job:
        do = message["do"]
        own: Mapping[str, Callable[[Message], Answer | Job]] = {
            "hello": self._hello,
            "frame": self._frame,
            "curve": self._curve,
            "map": self._map,
            "zero": self._zero,
        }
        if do not in own:
            raise InputError("do", do if len(do) <= 80 else None, "nothing of that name is done")
        return own[do](message)

    # ------------------------------------------------------------ frames

    def _hello(self, message: Message) -> Answer:
        motors = []
        axes: Mapping[str, Floats] = {} if self._grid is None else self._grid.axes
        for motor in self.scan.positions:
            factor, unit = shown_position(self.scan, motor)
            axis = axes.get(motor)
            motors.append(
                {
                    "name": motor,
                    "symbol": symbol(motor),
                    "unit": unit,
                    "axis": None if axis is None else (factor * axis).tolist(),
                    "zero": self._shown_zero(motor),
                }
            )
        frame = self._frame({"number": min(self.scan.frames - 1, self.scan.frames // 2)})
        about = {
            "title": heading_of(self.scan),
            "motors": motors,
            "grid": bool(self._grid is not None and self._grid.kind in ("grid", "zigzag")),
            "frames": self.scan.frames,
            "remarks": list(self.scan.warnings),
            "simulates": self._bench is not None,
            "kinds": list(_KINDS) if self.scan.positions else [],
        }
        return Answer({**frame.about, **about, "do": "scan"}, frame.pictures)

    def _frame(self, message: Message) -> Answer:
        """A frame by its number, or by its places along the motors, ``{"at": [3, 7]}``."""
        number = self._number(message)
        [values] = shown_frames(self.scan, [number])
        glanced = message.get("rough") is True and values.size > MOST_GLANCED
        pictures = {"A": glanced_at(self._picture(values)) if glanced else self._picture(values)}
        settings = {
            motor: float(shown_position(self.scan, motor)[0] * self.scan.positions[motor][number])
            for motor in self.scan.positions
        }
        about: dict[str, Any] = {
            "do": "frame",
            "number": number,
            "settings": settings,
            "places": self._places(number),
            "rough": glanced,
        }
        # Beside a frame that is only glanced at the image of the last one stays.
        if message.get("simulated") is True and self._bench is not None and not glanced:
            pictures |= self._simulated(number, pictures["A"])
            about["motors"] = self._offsets(number)
        return Answer(about, pictures)

    def _picture(self, values: Any) -> Picture:
        label = intensity_label(self.scan)
        return picture_of(values, self._view, label, first=self.scan.first)

    def _number(self, message: Message) -> int:
        if "at" not in message:
            return messages.whole(message, "number", 0, self.scan.frames - 1)
        if self._grid is None or not self._grid.axes:
            raise InputError("at", None, "the scan is on no grid; give a number")
        axes = list(self._grid.axes)
        wanted = messages.numbers(message, "at", len(axes), 0, 1e9)
        away = np.zeros(self.scan.frames)
        for place, motor in zip(wanted, axes, strict=True):
            away += np.abs(self._grid.index[motor] - place)
        return int(np.argmin(away))

    def _places(self, number: int) -> list[int]:
        if self._grid is None or not self._grid.axes:
            return []
        return [int(self._grid.index[motor][number]) for motor in self._grid.axes]

    # ------------------------------------------------------------ the simulated frame

    def _first_zeros(self, own: bool) -> dict[str, float]:
        """Where each motor stands at the Bragg setting, in its unit of the file.

        Of files of other origin the middle of the scan, until somebody says better.
        """
        zeros = {}
        for motor, positions in self.scan.positions.items():
            zeros[motor] = 0.5 * float(np.nanmin(positions) + np.nanmax(positions))
            ours = _our_name(motor)
            if own and ours is not None and self._bench is not None:
                at_rest = self._bench.setups[0].stored_position(ours, np.zeros(1))[0]
                zeros[motor] = float(at_rest)
        return zeros

    def _shown_zero(self, motor: str) -> float:
        return float(shown_position(self.scan, motor)[0] * self._zeros[motor])

    def _zero(self, message: Message) -> Answer:
        """A motor's position at the Bragg setting, in the unit that is shown."""
        motor = messages.word(message, "motor", tuple(self.scan.positions))
        value = messages.number(message, "value", -1e6, 1e6)
        self._zeros[motor] = value / shown_position(self.scan, motor)[0]
        return self._frame({**message, "simulated": True})

    def _offsets(self, number: int) -> dict[str, float]:
        """Where the motors of the experiment stand for a frame, mrad and µm."""
        offsets = dict(AT_REST)
        for motor, positions in self.scan.positions.items():
            ours = _our_name(motor)
            if ours is None:
                continue
            away = float(positions[number]) - self._zeros[motor]
            unit = self.scan.units[motor]
            if MOTORS[ours].is_angle:
                offsets[ours] = float(MOTORS[ours].shown(away * _DEG.get(unit, 1.0)))
            else:
                offsets[ours] = away * _UM.get(unit, 1.0)
        return offsets

    def _simulated(self, number: int, measured: Picture) -> dict[str, Picture]:
        assert self._bench is not None
        image = self._bench.image(0, self._offsets(number))
        shown = picture_of(image, self._bench.view(0), self._bench.value_label(0))
        pictures = {"B": shown}
        if shown.values.shape == measured.values.shape and measured.about["labels"][
            "values"
        ].startswith("intensity") == shown.about["labels"]["values"].startswith("intensity"):
            labels = {**measured.about["labels"], "values": "difference, B − A"}
            about = {**measured.about, "labels": labels, "diverging": True}
            pictures["difference"] = Picture(shown.values - measured.values, about)
        return pictures

    # ------------------------------------------------------------ curves and maps

    def _curve(self, message: Message) -> Answer | Job:
        """The mean of a region over all frames, along the motor that moves fastest."""
        if not self.scan.positions:
            raise InputError("scan", self.scan.title, "moves no motor; a curve needs a scan")
        region = tuple(round(x) for x in messages.numbers(message, "region", 4, 0, 1e6))
        rows, columns = stored_region(self._view, region)  # type: ignore[arg-type]
        number = self._number(message)
        key = (rows.start, rows.stop, columns.start, columns.stop)
        if key in self._curves:
            return self._told_curve(key, region, number)

        def work(progress: Progress) -> Answer:
            curve, done = np.empty(self.scan.frames), 0
            for numbers, frames in read_blocks(self.scan, rows, self._workers):
                part = frames[:, :, columns]
                known = np.isfinite(part)
                total = np.where(known, part, 0).sum(axis=(1, 2), dtype=np.float64)
                curve[numbers] = total / np.maximum(known.sum(axis=(1, 2)), 1)
                done += len(numbers)
                progress(done / self.scan.frames)
            while len(self._curves) >= _MOST_CURVES:
                self._curves.pop(next(iter(self._curves)))
            self._curves[key] = curve
            return self._told_curve(key, region, number)

        return Job("reading the curve", work, gives_way=True)

    def _told_curve(self, key: tuple[int, ...], region: tuple[int, ...], number: int) -> Answer:
        curve = self._curves[key]
        motor = self._fast
        factor, unit = shown_position(self.scan, motor)
        positions = factor * self.scan.positions[motor]
        chosen = self._row(number)
        order = chosen[np.argsort(positions[chosen], kind="stable")]
        return Answer(
            {
                "do": "curve",
                "side": "A",
                "region": list(region),
                "stored": list(key),
                "motor": motor,
                "label": f"{symbol(motor)} ({unit})" if unit else symbol(motor),
                "x": positions[order].tolist(),
                "y": curve[order].tolist(),
                "at": float(positions[number]),
                "values": intensity_label(self.scan),
                "perfect": {"x": [], "y": []},
            }
        )

    @property
    def _fast(self) -> str:
        axes = () if self._grid is None else tuple(self._grid.axes)
        return axes[-1] if axes else list(self.scan.positions)[-1]

    def _row(self, number: int) -> Any:
        """The frames that differ from one by the fast motor only."""
        if self._grid is None or self._grid.kind not in ("grid", "zigzag"):
            return np.arange(self.scan.frames)
        same = np.ones(self.scan.frames, bool)
        for motor in list(self._grid.axes)[:-1]:
            same &= self._grid.index[motor] == self._grid.index[motor][number]
        return np.flatnonzero(same)

    def _map(self, message: Message) -> Answer | Job:
        """A map: the sum, the brightest, or centre, peak and width over a motor."""
        if not self.scan.positions:
            raise InputError("scan", self.scan.title, "moves no motor; a map needs a scan")
        what = messages.word(message, "what", _KINDS)
        motor = messages.word(
            message, "motor", tuple(self.scan.positions), next(iter(self.scan.positions), "")
        )
        if self._maps is not None:
            return self._told_map(what, motor)

        def work(progress: Progress) -> Answer:
            done = 0.0

            def update(share: float) -> None:
                nonlocal done
                done += share
                progress(min(1.0, done))

            self._maps = map_scan(self.scan, workers=self._workers, progress=update)
            return self._told_map(what, motor)

        return Job("mapping the scan", work)

    def _told_map(self, what: str, motor: str) -> Answer:
        assert self._maps is not None
        maps, scan = self._maps.maps, self._maps.scan
        if what == "sum":
            shown = picture_of(maps.intensity, self._view, "sum of the frames")
        elif what == "brightest":
            shown = picture_of(maps.brightest, self._view, "brightest frame of each pixel")
        else:
            by_kind = maps.motors.get(motor, {})
            if what not in by_kind:
                raise InputError("what", what, f"there is none over {motor}")
            values = by_kind[what]
            middle = 0.0 if what == "fwhm" else _middle(values)
            factor, unit = shown_difference(scan, scan.units[motor], [values - middle])
            names = {"com": "centre of mass", "peak": "peak", "fwhm": "width"}
            label = f"{names[what]} in {symbol(motor)}"
            label += f" − {middle:.5g} {scan.units[motor]}" if middle else ""
            label += f" ({unit})"
            shown = picture_of(
                factor * (values - middle), self._view, label, diverging=what != "fwhm"
            )
        about = {"do": "map", "what": what, "side": "A", "remarks": list(self._maps.warnings)}
        return Answer(about, {"map": shown})


def _middle(values: Floats) -> float:
    """The median of a map, to a tenth of how far its values are from it."""
    middle = float(np.nanmedian(values))
    spread = float(np.nanpercentile(np.abs(values - middle), 90))
    if not spread > 0.0:
        return middle
    return round(middle, 1 - math.floor(math.log10(spread))) + 0.0


def _our_name(motor: str) -> str | None:
    """The motor of the experiment that a motor of a file is; None if it is none."""
    for name in ("phi", "chi", "two_theta", "z"):
        if motor in (name, MOTORS[name].beamline_name):
            return name
    # At the beamline the base tilt rocks the crystal.
    return "phi" if motor == "mu" else None

"""Simulate into a folder: HDF5 file, experiment, figures; streaming, and able to go on later."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam._typing import Floats
from weakbeam.analysis.moments import DARK, DARK_COUNTS, ScanMoments
from weakbeam.assemble import Setup, assemble
from weakbeam.describe import describe, describe_entry, image_axes, map_name, motor_value
from weakbeam.diffraction.passage import approximations
from weakbeam.drawing import FORMAT, Artist
from weakbeam.errors import InputError
from weakbeam.estimate import check_resources
from weakbeam.experiment import Experiment
from weakbeam.figures import (
    FIGURE_NAMES,
    frame_drawings,
    frame_to_show,
    read_scan,
    save_pictures,
    setting_drawings,
)
from weakbeam.imaging.engine import Engine, Progress
from weakbeam.imaging.scan import DetectorScan
from weakbeam.io.bliss import entry_name, source_path
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.reading import check_resumable, is_own_file, read_frames
from weakbeam.io.scanfile import ScanFile
from weakbeam.io.truth import TruthArray, write_truth
from weakbeam.simulation import EngineAt, dark_level, factor_moments, stack

FILE = "weakbeam.h5"
TRUTH_FILE = "weakbeam_truth.h5"
EXPERIMENT_FILE = "experiment.toml"
FIGURES = "figures"

_READ_BYTES = 64 * 2**20


@dataclass(frozen=True)
class _Stack:
    """One entry of the file: a scan, with the defects or without."""

    index: int
    scan: DetectorScan
    perfect: bool


@dataclass(frozen=True)
class Record:
    """What a run left behind.

    Parameters
    ----------
    folder : Path
        The folder.
    frames : int
        Frames in the file.
    masked : int
        Rays of the first scan that do not diffract, because the crystal is folded there or the
        field not finite.
    figures : tuple of Path
        The figures that were drawn.
    notes : tuple of str
        What the user should know of how the images were computed.
    unchanged : bool
        The run was complete, so there was nothing to resume.
    """

    folder: Path
    frames: int
    masked: int
    figures: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    unchanged: bool = False

    @property
    def file(self) -> Path:
        """The HDF5 file."""
        return self.folder / FILE


def record(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    images: NDArray[Any] | None = None,
    artist: Artist | None = None,
) -> Record:
    """Simulate an experiment into a folder.

    Parameters
    ----------
    experiment : Experiment
        What to simulate.
    folder : path-like
        Gets ``weakbeam.h5``, ``experiment.toml`` and ``figures``.
    resume : bool
        Go on with a run that ended early; nothing that is there is computed again, and a run that
        is complete stays as it is.
    overwrite : bool
        Replace a run that is there.
    workers : int, optional
        Threads; as many as there are cores unless given. The images do not depend on it.
    progress : callable, optional
        Told how many frames are newly done.
    images : ndarray, optional
        All frames, if they have been simulated already.
    artist : Artist, optional
        Draws the figures; one is made unless given. Its process ends with the run.

    Returns
    -------
    Record

    Raises
    ------
    InputError
        For an experiment that contradicts physics or needs more than the machine has, or a folder
        that cannot be used. Nothing has been written then.
    RunError
        If writing fails later; what is marked as done stays.
    """
    target = Path(folder)
    with artist or Artist() as artist:
        if experiment.output.figures:
            artist.start()
        check_resources(experiment, target, workers)
        setup = assemble(experiment)
        stacks = _stacks(setup)
        _check_folder(setup, stacks, target, overwrite)
        if resume and check_resumable(target / FILE, setup.digest) == "SUCCESS":
            return _complete(setup, stacks, target, workers)
        scan = setup.scans[0]
        if experiment.output.figures:
            artist.submit(setting_drawings(setup, scan, frame_to_show(setup, scan)))
        with _open(setup, stacks, target, resume, overwrite, workers) as file:
            if overwrite:
                _remove_results(setup, stacks, target)
            _write_experiment(experiment, target)
            if progress is not None:
                progress(float(sum(file.frames_done(part.index).sum() for part in stacks)))
            mean_q, masked = None, 0
            for part in stacks:
                engine_at = _engines(setup, part.perfect, workers)
                moments = _write_frames(setup, part, file, engine_at, workers, progress, images)
                if moments is not None:
                    file.write_maps(part.index, _maps(setup, part.scan, moments))
                if part.index == 0:
                    mean_q, masked = engine_at(float(part.scan.positions["z"][0])).mean_q()
            assert mean_q is not None
            if experiment.output.field:
                _write_field(setup, target, mean_q)
            file.finish()
        drawn: list[Path] = []
        if experiment.output.figures:
            artist.submit(frame_drawings(setup, scan, read_scan(target / FILE, 0, setup, mean_q)))
            pictures = artist.finish()
            ordered = {name: pictures[name] for name in FIGURE_NAMES if name in pictures}
            drawn = save_pictures(ordered, target / FIGURES)
    frames = sum(part.scan.frames for part in stacks)
    return Record(target, frames, masked, tuple(drawn), _notes(setup, masked))


def _complete(setup: Setup, stacks: list[_Stack], folder: Path, workers: int | None) -> Record:
    """What a run has left that was complete."""
    _, masked = setup.engine(float(setup.scans[0].positions["z"][0]), workers).mean_q()
    figures = [folder / FIGURES / f"{name}{FORMAT}" for name in FIGURE_NAMES]
    return Record(
        folder=folder,
        frames=sum(part.scan.frames for part in stacks),
        masked=masked,
        figures=tuple(path for path in figures if path.exists()),
        notes=_notes(setup, masked),
        unchanged=True,
    )


def _notes(setup: Setup, masked: int) -> tuple[str, ...]:
    notes = approximations(setup.acceptance.stops)
    if masked:
        notes.append(
            f"{masked} rays pass where the crystal is folded or its field infinite; "
            "they do not diffract"
        )
    return tuple(notes)


def _stacks(setup: Setup) -> list[_Stack]:
    """All entries of the file, in order: first those with the defects."""
    twins = (False, True) if setup.experiment.output.perfect_crystal else (False,)
    every = [(scan, perfect) for perfect in twins for scan in setup.scans]
    return [_Stack(index, scan, perfect) for index, (scan, perfect) in enumerate(every)]


def _check_folder(setup: Setup, stacks: list[_Stack], folder: Path, overwrite: bool) -> None:
    """Refuse a place that is no folder, or holds what this run would destroy unasked."""
    if folder.exists() and not folder.is_dir():
        raise InputError("--output", str(folder), "is a file; it must be a folder")
    if not overwrite and not (folder / FILE).exists():
        text = _text(folder / EXPERIMENT_FILE)
        if text is not None and text != setup.experiment.to_toml():
            raise InputError(
                "--output", str(folder), f"has an {EXPERIMENT_FILE} already: choose another folder"
            )
    if setup.experiment.output.layout == "bliss":
        for part in stacks:
            source = folder / source_path(part.index)
            if source.exists() and not is_own_file(source):
                raise InputError(
                    "--output", str(source), "is not of weakbeam: choose another folder"
                )


def _text(path: Path) -> str | None:
    """Text of a file, empty if it cannot be read as such; None if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def _remove_results(setup: Setup, stacks: list[_Stack], folder: Path) -> None:
    """Remove what an earlier run has left and this one does not replace."""
    names = (f"{name}.{suffix}" for name in FIGURE_NAMES for suffix in ("png", "svg", "pdf"))
    for path in (folder / TRUTH_FILE, *(folder / FIGURES / name for name in names)):
        path.unlink(missing_ok=True)
    index = len(stacks) if setup.experiment.output.layout == "bliss" else 0
    while is_own_file(source := folder / source_path(index)):
        source.unlink()
        with suppress(OSError):
            source.parent.rmdir()
        index += 1


def _write_experiment(experiment: Experiment, folder: Path) -> None:
    path = folder / EXPERIMENT_FILE
    try:
        path.write_text(experiment.to_toml(), encoding="utf-8")
    except OSError as error:
        raise creation_error(path, error) from None


def _open(
    setup: Setup,
    stacks: list[_Stack],
    folder: Path,
    resume: bool,
    overwrite: bool,
    workers: int | None,
) -> ScanFile:
    path = folder / FILE
    experiment = setup.experiment
    if resume:
        return ScanFile.open_for_resume(path, setup.digest, workers)
    return ScanFile.create(
        path,
        [describe_entry(setup, part.scan, part.perfect) for part in stacks],
        describe(setup),
        compression=experiment.output.compression,
        layout=experiment.output.layout,
        overwrite=overwrite,
        workers=workers,
    )


def _engines(setup: Setup, perfect: bool, workers: int | None) -> EngineAt:
    """Engines by height of the sample; the last one is kept, as it holds q of all its rays."""

    @lru_cache(maxsize=1)
    def engine_at(z: float) -> Engine:
        return setup.engine(z, workers, perfect)

    return engine_at


def _write_frames(
    setup: Setup,
    part: _Stack,
    file: ScanFile,
    engine_at: EngineAt,
    workers: int | None,
    progress: Progress | None,
    images: NDArray[Any] | None,
) -> ScanMoments | None:
    """Write the frames of an entry that are missing; return the moments of the whole scan."""
    scan = part.scan
    ideal = setup.experiment.camera.model == "ideal"
    wants_maps = bool(scan.moving) and not part.perfect
    done = file.frames_done(part.index)
    counted = None
    if wants_maps and not ideal:
        counted = _Counted(setup, scan)
        counted.add_stored(file.path, part.index, file.frames_written(part.index))
    if images is not None and not part.perfect:
        start = sum(other.frames for other in setup.scans[: part.index])
        frames = images.reshape(-1, *images.shape[-2:])[start : start + scan.frames]
        batches = iter([(np.arange(scan.frames), frames)])
    else:
        batches = stack(setup, scan, engine_at, part.index, workers, progress, ~done)
    for numbers, frames in batches:
        file.write_frames(part.index, numbers, frames)
        if counted is not None:
            counted.add(numbers, frames)
    if not wants_maps:
        return None
    return counted.moments if counted else factor_moments(setup, scan, engine_at)


class _Counted:
    """Moments of a scan from the counts of its frames, above the dark level."""

    def __init__(self, setup: Setup, scan: DetectorScan) -> None:
        centres = {motor: float(np.mean(scan.positions[motor])) for motor in scan.moving}
        self.moments = ScanMoments(setup.experiment.camera.pixels, centres)
        self._positions = {motor: scan.motor_positions(motor) for motor in scan.moving}
        self._level = dark_level(setup.experiment)

    def add(self, numbers: NDArray[Any], frames: NDArray[Any]) -> None:
        for number, frame in zip(numbers, frames, strict=True):
            at = {motor: float(x[number]) for motor, x in self._positions.items()}
            self.moments.add(frame - self._level, at)

    def add_stored(self, path: Path, index: int, numbers: NDArray[Any]) -> None:
        """Add frames of the file in the order of their writing, to the same last bit."""
        at_once = max(1, _READ_BYTES // (self.moments.intensity.size * 4))
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            self.add(some, read_frames(path, entry_name(index), some))


def _maps(setup: Setup, scan: DetectorScan, moments: ScanMoments) -> dict[str, Floats]:
    dark = DARK if setup.experiment.camera.model == "ideal" else DARK_COUNTS
    maps = {}
    for motor in scan.moving:
        scale = 1e-3 if motor == "z" else math.degrees(1.0)
        maps[map_name(motor, "com")] = motor_value(
            setup, motor, moments.center_of_mass(motor, dark)
        )
        maps[map_name(motor, "fwhm")] = scale * moments.fwhm(motor, dark)
        maps[map_name(motor, "skewness")] = moments.skewness(motor, dark)
    return maps


def _write_field(setup: Setup, folder: Path, mean_q: Floats) -> None:
    field = TruthArray(
        mean_q,
        "",
        "change of the diffraction vector, averaged over the ray",
        ("q_rock'", "q_roll", "q_2theta"),
    )
    write_truth(
        folder / TRUTH_FILE,
        {"q": field},
        image_axes(setup),
        title="projected deformation",
        configuration=setup.experiment.to_toml(),
        overwrite=True,
    )

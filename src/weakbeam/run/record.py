"""Simulate into a folder: HDF5 file, experiment, figures; streaming, and able to go on later."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.strength import NOT_KINEMATICAL
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.contract import ImagingEngine, Progress
from weakbeam.instrument.passage import approximations
from weakbeam.io.bliss import source_path
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.lock import alone_in
from weakbeam.io.reading import check_resumable, is_own_file
from weakbeam.io.scanfile import ScanFile
from weakbeam.io.truth import TruthArray, TruthEntry, write_truth
from weakbeam.plot.drawing import FORMAT, Artist, Drawing
from weakbeam.plot.files import save_pictures
from weakbeam.run.entries import Stack, describe, entries_of, first_stacks, image_axes, stacks_of
from weakbeam.run.estimate import check_resources
from weakbeam.run.figures import (
    FIGURE_NAMES,
    figure_prefix,
    frame_drawings,
    frame_to_show,
    is_own_figure,
    read_scan_data,
    setting_drawings,
)
from weakbeam.run.frames import EngineAt, camera_frames
from weakbeam.run.maps import CountedSums, ScanSums, factor_sums, scan_maps
from weakbeam.run.reflection_rows import ReflectionRow, reflection_rows, validity_notes

FILE = "weakbeam.h5"
TRUTH_FILE = "weakbeam_truth.h5"
EXPERIMENT_FILE = "experiment.toml"
FIGURES = "figures"

_PERCENT_PER_LOOSENING = 0.1
"""Rms error of the image of a population in the weak beam, per tolerated step of q."""

_READ_BYTES = 64 * 2**20


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
        Rays of the first scan of each reflection that do not diffract, because the crystal is
        folded there or the field not finite.
    figures : tuple of Path
        The figures that were drawn.
    notes : tuple of str
        What the user should know of how the images were computed.
    reflections : tuple of ReflectionRow
        The table of the reflections.
    unchanged : bool
        The run was complete, so there was nothing to resume.
    """

    folder: Path
    frames: int
    masked: int
    figures: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    reflections: tuple[ReflectionRow, ...] = ()
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
        that cannot be used or is in use by another run. Nothing has been written then.
    RunError
        If writing fails later; what is marked as done stays.
    """
    target = Path(folder)
    with artist or Artist() as artist, ExitStack() as until_the_end:
        if experiment.output.figures:
            artist.start()
        check_resources(experiment, target, workers)
        setups = assemble_all(experiment)
        stacks = stacks_of(setups)
        _check_folder(experiment, stacks, target, overwrite)
        firsts = first_stacks(stacks)
        if resume and check_resumable(target / FILE, setups[0].digest) == "SUCCESS":
            return _complete(setups, stacks, target, workers)
        until_the_end.enter_context(alone_in(target))
        if experiment.output.figures:
            for part in firsts:
                number = frame_to_show(part.setup, part.scan)
                drawings = setting_drawings(part.setup, part.scan, number)
                artist.submit(_named(drawings, part, firsts))
        with _open(setups, stacks, target, resume, overwrite, workers) as file:
            if overwrite:
                _remove_results(experiment, stacks, target)
            _write_experiment(experiment, target)
            if progress is not None:
                progress(float(sum(file.frames_done(part.index).sum() for part in stacks)))
            mean_q, masked, saturated, loosened = {}, 0, 0, 1.0
            for part in stacks:
                if part.companion:
                    _write_companion(part, part.companion, file, workers)
                    continue
                engine_at = _engines(part, workers)
                if part in firsts:
                    # Before the frames: they begin at the same height, with the same engine.
                    engine = engine_at(float(part.scan.positions["z"][0]))
                    q, without = engine.mean_q()
                    mean_q[part.index] = part.setup.detector.readout.mean(q)
                    masked += without
                    loosened = max(loosened, engine.loosened)
                sums, full = _write_frames(part, stacks, file, engine_at, workers, progress, images)
                saturated += full
                if sums is not None:
                    file.write_maps(part.index, scan_maps(part.setup, part.scan, sums))
            if experiment.output.field:
                _write_fields([(part.setup, mean_q[part.index]) for part in firsts], target)
            file.finish()
        drawn: list[Path] = []
        if experiment.output.figures:
            for part in firsts:
                data = read_scan_data(target / FILE, part.index, part.setup, mean_q[part.index])
                artist.submit(_named(frame_drawings(part.setup, part.scan, data), part, firsts))
            drawn = save_pictures(_in_order(artist.finish()), target / FIGURES)
    frames = sum(part.frames for part in stacks)
    notes, rows = _notes(setups, masked, saturated, loosened), reflection_rows(setups)
    return Record(target, frames, masked, tuple(drawn), notes, rows)


def _complete(
    setups: Sequence[Setup], stacks: list[Stack], folder: Path, workers: int | None
) -> Record:
    """What a run has left that was complete."""
    z = float(setups[0].positions["z"][0])
    engines = [setup.engine(z, workers) for setup in setups]
    masked = sum(engine.mean_q()[1] for engine in engines)
    loosened = max(engine.loosened for engine in engines)
    names = [
        f"{_prefix(part, first_stacks(stacks))}{name}{FORMAT}"
        for part in first_stacks(stacks)
        for name in FIGURE_NAMES
    ]
    figures = [folder / FIGURES / name for name in names]
    return Record(
        folder=folder,
        frames=sum(part.frames for part in stacks),
        masked=masked,
        figures=tuple(path for path in figures if path.exists()),
        notes=_notes(setups, masked, loosened=loosened),
        reflections=reflection_rows(setups),
        unchanged=True,
    )


def _notes(
    setups: Sequence[Setup], masked: int, saturated: int = 0, loosened: float = 1.0
) -> tuple[str, ...]:
    notes = [note for setup in setups for note in setup.notes]
    notes += approximations(setups[0].optics.stops)
    notes += validity_notes(setups, NOT_KINEMATICAL)
    if masked:
        notes.append(
            f"{masked} rays pass where the crystal is folded or its field infinite; "
            "they do not diffract"
        )
    if loosened > 1.0:
        most = len(setups[0].grids[-2].depths)
        notes.append(
            f"so many rays pass close to a defect that they take samples {loosened:.3g} times as "
            f"far apart as others: the image is off by {_PERCENT_PER_LOOSENING * loosened:.2g} % "
            f"or so; camera.depth_samples = {most} is finer, and slower"
        )
    if saturated:
        notes.append(
            f"{saturated} pixels of all frames are saturated, at {setups[0].detector.largest} "
            "counts; lower camera.exposure_s or camera.transmission"
        )
    return tuple(notes)


def _prefix(part: Stack, firsts: list[Stack]) -> str:
    """What the names of figures begin with: the reflection, where there are several."""
    count = len(firsts)
    return figure_prefix(firsts.index(part), count, part.setup) if count > 1 else ""


def _named(drawings: Mapping[str, Drawing], part: Stack, firsts: list[Stack]) -> dict[str, Drawing]:
    """Figures by the names of their files."""
    return {f"{_prefix(part, firsts)}{name}": drawing for name, drawing in drawings.items()}


def _in_order(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """Pictures as they are listed: by reflection, then by kind."""

    def place(name: str) -> tuple[int, int]:
        prefix, _, kind = name.rpartition("_")
        return int(prefix.partition("_")[0] or 0), FIGURE_NAMES.index(kind)

    return {name: pictures[name] for name in sorted(pictures, key=place)}


def _check_folder(
    experiment: Experiment, stacks: list[Stack], folder: Path, overwrite: bool
) -> None:
    """Refuse a place that is no folder, or holds what this run would destroy unasked."""
    if folder.exists() and not folder.is_dir():
        raise InputError("folder", str(folder), "is a file; it must be a folder")
    if (folder / FILE).resolve() in {Path(name).resolve() for name in stacks[0].setup.inputs}:
        raise InputError(
            "folder",
            str(folder),
            f"holds {FILE}, which the experiment reads: choose another folder",
        )
    if not overwrite and not (folder / FILE).exists():
        text = _text(folder / EXPERIMENT_FILE)
        if text is not None and text != experiment.to_toml():
            raise InputError(
                "folder", str(folder), f"has an {EXPERIMENT_FILE} already: choose another folder"
            )
    if experiment.output.layout == "bliss":
        for part in stacks:
            source = folder / source_path(part.index)
            if source.exists() and not is_own_file(source):
                raise InputError("folder", str(source), "is not of weakbeam: choose another folder")


def _text(path: Path) -> str | None:
    """Text of a file, empty if it cannot be read as such; None if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def _remove_results(experiment: Experiment, stacks: list[Stack], folder: Path) -> None:
    """Remove what an earlier run has left and this one does not replace."""
    figures = folder / FIGURES
    drawn = list(figures.iterdir()) if figures.is_dir() else []
    for path in (folder / TRUTH_FILE, *filter(is_own_figure, drawn)):
        path.unlink(missing_ok=True)
    index = len(stacks) if experiment.output.layout == "bliss" else 0
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
    setups: Sequence[Setup],
    stacks: list[Stack],
    folder: Path,
    resume: bool,
    overwrite: bool,
    workers: int | None,
) -> ScanFile:
    path = folder / FILE
    output = setups[0].whole.output
    if resume:
        return ScanFile.open_for_resume(path, setups[0].digest, workers)
    return ScanFile.create(
        path,
        entries_of(stacks),
        describe(setups),
        compression=output.compression,
        layout=output.layout,
        overwrite=overwrite,
        workers=workers,
    )


def _engines(part: Stack, workers: int | None) -> EngineAt:
    """Engines by height of the sample; the last one is kept, as it holds q of all its rays."""

    @lru_cache(maxsize=1)
    def engine_at(z: float) -> ImagingEngine:
        return part.setup.engine(z, workers, part.perfect)

    return engine_at


def _write_frames(
    part: Stack,
    stacks: list[Stack],
    file: ScanFile,
    engine_at: EngineAt,
    workers: int | None,
    progress: Progress | None,
    images: NDArray[Any] | None,
) -> tuple[ScanSums | None, int]:
    """Write the frames of an entry that are missing.

    Returns
    -------
    sums : ScanSums or None
        Of the whole scan, if it has maps.
    saturated : int
        Saturated pixels of its frames, but for a perfect crystal.
    """
    setup, scan = part.setup, part.scan
    wants_maps = bool(scan.moving) and not part.perfect
    done = file.frames_done(part.index)
    counted = None
    # Counts have no other source; and where frames do not come from factors, or each has a field of
    # its own, they are the cheaper one.
    from_frames = setup.detector.model is not None or scan.moving == ("z",) or not setup.factorises
    if from_frames and not part.perfect:
        counted = CountedSums(setup, scan, workers)
        counted.add_stored(file.path, part.index, file.frames_written(part.index))
    if images is not None and not part.perfect:
        start = sum(other.frames for other in stacks[: part.index])
        frames = images.reshape(-1, *images.shape[-2:])[start : start + scan.frames]
        batches = iter([(scan.places, frames)])
    else:
        batches = camera_frames(setup, scan, engine_at, part.index, workers, progress, ~done)
    for numbers, frames in batches:
        file.write_frames(part.index, numbers, frames)
        if counted is not None:
            counted.add(numbers, frames)
    if counted is not None:
        return (counted.sums if wants_maps else None), counted.saturated
    return (factor_sums(setup, scan, engine_at) if wants_maps else None), 0


def _write_companion(
    part: Stack, kind: Literal["dark", "flat"], file: ScanFile, workers: int | None
) -> None:
    """Write the frames of a dark or flat scan that are missing."""
    missing = np.flatnonzero(~file.frames_done(part.index))
    at_once = max(1, _READ_BYTES // (8 * math.prod(part.setup.experiment.camera.pixels)))
    for start in range(0, len(missing), at_once):
        numbers = missing[start : start + at_once]
        frames = part.setup.detector.companions(kind, part.index, numbers, workers)
        file.write_frames(part.index, numbers, frames)


def _write_fields(fields: Sequence[tuple[Setup, Floats]], folder: Path) -> None:
    """Write q averaged over the rays, an entry for each reflection."""
    write_truth(
        folder / TRUTH_FILE,
        [
            TruthEntry(
                {
                    "q": TruthArray(
                        mean_q,
                        "",
                        "change of the diffraction vector, averaged over the ray",
                        ("q_rock'", "q_roll", "q_2theta"),
                    )
                },
                image_axes(setup),
                f"projected deformation, ({' '.join(map(str, setup.reflection.hkl))})",
            )
            for setup, mean_q in fields
        ],
        configuration=fields[0][0].whole.to_toml(),
        overwrite=True,
    )

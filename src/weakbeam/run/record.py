"""Simulate into a folder: HDF5 file, experiment, figures; streaming, and able to go on later."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from weakbeam.assemble import Resolved, Setup, assemble_all, resolve
from weakbeam.assemble.given import FieldAxes, GivenField, with_field
from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.core.html import lines_html, table_html
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.instrument.passage import approximations
from weakbeam.io.lock import LOCK, alone_in
from weakbeam.io.reading import check_resumable
from weakbeam.io.scanfile import ScanFile
from weakbeam.io.truth import TruthArray, TruthEntry, write_truth
from weakbeam.plot.drawing import FORMAT, Artist, Drawing
from weakbeam.plot.files import save_pictures
from weakbeam.run.description import describe
from weakbeam.run.engines import Engines
from weakbeam.run.entries import EntryPlan, described_entries, entry_plans
from weakbeam.run.estimate import check_resources
from weakbeam.run.figures import (
    FIGURE_NAMES,
    figure_prefix,
    frame_drawings,
    reflection_heading,
    setting_drawings,
)
from weakbeam.run.folder import (
    FIGURES,
    FILE,
    TRUTH_FILE,
    check_folder,
    remove_results,
    write_experiment,
)
from weakbeam.run.frame_writing import Deformation, deformation_of, write_entries
from weakbeam.run.kept_inputs import KeptInputs, kept_inputs, own_copies, remove_copies
from weakbeam.run.map_axes import image_axes
from weakbeam.run.reflection_rows import ReflectionRow, reflection_rows, validity_notes
from weakbeam.run.scan_data import frame_to_show, read_scan_data
from weakbeam.run.unseen import unseen_notes

GIVEN = "field of a program"
"""What stands in place of the hash of an experiment where a field was given besides."""

_PERCENT_PER_LOOSENING = 0.1
"""Rms error of the image of a population in the weak beam, per tolerated step of q."""

_MISSED = 1.5
"""How many times less accurate than asked for images are by estimate before that is told."""


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        figures = f", {len(self.figures)} figures" if self.figures else ""
        return f"<Record {self.file}: {self.frames} frames{figures}>"

    def _repr_html_(self) -> str:
        pictures = "".join(
            f'<img style="max-width: 100%" src="data:image/png;base64,'
            f'{b64encode(path.read_bytes()).decode()}">'
            for path in self.figures
            if path.suffix == ".png" and path.is_file()
        )
        rows = [("file", str(self.file)), ("frames", str(self.frames))]
        return f"<div>{pictures}{table_html(rows)}{lines_html(self.notes)}</div>"


def record(
    experiment: Experiment | Resolved,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | bool | None = None,
    images: NDArray[Any] | None = None,
    artist: Artist | None = None,
    field: GivenField | None = None,
    field_axes: FieldAxes = "sample",
) -> Record:
    """Simulate an experiment into a folder.

    Parameters
    ----------
    experiment : Experiment or Resolved
        What to simulate.
    folder : path-like
        Gets ``weakbeam.h5``, ``experiment.toml`` and ``figures``.
    resume : bool
        Go on with a run that ended early; nothing that is there is computed again, and a run that
        is complete stays as it is. Figures that are missing are drawn.
    overwrite : bool
        Replace a run that is there.
    workers : int, optional
        Threads; as many as there are cores unless given. The images do not depend on it.
    progress : callable or bool, optional
        Called with the number of frames newly done, a float: batches count as they go on. True
        shows a bar.
    images : ndarray, optional
        All frames, if they have been simulated already.
    artist : Artist, optional
        Draws the figures; one is made unless given. Its process ends with the run.
    field, field_axes
        As for :func:`weakbeam.simulate`. The file tells the name of the field only, so that such a
        run can neither be resumed nor repeated from its file.

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
    resolved, target = resolve(experiment), Path(folder)
    experiment = resolved.experiment
    if resume and field is not None:
        raise InputError("resume", True, "not with a `field`: nothing tells whether it is the same")
    with artist or Artist() as artist, ExitStack() as until_the_end:
        if experiment.output.figures:
            artist.start()
        check_resources(resolved, target, workers)
        setups = with_field(assemble_all(resolved), field, field_axes)
        plans = entry_plans(experiment, setups)
        fingerprint = fingerprint_of(experiment)
        if field is not None:
            fingerprint = replace(fingerprint, digest=GIVEN)
        kept = kept_inputs(experiment, fingerprint, target)
        firsts = [plan for plan in plans if plan.shows_its_reflection]
        figures = _figure_paths(firsts, target) if experiment.output.figures else []
        check_folder(kept.experiment, target, len(plans), fingerprint.files, overwrite, figures)
        before = own_copies(target) if overwrite else {}
        if resume and check_resumable(target / FILE, fingerprint.digest) == "SUCCESS":
            return _complete(experiment, setups, plans, target, workers, artist)
        until_the_end.enter_context(alone_in(target))
        if experiment.output.figures:
            for plan in firsts:
                number = frame_to_show(plan.acquisition)
                artist.submit(_named(setting_drawings(plan.acquisition, number), plan, firsts))
        digest = fingerprint.digest
        with _opened(kept, setups, plans, digest, resume, overwrite, workers) as file:
            if overwrite:
                remove_results(experiment, target, len(plans))
                remove_copies(before, kept)
            kept.write()
            write_experiment(kept.experiment, target)
            done = [file.frames_done(plan.index) for plan in plans]
            tell = teller(progress, sum(frames.size for frames in done), "frames")
            if tell is not None:
                tell(float(sum(frames.sum() for frames in done)))
            written = write_entries(plans, file, workers, tell, images)
            if experiment.output.field:
                fields = [(plan.setup, written.deformations[plan.index].mean_q) for plan in firsts]
                _write_fields(kept.experiment, fields, target)
            file.finish()
        drawn: list[Path] = []
        if experiment.output.figures:
            for plan in firsts:
                mean_q = written.deformations[plan.index].mean_q
                data = read_scan_data(target / FILE, plan.index, plan.acquisition, mean_q)
                heading = reflection_heading(experiment, plan.setup)
                drawings = frame_drawings(plan.acquisition, data, heading)
                artist.submit(_named(drawings, plan, firsts))
            drawn = save_pictures(_in_order(artist.finish()), target / FIGURES, overwrite=True)
    deformations = list(written.deformations.values())
    return Record(
        folder=target,
        frames=sum(plan.frames for plan in plans),
        masked=_masked(deformations),
        figures=tuple(drawn),
        notes=(*_notes(experiment, setups, deformations, written.saturated), *kept.notes),
        reflections=reflection_rows(setups),
    )


def _opened(
    kept: KeptInputs,
    setups: Sequence[Setup],
    plans: list[EntryPlan],
    digest: str,
    resume: bool,
    overwrite: bool,
    workers: int | None,
) -> ScanFile:
    """The file of a run, with all its entries."""
    experiment, path = kept.experiment, kept.folder / FILE
    if resume:
        entries = described_entries(experiment, plans)
        return ScanFile.open_for_resume(path, digest, workers, entries)
    return ScanFile.create(
        path,
        described_entries(experiment, plans),
        describe(kept, setups, digest),
        compression=experiment.output.compression,
        layout=experiment.output.layout,
        overwrite=overwrite,
        workers=workers,
    )


def _masked(deformations: Sequence[Deformation]) -> int:
    """Rays of the first scan of each reflection that do not diffract."""
    return sum(deformation.masked for deformation in deformations)


def _complete(
    experiment: Experiment,
    setups: Sequence[Setup],
    plans: list[EntryPlan],
    folder: Path,
    workers: int | None,
    artist: Artist,
) -> Record:
    """What a run has left whose frames are complete; figures that it did not come to are drawn."""
    firsts, engines = [plan for plan in plans if plan.shows_its_reflection], Engines(workers)
    deformations = [deformation_of(plan.acquisition, engines) for plan in firsts]
    drawings: dict[str, Drawing] = {}
    for plan, deformation in zip(firsts, deformations, strict=True):
        if experiment.output.figures:
            path, acquisition = folder / FILE, plan.acquisition
            data = read_scan_data(path, plan.index, acquisition, deformation.mean_q)
            of_entry = setting_drawings(acquisition, data.number)
            of_entry |= frame_drawings(
                acquisition, data, reflection_heading(experiment, plan.setup)
            )
            drawings |= _named(of_entry, plan, firsts)
    lacking = {
        name: drawing
        for name, drawing in drawings.items()
        if not (folder / FIGURES / f"{name}{FORMAT}").exists()
    }
    if lacking or (folder / LOCK).exists():
        # A run that was killed after its last frame: it is gone, or still at work.
        with alone_in(folder):
            if lacking:
                artist.submit(lacking)
                save_pictures(_in_order(artist.finish()), folder / FIGURES, overwrite=True)
    figures = _figure_paths(firsts, folder)
    return Record(
        folder=folder,
        frames=sum(plan.frames for plan in plans),
        masked=_masked(deformations),
        figures=tuple(path for path in figures if path.exists()),
        notes=_notes(experiment, setups, deformations),
        reflections=reflection_rows(setups),
        unchanged=not lacking,
    )


def _notes(
    experiment: Experiment,
    setups: Sequence[Setup],
    deformations: Sequence[Deformation],
    saturated: int = 0,
) -> tuple[str, ...]:
    """What the user should know of how the images were computed."""
    masked = _masked(deformations)
    off = max(deformation.sampling_error for deformation in deformations)
    wanted = experiment.camera.accuracy
    loosened = max(deformation.tolerance for deformation in deformations)
    notes = [*setups[0].crystal.notes, *(note for setup in setups for note in setup.notes)]
    notes += approximations(setups[0].optics.stops)
    notes += validity_notes(setups, scanned=True)
    notes += unseen_notes(setups)
    if masked:
        notes.append(
            f"{masked} rays pass where the crystal is folded, its field infinite, or a grid dark; "
            "they do not diffract"
        )
    if off > _MISSED * wanted:
        notes.append(
            f"the images are off by {100.0 * off:.2g} % (rms) where camera.accuracy = {wanted:g} "
            f"asks for {100.0 * wanted:.2g} %: so many samples would be needed that their number "
            "is bounded"
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


def _prefix(plan: EntryPlan, firsts: list[EntryPlan]) -> str:
    """What the names of figures begin with: the reflection, where there are several."""
    count = len(firsts)
    return figure_prefix(firsts.index(plan), count, plan.setup) if count > 1 else ""


def _figure_paths(firsts: list[EntryPlan], folder: Path) -> list[Path]:
    """Where the figures of a run are, or may be."""
    names = [f"{_prefix(plan, firsts)}{name}{FORMAT}" for plan in firsts for name in FIGURE_NAMES]
    return [folder / FIGURES / name for name in names]


def _named(
    drawings: Mapping[str, Drawing], plan: EntryPlan, firsts: list[EntryPlan]
) -> dict[str, Drawing]:
    """Figures by the names of their files."""
    return {f"{_prefix(plan, firsts)}{name}": drawing for name, drawing in drawings.items()}


def _in_order(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """Pictures as they are listed: by reflection, then by kind."""

    def place(name: str) -> tuple[int, int]:
        prefix, _, kind = name.rpartition("_")
        return int(prefix.partition("_")[0] or 0), FIGURE_NAMES.index(kind)

    return {name: pictures[name] for name in sorted(pictures, key=place)}


def _write_fields(
    experiment: Experiment, fields: Sequence[tuple[Setup, Floats]], folder: Path
) -> None:
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
                f"projected deformation, ({' '.join(map(str, setup.hkl))})",
            )
            for setup, mean_q in fields
        ],
        configuration=experiment.to_toml(),
        overwrite=True,
    )

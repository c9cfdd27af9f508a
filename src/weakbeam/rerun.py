"""Repeat a run from what its own file tells, and compare."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from weakbeam.batch.shard import task_id
from weakbeam.core.notices import notice
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import files_named, with_files
from weakbeam.io.file_comparison import (
    FrameDifference,
    InputFile,
    compare_frames,
    kind_of,
    other_differences,
    read_provenance,
)
from weakbeam.io.provenance import environment, file_sha256, program_version
from weakbeam.io.reading import frames_done, read_configuration, read_entry
from weakbeam.io.shard_reading import read_samples, sample_count
from weakbeam.run.record import GIVEN, record
from weakbeam.run.simulate import simulate
from weakbeam.run.stored import stored_experiment

Progress = Callable[[float], None]

_OF_FOLDERS = ("weakbeam.h5", "library.h5", "training.h5")


@dataclass(frozen=True)
class Change:
    """Something that is not as it was: a version, or the hash of an input."""

    name: str
    then: str
    now: str


@dataclass(frozen=True)
class Original:
    """A file whose copy beside the run was read: it has changed since, or is gone."""

    name: str
    is_gone: bool


@dataclass(frozen=True)
class Rerun:
    """What came of repeating a run.

    Parameters
    ----------
    file : Path
        The file that was repeated.
    frames : tuple of FrameDifference
        For each entry, or each experiment of a sweep.
    missing : int
        Frames that the file does not have, as its run ended early.
    others : tuple of str
        Data sets beside the frames that differ.
    versions : tuple of Change
        Programs and platform, where they are not the same.
    inputs : tuple of Change
        Files that were read whose contents have changed, with their hashes.
    originals : tuple of Original
        Files of which the copies beside the run were read, and that are not as they were.
    """

    file: Path
    frames: tuple[FrameDifference, ...]
    missing: int = 0
    others: tuple[str, ...] = ()
    versions: tuple[Change, ...] = ()
    inputs: tuple[Change, ...] = ()
    originals: tuple[Original, ...] = ()

    @property
    def compared(self) -> int:
        """Frames that were compared."""
        return sum(entry.frames for entry in self.frames)

    @property
    def differing(self) -> int:
        """Frames that are not the same bit for bit."""
        return sum(entry.differing for entry in self.frames)

    @property
    def is_identical(self) -> bool:
        """Whether everything that the file has came out the same bit for bit."""
        return not self.differing and not self.others


def rerun(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Rerun:
    """Repeat a run from the experiment, seeds and inputs that its file tells, and compare.

    Parameters
    ----------
    path : path-like
        The file of a run, a library or training set, or a file of images of a sweep; or the
        folder of a run, library or training set.
    folder : path-like, optional
        Keeps what is simulated; a temporary folder unless given. Not for a file of a sweep, whose
        images are compared in memory.
    overwrite : bool
        Whether a run that is in `folder` may be replaced; not the one that is repeated.
    workers : int, optional
        Threads; as many as there are cores unless given. The images do not depend on it.
    progress : callable, optional
        Told how many frames (experiments of a sweep) are newly done.

    Returns
    -------
    Rerun

    Raises
    ------
    InputError
        If the file is none of these or damaged, its experiment is not possible any more, a file
        that it names is gone, or a program gave a field besides.
    RunError
        If a frame cannot be read, or the disk fails.
    """
    path = repeated_file(path)
    kind = kind_of(path)
    if kind == "shard":
        if folder is not None:
            allowed = "is for runs and libraries; images of a sweep are compared in memory"
            raise InputError("folder", str(folder), allowed)
        return _rerun_shard(path, workers, progress)
    origin = read_provenance(path)
    if origin.digest == GIVEN:
        allowed = (
            "was made with a field of a program besides its experiment, which no file holds; run "
            "that program again"
        )
        raise InputError("file", str(path), allowed)
    experiment = _experiment(read_configuration(path), path)
    experiment, inputs, originals = _with_inputs(experiment, origin.inputs, path)
    with ExitStack() as until_the_end:
        if folder is None:
            # Nobody sees the figures of a temporary folder.
            quiet = experiment.output.model_copy(update={"figures": False})
            experiment = experiment.model_copy(update={"output": quiet})
            target = until_the_end.enter_context(TemporaryDirectory(prefix="weakbeam-rerun-"))
        else:
            target = os.fspath(folder)
            if os.path.realpath(target) == os.path.realpath(path.parent):
                allowed = "holds the file that is repeated; give another folder"
                raise InputError("folder", target, allowed)
        if kind == "library":
            from weakbeam.identify.library.writing import generate_images

            made = generate_images(
                experiment, target, overwrite=overwrite, workers=workers, progress=progress
            )
            repeated = made.file
        else:
            repeated = record(
                experiment, target, overwrite=overwrite, workers=workers, progress=progress
            ).file
        frames = tuple(compare_frames(path, repeated))
        stored = frames_done(path)
        is_complete = all(read_entry(path, name).end_reason == "SUCCESS" for name in stored)
        others = other_differences(path, repeated) if is_complete else ()
    return Rerun(
        path,
        frames,
        missing=sum(int((~done).sum()) for done in stored.values()),
        others=others,
        versions=_changed_versions(origin.version, origin.environment),
        inputs=inputs,
        originals=originals,
    )


def repeated_file(path: str | os.PathLike[str]) -> Path:
    """The file meant by the folder of a run, library or training set; any other path as it is."""
    path = Path(path)
    named = (path / name for name in _OF_FOLDERS) if path.is_dir() else ()
    return next((file for file in named if file.is_file()), path)


def repeated_amount(path: str | os.PathLike[str]) -> int:
    """How much :func:`rerun` will tell its progress: frames, members or experiments."""
    path = repeated_file(path)
    kind = kind_of(path)
    if kind == "shard":
        return sample_count(path)
    if kind == "library":
        from weakbeam.identify.library.writing import count_images

        return count_images(_experiment(read_configuration(path), path))
    return sum(done.size for done in frames_done(path).values())


def _rerun_shard(path: Path, workers: int | None, progress: Progress | None) -> Rerun:
    frames, inputs = [], []
    for sample in read_samples(path):
        experiment = _experiment(sample.experiment, path)
        if (identity := task_id(experiment)) != sample.id:
            inputs.append(Change(sample.name, sample.id, identity))
        images = simulate(experiment, workers).images.values
        if images.shape != sample.images.shape or images.dtype != sample.images.dtype:
            allowed = f"has images of another size or type in {sample.name} than it would have now"
            raise InputError("file", str(path), allowed)
        shape = (-1, *images.shape[-2:])
        difference = FrameDifference(sample.name)
        frames.append(difference.plus(sample.images.reshape(shape), images.reshape(shape)))
        if progress is not None:
            progress(1)
    return Rerun(path, tuple(frames), inputs=tuple(inputs))


def _experiment(text: str, path: Path) -> Experiment:
    try:
        return stored_experiment(text, path)
    except InputError as error:
        allowed = f"its experiment is none of this version ({error})"
        raise InputError("file", str(path), allowed) from None


def _changed_versions(version: str, then: Mapping[str, str]) -> tuple[Change, ...]:
    now = environment()
    pairs = [("weakbeam", version, program_version())]
    # What an older version did not note cannot be compared.
    pairs += [(name, value, now[name]) for name, value in then.items() if name in now]
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def _with_inputs(
    experiment: Experiment, inputs: Sequence[InputFile], path: Path
) -> tuple[Experiment, tuple[Change, ...], tuple[Original, ...]]:
    """The experiment with the files that are read, and what is not as it was."""
    changes, originals, taken = [], [], {}
    named = {os.path.abspath(name) for _, name in files_named(experiment)}
    for file in inputs:
        copy = os.path.join(path.parent, file.kept_as) if file.kept_as else ""
        name = copy or file.original
        if name != copy or os.path.abspath(copy) not in named:
            notice(f"{path} compares the file {name} with what it was")
        now = _hash_of(name)
        if copy and os.path.abspath(copy) != file.original:
            notice(f"{path} compares the file {file.original} with what it was")
            original = _hash_of(file.original)
            if now is None and original == file.sha256:
                taken[os.path.abspath(copy)], now = file.original, original
            elif original != file.sha256:
                originals.append(Original(file.original, is_gone=original is None))
        if now is None:
            allowed = "cannot be read, and no copy of it is left; put it back to repeat the run"
            raise InputError("simulation/inputs", name, allowed)
        if now != file.sha256:
            changes.append(Change(name, file.sha256, now))
    found = with_files(experiment, lambda name: taken.get(os.path.abspath(name), name))
    return found, tuple(changes), tuple(originals)


def _hash_of(name: str) -> str | None:
    """The hash of a regular file; None where there is none that can be read."""
    try:
        return file_sha256(name) if os.path.isfile(name) else None
    except OSError:
        return None

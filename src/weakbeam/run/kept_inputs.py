"""Copies of the files that an experiment names, in the folder of what is made of it.

A folder with its copies can be moved and repeated anywhere, also when the files of then are gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weakbeam.assemble.inputs import Fingerprint, fingerprint_of, input_files
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.experiment.files import files_named, with_files
from weakbeam.io.diskerrors import disk_reason
from weakbeam.io.file_comparison import read_provenance
from weakbeam.io.provenance import bytes_sha256, file_sha256
from weakbeam.io.targets import claim_folder, place_bytes
from weakbeam.run.folder import FILE

INPUTS = "inputs"
"""The folder of the copies, inside that of a run."""

LARGEST_COPY = 32 * 2**20
"""A larger file is not copied (bytes): it is named by its whole path, with its hash."""


@dataclass(frozen=True)
class KeptFile:
    """A file that an experiment names.

    Parameters
    ----------
    name : str
        As the experiment has it.
    original : str
        Its whole path.
    sha256 : str
        Of its content.
    stored : str
        How it is called from the folder of the results: a path inside, or `original`.
    is_copy : bool
        Whether it is copied there.
    """

    name: str
    original: str
    sha256: str
    stored: str
    is_copy: bool = False

    @property
    def is_inside(self) -> bool:
        """Whether it goes along when the folder is moved."""
        return self.stored != self.original

    def write(self, folder: Path) -> None:
        """Make the copy in a folder, if there is to be one and it is not there."""
        target = folder / self.stored
        if not self.is_copy or _holds(target, self.sha256):
            return
        try:
            data = Path(self.original).read_bytes()
        except OSError as error:
            raise RunError(f"{self.original}: {disk_reason(error)}") from None
        if bytes_sha256(data) != self.sha256:
            raise RunError(f"{self.original}: has changed while it was read; start again")
        claim_folder(target.parent)
        place_bytes(target, data)


@dataclass(frozen=True)
class KeptInputs:
    """An experiment as it stands in a folder of results, and the files that it names there.

    Parameters
    ----------
    experiment : Experiment
        With names that count from the folder.
    files : tuple of KeptFile
        Every file once.
    folder : Path
        The folder.
    """

    experiment: Experiment
    files: tuple[KeptFile, ...]
    folder: Path

    @property
    def notes(self) -> tuple[str, ...]:
        """What is too large for a copy."""
        return too_large(self.files)

    def of(self, experiment: Experiment) -> KeptInputs:
        """The same of an experiment that names some of these files."""
        stored = {file.name: file.stored for file in self.files}
        named = {*input_files(experiment)}
        return KeptInputs(
            with_files(experiment, lambda name: stored[name]),
            tuple(file for file in self.files if file.name in named),
            self.folder,
        )

    def write(self) -> None:
        """Make the copies that are not there.

        Raises
        ------
        InputError
            If the folder takes no file.
        RunError
            If a file has changed since it was read, or the disk fails.
        """
        for file in self.files:
            file.write(self.folder)


def kept_inputs(experiment: Experiment, fingerprint: Fingerprint, folder: Path) -> KeptInputs:
    """Find names for the copies of an experiment's files; nothing is written.

    A name that another file has already gets a number, so that no file is ever replaced; a file
    that lies in the folder is taken as it is.

    Parameters
    ----------
    experiment : Experiment
        The description.
    fingerprint : Fingerprint
        Of it: the hashes of its files.
    folder : Path
        Of the results; it need not exist.
    """
    files = kept_files(groups_of(experiment), fingerprint.files, folder)
    stored = with_files(experiment, lambda name: files[name].stored)
    return KeptInputs(stored, tuple(files.values()), folder)


def too_large(files: Iterable[KeptFile]) -> tuple[str, ...]:
    """Say which files are not copied."""
    return tuple(
        f"{file.original} is not copied, as it is larger than {LARGEST_COPY >> 20} MiB or leads to "
        "what is: repeat this where it is found"
        for file in files
        if not file.is_inside
    )


def kept_files(
    groups: Iterable[Sequence[str]], hashes: Mapping[str, str], folder: Path
) -> dict[str, KeptFile]:
    """Names for the copies of files, by their names.

    Parameters
    ----------
    groups : iterable of sequences of str
        Each file with those to which it leads, which stay where they are from it.
    hashes : mapping of str to str
        SHA-256 of each.
    folder : Path
        Of the results.
    """
    files: dict[str, KeptFile] = {}
    taken: dict[str, str] = {}
    for group in groups:
        if group[0] not in files:
            files |= {file.name: file for file in _kept(group, hashes, folder, taken)}
    return files


def text_in(experiment: Experiment, folder: Path) -> str:
    """An experiment as it stands in a folder of results, as TOML."""
    try:
        fingerprint = fingerprint_of(experiment)
    except OSError:
        # Whoever reads the file says so, with its key.
        return experiment.to_toml()
    return kept_inputs(experiment, fingerprint, folder).experiment.to_toml()


def own_copies(folder: Path) -> dict[str, str]:
    """Names and hashes of the copies that an earlier run has made in a folder."""
    try:
        return {
            file.kept_as: file.sha256
            for file in read_provenance(folder / FILE).inputs
            if file.kept_as.startswith(f"{INPUTS}/")
        }
    except (InputError, RunError):
        return {}


def remove_copies(earlier: Mapping[str, str], kept: KeptInputs) -> None:
    """Remove copies of an earlier run that are as it made them, and not needed any more."""
    needed = {file.stored for file in kept.files}
    home = os.path.realpath(kept.folder)
    for name, digest in earlier.items():
        path = kept.folder / name
        if name not in needed and _inside(home, os.path.realpath(path)) and _holds(path, digest):
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()


def with_whole_paths(experiment: Experiment) -> Experiment:
    """The experiment with whole paths of its files, for results that keep no copies."""
    return with_files(experiment, os.path.abspath)


def groups_of(experiment: Experiment) -> Iterator[list[str]]:
    """The files that are named, each with those to which it leads."""
    led_to: dict[str, list[str]] = {}
    for table in experiment.defects:
        names = [name for _, name in files_named(table)]
        if names:
            led_to.setdefault(names[0], []).extend(set(table.files) - {*names})
    for _, name in files_named(experiment):
        yield [name, *sorted(set(led_to.get(name, ())))]


def _kept(
    group: Sequence[str], hashes: Mapping[str, str], folder: Path, taken: dict[str, str]
) -> list[KeptFile]:
    """Names for a file and those to which it leads, which stay where they are from it."""
    originals = [os.path.abspath(name) for name in group]
    sums = [hashes[name] for name in group]
    home = os.path.realpath(folder)
    inside = [_inside(home, os.path.realpath(name)) for name in originals]
    if all(inside):
        return list(map(KeptFile, group, originals, sums, inside))
    above = os.path.dirname(originals[0])
    below = [os.path.relpath(name, above) for name in originals]
    large = any(os.path.getsize(name) > LARGEST_COPY for name in originals)
    if large or any(name.startswith(os.pardir) for name in below):
        return list(map(KeptFile, group, originals, sums, originals))
    stem, suffix = os.path.splitext(below[0])
    for number in range(1, len(hashes) + 10**6):
        addition = "" if number == 1 else f"-{number}"
        if len(group) == 1:
            stored = [f"{INPUTS}/{stem}{addition}{suffix}"]
        else:
            stored = [f"{INPUTS}/{stem}{addition}/{Path(name).as_posix()}" for name in below]
        if all(
            taken.get(name, digest) == digest and _is_free(folder / name, digest)
            for name, digest in zip(stored, sums, strict=True)
        ):
            break
    taken.update(zip(stored, sums, strict=True))
    return [KeptFile(*row, True) for row in zip(group, originals, sums, stored, strict=True)]


def _inside(home: str, path: str) -> str:
    """A path from a folder, if it is inside; else empty."""
    try:
        if os.path.commonpath([home, path]) != home:
            return ""
    except ValueError:  # Two drives of Windows.
        return ""
    return Path(os.path.relpath(path, home)).as_posix()


def _is_free(path: Path, sha256: str) -> bool:
    return not os.path.lexists(path) or _holds(path, sha256)


def _holds(path: Path, sha256: str) -> bool:
    """Whether a file is there with a certain content."""
    try:
        return path.is_file() and file_sha256(path) == sha256
    except OSError:
        return False

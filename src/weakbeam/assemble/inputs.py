"""The files that an experiment names, and what tells whether images are still its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weakbeam.experiment import Experiment
from weakbeam.io.provenance import file_sha256, text_sha256


@dataclass(frozen=True)
class Fingerprint:
    """What the images of an experiment depend on.

    Parameters
    ----------
    files : mapping of str to str
        SHA-256 of every file that the experiment names.
    digest : str
        SHA-256 of the experiment and these files.
    """

    files: Mapping[str, str]
    digest: str


def fingerprint_of(experiment: Experiment) -> Fingerprint:
    """Read the files that an experiment names.

    Raises
    ------
    OSError
        If one of them cannot be read.
    """
    files = {file: file_sha256(file) for file in input_files(experiment)}
    digest = experiment.digest
    return Fingerprint(files, text_sha256(digest + "".join(files.values())) if files else digest)


def input_files(experiment: Experiment) -> list[str]:
    """The files that an experiment names, by which its images change."""
    e = experiment
    stored = [file for table in e.defects for file in table.files]
    files = (e.crystal.cif, e.acceptance.file, e.camera.file, *stored)
    return [file for file in files if file is not None]

"""The files that an experiment names, and what tells whether images are still its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from weakbeam.experiment import Experiment
from weakbeam.experiment.files import files_named, with_files
from weakbeam.io.provenance import file_sha256, text_sha256


@dataclass(frozen=True)
class Fingerprint:
    """What the images of an experiment depend on.

    Parameters
    ----------
    files : mapping of str to str
        SHA-256 of every file that the experiment names.
    digest : str
        SHA-256 of the experiment and of what these files hold, whatever their names are.
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
    return Fingerprint(files, digest_of(experiment, files.__getitem__))


def digest_of(
    experiment: Experiment, sha256_of: Callable[[str], str], text: str | None = None
) -> str:
    """What tells an experiment from all others: a hash of it and of the contents of its files.

    Parameters
    ----------
    experiment : Experiment
        The description.
    sha256_of : callable
        Gives the hash of a file by its name in the experiment.
    text : str, optional
        The experiment as TOML, if that is known.

    Returns
    -------
    str
        64 hexadecimal digits; the same wherever the files are.
    """
    files = input_files(experiment)
    if not files:
        return experiment.digest if text is None else text_sha256(text)
    by_content = with_files(experiment, sha256_of)
    return text_sha256(by_content.digest + "".join(map(sha256_of, files)))


def input_files(experiment: Experiment) -> list[str]:
    """The files that an experiment names, by which its images change, each once."""
    named = [name for _, name in files_named(experiment)]
    led_to = [file for table in experiment.defects for file in table.files]
    return [*dict.fromkeys([*named, *led_to])]

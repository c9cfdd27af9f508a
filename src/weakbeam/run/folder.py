"""The folder of a run: the names of its files, and what may be written or removed there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.bliss import source_path
from weakbeam.io.places import RUN_FILE
from weakbeam.io.reading import is_own_file
from weakbeam.io.targets import (
    EXPERIMENT,
    PICTURE,
    RUN,
    SOURCE,
    TRUTH,
    claim,
    claim_folder,
    place_bytes,
)
from weakbeam.run.figures import is_own_figure

FILE = RUN_FILE
TRUTH_FILE = "weakbeam_truth.h5"
EXPERIMENT_FILE = "experiment.toml"
FIGURES = "figures"


def check_folder(
    experiment: Experiment,
    folder: Path,
    entries: int,
    inputs: Iterable[str],
    overwrite: bool,
    figures: Sequence[Path] = (),
) -> None:
    """Refuse a place that is no folder, or holds what a run would destroy unasked.

    Parameters
    ----------
    experiment : Experiment
        What is to be simulated.
    folder : Path
        Where the output goes; it need not exist.
    entries : int
        Number of entries that the file will have.
    inputs : iterable of str
        The files that the experiment reads.
    overwrite : bool
        Whether a run that is there may be replaced.
    figures : sequence of Path
        The figures that will be drawn.

    Raises
    ------
    InputError
        With what is there.
    """
    claim_folder(folder)
    claim(folder / FILE, RUN, overwrite=True)
    claim(folder / TRUTH_FILE, TRUTH, overwrite=True)
    claim(folder / EXPERIMENT_FILE, EXPERIMENT, overwrite=True)
    if figures:
        claim_folder(folder / FIGURES)
    for path in figures:
        # Those of a run that is there go with it.
        claim(path, PICTURE, overwrite=overwrite or (folder / FILE).exists())
    if (folder / FILE).resolve() in {Path(name).resolve() for name in inputs}:
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
        for index in range(entries):
            claim(folder / source_path(index), SOURCE, overwrite=True)


def remove_results(experiment: Experiment, folder: Path, entries: int) -> None:
    """Remove what an earlier run has left and one of so many entries does not replace."""
    figures = folder / FIGURES
    drawn = list(figures.iterdir()) if figures.is_dir() else []
    own = [path for path in drawn if is_own_figure(path) and PICTURE.is_one(path)]
    for path in (folder / TRUTH_FILE, *own):
        path.unlink(missing_ok=True)
    index = entries if experiment.output.layout == "bliss" else 0
    while is_own_file(source := folder / source_path(index)):
        source.unlink()
        with suppress(OSError):
            source.parent.rmdir()
        index += 1


def write_experiment(experiment: Experiment, folder: Path) -> None:
    """Write the experiment beside the images.

    Raises
    ------
    InputError or RunError
        If it cannot be written: the place is badly chosen, or the disk fails.
    """
    path = claim(folder / EXPERIMENT_FILE, EXPERIMENT, overwrite=True)
    place_bytes(path, experiment.to_toml().encode())


def _text(path: Path) -> str | None:
    """Text of a file, empty if it cannot be read as such; None if there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""

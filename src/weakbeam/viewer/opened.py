"""A session with the scan of a file, and with the experiment that the file holds, if any."""

from __future__ import annotations

from pathlib import Path

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.io.foreign import Source
from weakbeam.io.reading import is_own_file, read_configuration
from weakbeam.measured.pictures import scan_or_image
from weakbeam.run.stored import stored_experiment
from weakbeam.viewer.places import Folder
from weakbeam.viewer.scan_session import ScanSession


def scan_session(
    source: Source,
    entry: str | None = None,
    experiment: Experiment | None = None,
    workers: int | None = None,
) -> ScanSession:
    """Open a scan.

    Parameters
    ----------
    source : path
        A file of this program or of a beamline, or EDF images.
    entry : str, optional
        Name of the entry.
    experiment : Experiment, optional
        What is simulated beside its frames; that of the file, if it holds one, unless given. A
        file of somebody else may name any other file: such an experiment is used only if it reads
        none outside of the folder of the file.
    workers : int, optional
        Threads.

    Raises
    ------
    InputError
        If the file is no scan, or the given experiment contradicts physics.
    """
    scan = scan_or_image(source, entry)
    path = Path(scan.path)
    own = path.is_file() and is_own_file(path)
    if experiment is not None:
        return ScanSession(scan, experiment, own, workers)
    if own:
        try:
            stored = stored_experiment(read_configuration(path), path)
            Folder(path.parent).check(stored)
            return ScanSession(scan, stored, True, workers)
        except InputError:
            # The frames can be looked at all the same.
            pass
    return ScanSession(scan, None, False, workers)

"""What a fit of a stack has done so far, kept on the disk so that it can be carried on."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.defects.loop_types import LoopType
from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError, RunError
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_line import FittedLine
from weakbeam.fit.fitted_loop import FittedLoop
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.line_place import LinePlace
from weakbeam.fit.stack_climb import Checkpoint, Normal
from weakbeam.fit.stack_model import State

_OF = "of.json"
_NUMBERS = ("offsets", "tilt", "blur", "light", "background", "brightness")
_SUMS = ("chi2", "pixels", "matrix", "gradient", "frame_matrix", "frame_gradient", "mixed")


@dataclass
class Journal:
    """The climbs of a fit in their order, a file each.

    What a search does next follows from what its climbs have found: one that is carried on asks for
    the same climbs again, is told how they ended, and goes on with the last from its last step.

    Parameters
    ----------
    folder : Path
        Where the files are.
    """

    folder: Path
    _climbs: int = field(default=0, init=False)

    @classmethod
    def of(cls, folder: str | os.PathLike[str], fit: str, resume: bool) -> Journal:
        """Begin one, or carry one on.

        Parameters
        ----------
        folder : path
            Where it is kept; emptied unless it is carried on.
        fit : str
            What tells fits apart: a hash of stack, experiment and options.
        resume : bool
            Whether a fit is carried on.

        Raises
        ------
        InputError
            If there is none to carry on, or it is that of another stack or experiment.
        RunError
            If the folder cannot be written.
        """
        path = Path(folder)
        own = path / _OF
        if resume:
            try:
                begun = json.loads(own.read_text(encoding="utf-8"))["fit"]
            except (OSError, ValueError, KeyError, TypeError):
                raise InputError("resume", str(path), "holds no fit that ended early") from None
            if begun != fit:
                allowed = "is of another stack, experiment, list or version of weakbeam"
                raise InputError("resume", str(path), allowed)
            return cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            for old in path.glob("climb-*.npz"):
                old.unlink()
            own.write_text(json.dumps({"fit": fit}), encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path} cannot be written ({error})") from None
        return cls(path)

    @staticmethod
    def begun(folder: str | os.PathLike[str]) -> bool:
        """Whether a folder holds a fit that ended early."""
        return (Path(folder) / _OF).is_file()

    def next(self) -> Record:
        """The record of the next climb."""
        self._climbs += 1
        return Record(self.folder / f"climb-{self._climbs:04}.npz")

    def remove(self) -> None:
        """Take it away: the fit is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Record:
    """Where a climb is kept.

    Parameters
    ----------
    path : Path
        Its file.
    """

    path: Path

    def kept(self) -> Checkpoint | None:
        """How far it has come, if it has begun."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return _checkpoint(file)
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def keep(self, point: Checkpoint) -> None:
        """Keep how far it has come.

        Raises
        ------
        RunError
            If the file cannot be written.
        """
        memory = io.BytesIO()
        np.savez(memory, **_arrays(point))
        new = self.path.with_suffix(".new")
        try:
            # A file that is there is always whole.
            new.write_bytes(memory.getvalue())
            os.replace(new, self.path)
        except OSError as error:
            raise RunError(f"{self.path} cannot be written ({error})") from None


def _arrays(point: Checkpoint) -> dict[str, Any]:
    numbers = [point.damping, point.failures, point.number, point.done, point.converged]
    arrays: dict[str, Any] = {"climb": np.array(numbers, dtype=np.float64)}
    for name, state in (("here", point.here.state), ("origin", point.origin)):
        arrays |= {f"{name}.{key}": np.asarray(getattr(state, key)) for key in _NUMBERS}
        arrays[f"{name}.lines"] = np.array(json.dumps([_of_line(line) for line in state.lines]))
    arrays |= {key: np.asarray(getattr(point.here, key)) for key in _SUMS}
    arrays["log_prior"] = np.array(point.here.log_prior)
    return arrays


def _checkpoint(file: Any) -> Checkpoint:
    damping, failures, number, done, converged = file["climb"].tolist()
    states = []
    for name in ("here", "origin"):
        values = {key: file[f"{name}.{key}"] for key in _NUMBERS}
        values["blur"] = float(values["blur"])
        lines = tuple(_line(line) for line in json.loads(str(file[f"{name}.lines"])))
        states.append(State(**values, lines=lines))
    sums = {key: file[key] for key in _SUMS}
    sums["chi2"], sums["pixels"] = float(sums["chi2"]), int(sums["pixels"])
    here = Normal(state=states[0], **sums, log_prior=float(file["log_prior"]))
    return Checkpoint(
        here, states[1], damping, int(failures), int(number), bool(done), bool(converged)
    )


def _of_line(line: FittedDefect) -> dict[str, Any]:
    """A defect as plain values."""
    told: dict[str, Any] = {"kind": line.kind, "at": line.at.tolist()}
    told["type"] = dataclasses.asdict(line.type)
    if isinstance(line, FittedLine):
        place = line.place
        told |= {"names": place.names, "axes": place.axes.tolist(), "base": place.base.tolist()}
        return told | {"turning": line.turning}
    if isinstance(line, FittedLoop):
        return told | {"axes": line.axes.tolist(), "radius_um": line.radius_um}
    assert isinstance(line, FittedWall)
    told["axes"] = line.axes.tolist()
    return told | {"base": line.base.tolist(), "spacing_um": line.spacing_um}


def _line(told: dict[str, Any]) -> FittedDefect:
    """The defect that :func:`_of_line` has told of."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in told["type"].items()
    }
    at, axes = np.array(told["at"]), np.array(told["axes"])
    if told["kind"] == "loop":
        return FittedLoop(LoopType(**fields), axes, at, told["radius_um"])
    kind = DislocationType(**fields)
    if told["kind"] == "wall":
        return FittedWall(kind, axes, np.array(told["base"]), at, told["spacing_um"])
    first, second = told["names"]
    place = LinePlace((first, second), axes, np.array(told["base"]))
    return FittedLine(kind, place, at, told["turning"])

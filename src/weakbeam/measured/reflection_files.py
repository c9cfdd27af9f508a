"""Which entries of which files are the scans of each reflection, and where their motors stood."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakbeam.assemble import Setup, assemble_all
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.imaging.motors import ANGLES, MOTORS
from weakbeam.io.foreign import entry_range, read_scan, scan_names
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.scan_motors import base_name
from weakbeam.measured.layers import FEWEST_FRAMES, SAME_HEIGHT, with_their_layers
from weakbeam.measured.reflection_scan import ReflectionScan

_THEIRS = {"phi": ("phi", "mu"), "chi": ("chi",), "two_theta": ("obpitch",)}
"""Names of the motors at the beamline; without φ, μ rocks as it does in the symmetric geometry."""

_HEIGHTS = (MOTORS["z"].beamline_name, "samz", "smz")
"""Names of the sample's height, where it is a length: `diffrz` turns the sample at ID03."""

_IN_MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "m": 1e6}

_NEAR = 0.02
"""Distance (rad) from the Bragg setting beyond which a motor's zero is not that of the geometry."""

_SAME = 1e-9

Source = str | os.PathLike[str]


def reflection_scans(
    sources: Sequence[Source], experiment: Experiment | None = None
) -> list[ReflectionScan]:
    """Find the scans of every reflection.

    Parameters
    ----------
    sources : sequence of path
        ``FILE`` or ``FILE::ENTRIES`` (``1.1-11.1``, ``1,3``), one for each reflection in the order
        of the experiment. A simulated file may hold several reflections.
    experiment : Experiment, optional
        Crystal, instrument and reflections; by default what a simulated file holds.

    Returns
    -------
    list of ReflectionScan
        One for each reflection.

    Raises
    ------
    InputError
        If a file cannot be read, the number of scans does not fit the reflections, or a scan moves
        none of φ, χ and 2θ.
    """
    found = [part for number, source in enumerate(sources) for part in _parts(number, source)]
    if experiment is None:
        unknown = next((part for part in found if part.setup is None), None)
        if unknown is not None:
            raise InputError(
                "scan", str(unknown.path), "holds no experiment: give one, with a reflection a scan"
            )
        groups = _by_reflection(found)
    else:
        setups = assemble_all(experiment.model_copy(update={"defects": ()}))
        if len(sources) == len(setups):
            groups = [[part for part in found if part.number == k] for k in range(len(sources))]
        elif all(part.setup is not None for part in found):
            groups = _in_order_of(setups, _by_reflection(found))
        else:
            groups = []
        if len(groups) != len(setups):
            raise InputError(
                "scan",
                f"{len(sources)} given",
                f"the experiment has {len(setups)} reflections: give as many scans, in their order",
            )
        groups = [
            [_Part(p.number, p.path, p.entry, setup, p.own) for p in group]
            for group, setup in zip(groups, setups, strict=True)
        ]
    return with_their_layers([_reflection_scan(group) for group in groups])


@dataclass(frozen=True, eq=False)
class _Part:
    """An entry of a file, and the setup that the file tells."""

    number: int
    path: Path
    entry: str
    setup: Setup | None
    own: bool


def _parts(number: int, source: Source) -> list[_Part]:
    """The entries that one argument names."""
    split = re.fullmatch(r"(.*?)(?:::(.*))?", os.fspath(source), re.S)
    assert split is not None
    path, text = Path(split[1]), split[2]
    setups = _own_setups(path)
    if text is not None:
        names = entry_range(path, text)
    else:
        names = list(scan_names(path))
        if setups is not None:
            # Scans of the camera alone come after those of the reflections.
            names = names[: len(setups)]
    if setups is None:
        return [_Part(number, path, name, None, False) for name in names]
    parts = []
    for name in names:
        place = int(name.partition(".")[0]) - 1
        parts.append(_Part(number, path, name, setups[place % len(setups)], True))
    return parts


def _own_setups(path: Path) -> list[Setup] | None:
    """The setup of every entry of a simulated file, in their order; None of another file."""
    from weakbeam.io.reading import is_own_file, read_configuration
    from weakbeam.run.acquisition import acquisitions_of
    from weakbeam.run.stored import stored_experiment

    if not path.is_file() or not is_own_file(path):
        return None
    try:
        experiment = stored_experiment(read_configuration(path), path)
        setups = assemble_all(experiment.model_copy(update={"defects": ()}))
    except KeyError:
        return None
    return [acquisition.setup for acquisition in acquisitions_of(setups)]


def _by_reflection(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Entries of the same reflection at the same setting together, in the order of the first."""
    groups: dict[tuple[object, ...], list[_Part]] = {}
    for part in parts:
        assert part.setup is not None
        geometry = part.setup.geometry
        # Other files may hold the same reflection once more: those are scans of their own.
        key = (part.number, part.setup.hkl, *np.round(geometry.lab_from_sample, 9).ravel())
        groups.setdefault(key, []).append(part)
    return list(groups.values())


def _in_order_of(setups: Sequence[Setup], groups: Sequence[list[_Part]]) -> list[list[_Part]]:
    """Groups in the order of setups of the same reflections; none if they are others."""
    ordered = []
    for setup in setups:
        wanted = (setup.hkl, *np.round(setup.geometry.lab_from_sample, 4).ravel())
        for group in groups:
            known = group[0].setup
            assert known is not None
            if (known.hkl, *np.round(known.geometry.lab_from_sample, 4).ravel()) == wanted:
                ordered.append(group)
                break
    return ordered if len(ordered) == len(groups) == len(setups) else []


def _reflection_scan(parts: Sequence[_Part]) -> ReflectionScan:
    setup = parts[0].setup
    assert setup is not None
    scans = [_read(part) for part in parts]
    for scan in scans[1:]:
        if (scan.shape, scan.dtype) != (scans[0].shape, scans[0].dtype):
            raise InputError("scan", scan.where, f"has frames unlike those of {scans[0].where}")
    if scans[0].shape != setup.detector.shape:
        rows, columns = setup.detector.shape
        raise InputError(
            "scan",
            scans[0].where,
            f"has frames of {scans[0].shape[0]} × {scans[0].shape[1]} pixels, and the experiment's "
            f"camera {rows} × {columns} (camera.pixels)",
        )
    numbers = tuple(np.nonzero(scan.valid)[0] for scan in scans)
    own = parts[0].own
    offsets, heights = (
        np.concatenate([values[kept] for values, kept in zip(of_scans, numbers, strict=True)])
        for of_scans in ([_offsets(scan, setup, own) for scan in scans], _heights(scans))
    )
    for k, motor in enumerate(ANGLES):
        middle = float(np.mean(offsets[:, k]))
        if abs(middle) > _NEAR:
            if own:
                stands = math.degrees(middle)
                raise InputError(
                    "scan", scans[0].where, f"has {motor} {stands:.4g} deg off the Bragg setting"
                )
            offsets[:, k] -= middle
    moving = tuple(motor for k, motor in enumerate(ANGLES) if np.ptp(offsets[:, k]) > _SAME)
    if not moving or len(offsets) < FEWEST_FRAMES:
        raise InputError("scan", scans[0].where, "must move phi, chi or two_theta over some frames")
    return ReflectionScan(setup, tuple(scans), offsets, numbers, moving, own, heights)


def _read(part: _Part) -> MeasuredScan:
    """A scan with all of φ, χ and 2θ that move, whatever its title names."""
    scan = read_scan(part.path, part.entry)
    moving = [*scan.positions, *scan.along]
    candidates = {
        name for motor in ANGLES for name in (MOTORS[motor].beamline_name, *_THEIRS[motor])
    } | set(_HEIGHTS)
    for name in sorted(candidates - {*moving, *scan.fixed}):
        try:
            more = read_scan(part.path, part.entry, None, (name,))
        except InputError:
            # No positions of it, or it stands still.
            continue
        moving += [*more.positions]
    if len(moving) > len(scan.positions):
        scan = read_scan(part.path, part.entry, None, tuple(dict.fromkeys(moving)))
    return scan


def _offsets(scan: MeasuredScan, setup: Setup, own: bool) -> Floats:
    """φ, χ and 2θ from the Bragg setting (rad) at every frame, (frames, 3)."""
    taken, offsets = set(), np.zeros((scan.frames, 3))
    for column, name in enumerate(ANGLES):
        bragg = setup.bragg_position(name)
        names = (MOTORS[name].beamline_name, *_THEIRS[name])
        moved = next((m for t in names for m in scan.positions if t in (m, base_name(m))), None)
        if moved is not None:
            if scan.units[moved] != "deg":
                unit = scan.units[moved] or "no unit"
                raise InputError(
                    "motor", moved, f"has positions in {unit} in {scan.where}; angles are needed"
                )
            taken.add(moved)
            offsets[:, column] = np.radians(scan.positions[moved]) - bragg
            continue
        rest = next((m for m in names[:1] if m in scan.fixed), None)
        if rest is not None and math.isfinite(scan.fixed[rest]):
            offset = math.radians(scan.fixed[rest]) - bragg
            if own or abs(offset) < _NEAR or name == "two_theta":
                offsets[:, column] = offset
    if others := {m for m in scan.positions if not _is_height(scan, m)} - taken:
        moves = ", ".join(sorted(others))
        raise InputError(
            "scan", scan.where, f"moves {moves}: only phi, chi, two_theta and z may move"
        )
    return offsets


def _is_height(scan: MeasuredScan, motor: str) -> bool:
    """Whether a motor raises the sample."""
    unit = scan.units.get(motor, scan.fixed_units.get(motor, ""))
    return base_name(motor) in _HEIGHTS and unit in _IN_MICROMETRES


def _heights(scans: Sequence[MeasuredScan]) -> list[Floats]:
    """How much the sample is raised at every frame of some scans of one reflection (µm).

    Of several motors that raise it the one that moves tells.
    """
    at_rest = [np.zeros(scan.frames) for scan in scans]
    for name in reversed(_HEIGHTS):
        found = []
        for scan in scans:
            moved = next((m for m in scan.positions if base_name(m) == name), name)
            places = scan.positions.get(moved, scan.fixed.get(moved))
            if places is None or not _is_height(scan, moved):
                break
            unit = scan.units[moved] if moved in scan.positions else scan.fixed_units[moved]
            found.append(_IN_MICROMETRES[unit] * np.broadcast_to(places, scan.frames))
        if len(found) < len(scans) or not all(np.isfinite(values).all() for values in found):
            continue
        if np.ptp(np.concatenate(found)) > SAME_HEIGHT:
            return found
        at_rest = found
    return at_rest

"""The experiment that simulates a fitted stack, with the lattice's tilt on a grid beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

from weakbeam.core.arrays import Floats
from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.fitted_loop import CORNERS, FittedLoop
from weakbeam.fit.fitted_wall import FittedWall
from weakbeam.fit.scan_tables import plain, tables_of
from weakbeam.fit.stack_model import StackModel, State
from weakbeam.imaging.motors import ANGLES

TILT_FILE = "fitted-tilt.npz"
"""Name of the file of the lattice's tilt beside the experiment."""

_POINTS = 33


def scan_tables_of(positions: Floats, state: State) -> dict[str, Any] | None:
    """Table ``scan`` of the experiment of a fit; None where the positions are on no grid."""
    true = positions + state.offsets
    moving = {name: true[:, k] for k, name in enumerate(ANGLES) if np.ptp(positions[:, k]) > 0.0}
    return tables_of(moving)


def fitted_experiment(
    experiment: Experiment,
    state: State,
    tables: dict[str, Any] | None,
    sample_from_crystal: Floats,
    tilt_file: str | None = TILT_FILE,
) -> Experiment:
    """The experiment that simulates the stack, up to its light and background.

    Parameters
    ----------
    experiment : Experiment
        What was known; its own defects are left out.
    state : State
        What was fitted.
    tables : dict, optional
        Table ``scan``, as :func:`scan_tables_of` has it; by default that of the experiment.
    sample_from_crystal : (3, 3) ndarray
        How the crystal is mounted.
    tilt_file : str, optional
        Where :func:`tilt_grid` will be, if the lattice is bent.
    """
    data: dict[str, Any] = plain(experiment.model_dump(exclude_unset=True))
    if tables is not None:
        kept = {k: v for k, v in data.get("scan", {}).items() if k in ("order", "continuous")}
        if len(tables) < 2:
            kept.pop("order", None)
        for k, motor in enumerate(ANGLES):
            if motor not in tables and state.offsets[k] and "strain" not in tables:
                tables = tables | {motor: {"value_mrad": 1e3 * float(state.offsets[k])}}
        data["scan"] = kept | tables
    camera = dict(data.get("camera", {}))
    if state.blur > 0.01:
        camera["psf_px"] = round(math.sqrt(state.blur), 6)
    data["camera"] = camera
    defects = [_table_of(line, sample_from_crystal) for line in state.lines]
    if tilt_file is not None and np.any(state.tilt):
        defects.append(
            {
                "kind": "grid",
                "file": tilt_file,
                "quantity": "beta",
                "outside": "extend",
            }
        )
    data["defects"] = defects
    try:
        return Experiment.model_validate(data)
    except InputError as error:
        raise InputError(error.key, error.value, f"{error.allowed} (fitted)") from None


def _table_of(line: FittedDefect, sample_from_crystal: Floats) -> dict[str, Any]:
    """A table ``[[defects]]``."""
    table: dict[str, Any] = {
        "kind": "dislocation" if line.kind == "line" else line.kind,
        "burgers": list(line.type.burgers),
        "position_um": [float(value) for value in line.position_um],
    }
    if line.type.plane is not None:
        table["plane"] = list(line.type.plane)
    if isinstance(line, FittedLoop):
        if line.type.plane is None:
            normal = sample_from_crystal @ np.array(line.type.normal)
            table["normal"] = [float(value) for value in normal]
        # A polygon of the circle's area: its corners lie outside.
        table |= {"radius_um": line.corner_radius_um, "segments": CORNERS}
        return table
    if isinstance(line, FittedWall):
        table["spacing_um"] = line.spacing_um
    assert isinstance(line.type, DislocationType)
    return table | {"character_deg": float(line.type.character_deg)}


def tilt_grid(model: StackModel, state: State) -> dict[str, Floats]:
    """Displacement gradient of the lattice's tilt on a grid of the sample, for an ``.npz``."""
    grid = model.setup.grids[0]
    rows, columns = grid.rows, grid.columns
    q = model.tilt_field(state).reshape(3, -1)
    place = grid.centres(np.arange(grid.pixels))
    low, high = place.min(axis=0), place.max(axis=0)
    count = np.array([_POINTS, _POINTS, 2])
    margin = np.array([0.0, 0.0, 20.0])
    low, high = low - margin, high + margin
    spacing = np.maximum(high - low, 1e-3) / (count - 1)
    points = [low[k] + spacing[k] * np.arange(count[k]) for k in range(3)]
    x, y = np.meshgrid(points[0], points[1], indexing="ij")
    # Row and column of the image of points of the sheet, which is not level in the sample.
    steps = np.stack([grid.row_step, grid.column_step])[:, :2]
    away = np.linalg.solve(steps.T, np.stack([x.ravel(), y.ravel()]))
    i = np.clip(away[0] + 0.5 * (rows - 1), 0, rows - 1)
    j = np.clip(away[1] + 0.5 * (columns - 1), 0, columns - 1)
    sampled = np.stack(
        [
            map_coordinates(part.reshape(rows, columns), [i, j], order=1, mode="nearest")
            for part in q
        ]
    )
    q0 = model.setup.geometry.q0_sample
    change = (model.setup.geometry.imaging_from_sample.T @ sampled).T
    along = change @ q0
    across = change - along[:, None] * q0
    # A rotation takes q₀ to q₀ + across; a dilatation shortens it.
    beta = np.einsum("ni,j->nij", across, q0) - np.einsum("i,nj->nij", q0, across)
    beta -= along[:, None, None] * np.eye(3)
    shape = (count[0], count[1], 1, 3, 3)
    return {
        "beta": np.repeat(beta.reshape(shape), 2, axis=2),
        "origin_um": low,
        "spacing_um": spacing,
    }

"""What a camera's program did to frames before it saved them is found in its file, and undone."""

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, frames, write_bliss

from weakbeam.io.images import read_images
from weakbeam.io.saved_turn import SavedTurn

TEXT = h5py.string_dtype()


def as_saved(seen, columns, rows, clockwise):
    """What a screen shows: columns reversed, rows reversed, then turned clockwise."""
    out = [list(row) for row in seen]
    if columns:
        out = [row[::-1] for row in out]
    if rows:
        out = out[::-1]
    for _ in range(clockwise):
        out = [list(column) for column in zip(*out[::-1], strict=True)]
    return np.array(out)


@pytest.mark.parametrize(
    ("flip", "rotation", "turn"),
    [
        (np.array([True, False]), "NONE", SavedTurn(True, False, 0)),
        (np.array([0, 1]), "0", SavedTurn(False, True, 0)),
        ("[False, False]", "180", SavedTurn(False, False, 2)),
        ("[True, True]", 90, SavedTurn(True, True, 1)),
        (None, "270", SavedTurn(False, False, 3)),
        (None, None, SavedTurn()),
    ],
)
@pytest.mark.parametrize("below", ["ctrl_parameters", ""])
def test_flips_of_the_camera_are_read_and_undone(tmp_path, flip, rotation, turn, below):
    path = tmp_path / "scan.h5"
    seen = frames(1)[0]
    saved = as_saved(seen, turn.columns, turn.rows, turn.turns)
    write_bliss(path, "ct 1", {}, saved[None])
    with h5py.File(path, "r+") as file:
        group = file["1.1/instrument/pco_ff"]
        group = group.require_group(below) if below else group
        for name, value in (("image_flip", flip), ("image_rotation", rotation)):
            if isinstance(value, str):
                group.create_dataset(name, data=value, dtype=TEXT)
            elif value is not None:
                group[name] = value
    stack = read_images(f"{path}::1.1")
    assert stack.saved == turn
    assert bool(stack.saved) == (turn != SavedTurn())
    assert np.array_equal(stack.saved.undone(stack.frames)[0], seen)
    assert seen.shape == SHAPE

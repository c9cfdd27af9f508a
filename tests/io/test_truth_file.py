"""The second file: fields on the pixels of the image."""

import h5py
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.entry import ImageAxis
from weakbeam.io.truth import TruthArray, TruthEntry, write_truth

AXES = (ImageAxis("z", np.arange(4.0), "z (µm)"), ImageAxis("y", np.arange(6.0), "y (µm)"))
Q = TruthArray(np.arange(72.0).reshape(3, 4, 6), "", "q", ("rock", "roll", "two_theta"))
DENSITY = TruthArray(np.full((4, 6), np.nan), "1/um^2", "density")


def test_fields_are_read_back_with_axes(tmp_path):
    path = tmp_path / "run" / "weakbeam_truth.h5"
    entry = TruthEntry({"q_imaging": Q, "density": DENSITY}, AXES)
    write_truth(path, [entry], configuration="seed = 1")
    with h5py.File(path) as file:
        assert file["1.1"].attrs["default"] == "q_imaging"
        group = file["1.1/q_imaging"]
        assert group.attrs["NX_class"] == "NXdata"
        assert list(group.attrs["axes"]) == [".", "z", "y"]
        assert np.array_equal(group["q_imaging"], Q.values)
        assert list(group["q_imaging"].attrs["components"]) == ["rock", "roll", "two_theta"]
        assert group["z"].attrs["units"] == "um"
        assert file["1.1/density/density"].attrs["units"] == "1/um^2"
        assert file["1.1/simulation/configuration/data"].asstr()[()] == "seed = 1"
    assert [p.name for p in path.parent.iterdir()] == ["weakbeam_truth.h5"]


def test_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "t.h5"
    write_truth(path, [TruthEntry({"q": Q}, AXES)])
    with pytest.raises(InputError, match="exists"):
        write_truth(path, [TruthEntry({"density": DENSITY}, AXES)])
    write_truth(path, [TruthEntry({"density": DENSITY}, AXES)], overwrite=True)
    with h5py.File(path) as file:
        assert "q" not in file["1.1"]


def test_several_reflections_have_an_entry_each(tmp_path):
    path = tmp_path / "t.h5"
    other = (ImageAxis("z", np.arange(2.0), "z (µm)"), ImageAxis("y", np.arange(3.0), "y (µm)"))
    field = TruthArray(np.ones((2, 3)), "", "q")
    write_truth(path, [TruthEntry({"q": Q}, AXES), TruthEntry({"q": field}, other, "second")])
    with h5py.File(path) as file:
        assert list(file) == ["1.1", "2.1"]
        assert file["2.1/title"].asstr()[()] == "second"
        assert file["2.1/q/q"].shape == (2, 3)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="does not end in the image's"):
        TruthEntry({"q": TruthArray(np.zeros((6, 4)), "", "q")}, AXES)
    with pytest.raises(ValueError, match="no array"):
        TruthEntry({}, AXES)

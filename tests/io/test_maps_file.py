"""The file of maps: complete or not there, and nothing written over."""

import h5py
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.entry import ImageAxis
from weakbeam.io.maps_file import StoredMaps, write_maps

VALUES = np.arange(12.0).reshape(3, 4)
MAPS = StoredMaps(
    "maps of fscan phi 0 1 5 1",
    {
        "phi_com": (VALUES, "deg", "centre of mass of phi"),
        "phi_skewness": (-VALUES, "", "skewness"),
    },
    scan={"phi": (np.arange(5.0), "deg")},
    process={"source_file": "a.h5", "background": "median"},
)


def test_maps_are_nexus(tmp_path):
    write_maps(tmp_path / "new" / "maps.h5", "3.1", MAPS)
    with h5py.File(tmp_path / "new" / "maps.h5") as file:
        assert file.attrs["default"] == "3.1"
        entry = file["3.1"]
        assert entry[entry.attrs["default"]].attrs["default"] == "phi_com"
        data = entry["maps/phi_com"]
        assert (data.attrs["NX_class"], data.attrs["signal"]) == ("NXdata", "phi_com")
        assert list(data.attrs["axes"]) == ["row", "column"]
        np.testing.assert_array_equal(data["phi_com"], VALUES)
        assert data["phi_com"].attrs["units"] == "deg"
        np.testing.assert_array_equal(data["column"], np.arange(4))
        assert entry["scan/phi"].attrs["units"] == "deg"
        assert entry["process/background"].asstr()[()] == "median"
        assert entry["process/program"].asstr()[()] == "weakbeam"


def test_axes_in_the_sample(tmp_path):
    axes = (ImageAxis("x", np.arange(3.0), "x"), ImageAxis("y", 0.04 * np.arange(4), "y (µm)"))
    write_maps(tmp_path / "maps.h5", "1.1", StoredMaps("", MAPS.maps, axes))
    with h5py.File(tmp_path / "maps.h5") as file:
        assert file["1.1/maps/phi_com/y"].attrs["units"] == "um"


def test_nothing_is_written_over_unasked(tmp_path):
    path = tmp_path / "maps.h5"
    write_maps(path, "1.1", MAPS)
    before = path.read_bytes()
    with pytest.raises(InputError, match="`overwrite`"):
        write_maps(path, "1.1", MAPS)
    assert path.read_bytes() == before
    write_maps(path, "2.1", MAPS, overwrite=True)
    with h5py.File(path) as file:
        assert list(file) == ["2.1"]
    other = tmp_path / "data.h5"
    other.write_bytes(b"measured data")
    with pytest.raises(InputError, match="stays as it is"):
        write_maps(other, "1.1", MAPS, overwrite=True)
    assert other.read_bytes() == b"measured data"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.h5", "maps.h5"]
    with pytest.raises(InputError, match="is no folder"):
        write_maps(other / "maps.h5", "1.1", MAPS)

"""The file of maps: complete or not there, and nothing written over."""

from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.entry import ImageAxis
from weakbeam.io.maps_file import StoredMaps, read_maps, write_layers, write_maps
from weakbeam.io.xdmf_maps import xdmf_of_layers

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


def test_layers_are_entries_and_stacks(tmp_path):
    axes = (ImageAxis("y", np.arange(3.0), "y"), ImageAxis("x", np.arange(4.0), "x"))
    layers = {
        f"{k}.1": StoredMaps(
            "of a layer",
            {"a": (VALUES + 100 * k, "1", "a"), **({"b": (VALUES, "1", "b")} if k == 2 else {})},
            axes,
        )
        for k in (1, 2, 3)
    }
    heights = np.array([-0.5, 0.0, 0.8])
    path = tmp_path / "layers.h5"
    write_layers(path, layers, heights, "2.1")
    with h5py.File(path) as file:
        assert file.attrs["default"] == "2.1"
        stacks = file["layers/maps_of_layers"]
        group = stacks[stacks.attrs["default"]]
        assert list(group.attrs["axes"]) == ["z", "y", "x"]
        assert np.array_equal(group["z"], heights)
        assert np.array_equal(group["a"], VALUES + np.array([100, 200, 300])[:, None, None])
        # A map that a layer has not is not known there.
        only = stacks["b/b"][()]
        assert np.isnan(only[[0, 2]]).all()
        assert np.array_equal(only[1], VALUES)
        text = xdmf_of_layers(layers, heights, path.name)
        root = ElementTree.fromstring(text)
        for item in root.iter("DataItem"):
            if item.get("Format") == "HDF":
                place = item.text.removeprefix("layers.h5:")
                assert file[place].shape == tuple(map(int, item.get("Dimensions").split()))
    # Uneven heights are told one by one; the slowest axis of the data is z.
    assert root.find(".//Topology").get("TopologyType") == "3DRectMesh"
    assert [len(item.text.split()) for item in root.find(".//Geometry")] == [4, 3, 3]
    even = xdmf_of_layers(layers, np.array([-0.5, 0.0, 0.5]), path.name)
    assert '<DataItem Format="XML" Dimensions="3">-0.5 0.0 0.0</DataItem>' in even
    assert read_maps(path, "3.1")[1].maps["a"][0][0, 0] == 300.0

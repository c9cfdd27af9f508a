"""darfix, darling, silx and nexusformat with files of ours and of the beamline."""

import math
import re

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, angles, frames, write_bliss

from weakbeam import Experiment, record
from weakbeam.io.foreign import read_scan
from weakbeam.measured.maps import map_scan

pytestmark = pytest.mark.slow

SMALL = [
    "camera.pixels=[24, 36]",
    "camera.pixel_nm=200",
    "scan.phi.half_range_mrad=0.6",
    "scan.phi.steps=9",
    "output.figures=false",
]
MOSAICITY = [*SMALL, "scan.chi.half_range_mrad=2", "scan.chi.steps=7"]

DARFIX = """
import sys
import numpy as np
from darfix._processing.moments import compute_com_map
from darfix.tasks.dimension_definition import DimensionDefinition
from darfix.tasks.hdf5_data_selection import HDF5DataSelection

def run(task, **inputs):
    done = task(inputs=inputs)
    done.run()
    return done.outputs

stack = run(
    HDF5DataSelection,
    raw_input_file=sys.argv[1],
    raw_detector_data_path="/1.1/measurement/pco_ff",
    raw_metadata_path="/1.1/instrument/positioners",
    treated_data_dir="darfix-out",
).dataset
grid = run(DimensionDefinition, dataset=stack, is_zigzag="zigzag" in sys.argv).dataset
maps = {axis.name: compute_com_map(grid.metadata_dict[axis.name], grid.as_array3d(), None)
        for axis in grid.dims}
if "strain" in sys.argv:
    from darfix.tasks.strain_plot import StrainPlot
    maps["strain"] = run(StrainPlot, dataset=grid, filename="strain.h5").strain
shape = np.array([axis.size for axis in grid.dims])
np.savez("maps.npz", shape=shape, **maps)
"""


@pytest.mark.parametrize(
    ("order", "camera"), [("rewind", "ideal"), ("rewind", "pco_edge"), ("zigzag", "pco_edge")]
)
def test_darfix_finds_the_grid_and_our_centres_of_mass(tmp_path, run_in, order, camera):
    settings = [*MOSAICITY, f"scan.order={order}", f"camera.model={camera}"]
    file = record(Experiment().with_settings(settings), tmp_path / "run").file
    run_in("darfix", DARFIX, file, order)
    theirs, ours = np.load(tmp_path / "maps.npz"), map_scan(read_scan(file)).maps.motors
    assert theirs["shape"].tolist() == [9, 7]
    for motor in ("phi", "chi"):
        np.testing.assert_allclose(theirs[motor], ours[motor]["com"], rtol=0, atol=1e-9)


def test_darfix_has_our_strain_of_the_arm(tmp_path, run_in):
    settings = [*SMALL[:2], "scan.mode=strain", "output.figures=false"]
    file = record(Experiment().with_settings(settings), tmp_path / "run").file
    run_in("darfix", DARFIX, file, "strain")
    theirs, ours = np.load(tmp_path / "maps.npz")["strain"], map_scan(read_scan(file)).strain
    assert np.ptp(ours) > 1e-5
    # It holds the positions in single precision: 1e-6 deg.
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=3e-7)


def test_darfix_has_our_strain_of_the_monochromator(tmp_path, run_in):
    angle = 6.68 + np.linspace(-0.02, 0.02, 41)
    center = 6.68 + np.linspace(-5e-3, 5e-3, math.prod(SHAPE)).reshape(SHAPE)
    stack = 1e4 * np.exp(-0.5 * ((angle[:, None, None] - center) / 0.004) ** 2)
    ours = map_scan(
        read_scan(
            write_bliss(tmp_path / "e.h5", "fscan ccmth 6.66 0.001 41 1", {"ccmth": angle}, stack)
        )
    )
    np.savez(tmp_path / "com.npz", com=ours.maps.motors["ccmth"]["com"])
    text = (
        "import numpy as np\n"
        "from darfix._processing.strain import strain_ccmth_scan\n"
        "np.save('strain.npy', strain_ccmth_scan(np.load('com.npz')['com'], None))\n"
    )
    run_in("darfix", text)
    # It has the first order in the angle.
    np.testing.assert_allclose(ours.strain, np.load(tmp_path / "strain.npy"), atol=1e-8)


STACK_COM = """
import numpy as np
from darfix._processing.moments import compute_com_map
data = np.load("data.npz")
maps = {name: compute_com_map(data[name], data["stack"], None) for name in ("chi", "phi")}
np.savez("maps.npz", **maps)
"""


def test_centres_of_mass_of_a_beamline_file_equal_those_of_darfix(tmp_path, run_in):
    chi, phi = angles()
    stack = frames(35)
    path = write_bliss(
        tmp_path / "a.h5",
        "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51",
        {"phi": phi, "chi": chi},
        stack,
    )
    np.savez(tmp_path / "data.npz", stack=stack.astype(float), chi=chi, phi=phi)
    run_in("darfix", STACK_COM)
    theirs, ours = np.load(tmp_path / "maps.npz"), map_scan(read_scan(path)).maps.motors
    for motor in ("chi", "phi"):
        np.testing.assert_allclose(ours[motor]["com"], theirs[motor], atol=1e-9)


DARLING = """
import os
import sys
import numpy as np
import darling

folder = os.path.join(os.path.dirname(darling.__file__), "assets", "example_data")
for number, name in enumerate(sys.argv[1:]):
    path = os.path.join(folder, name)
    scan = darling.DataSet(path, scan_id="1.1")
    mean, covariance = darling.properties.moments(scan.data, scan.motors)
    kam = darling.properties.kam(mean)
    np.savez(f"{number}.npz", mean=mean, covariance=covariance, kam=kam, path=path)
"""


def same_as_darling(theirs):
    """Compare what the script has stored with our maps of the same file."""
    found = map_scan(read_scan(str(theirs["path"])))
    motors = list(found.maps.motors)
    mean = theirs["mean"].reshape(*found.scan.shape, len(motors))
    covariance = theirs["covariance"].reshape(*mean.shape, len(motors))
    for k, motor in enumerate(motors):
        maps = found.maps.motors[motor]
        # darling computes with single precision.
        scale = np.abs(found.scan.positions[motor]).max()
        np.testing.assert_allclose(maps["com"], mean[..., k], atol=2e-6 * scale)
        sigma = np.sqrt(covariance[..., k, k])
        np.testing.assert_allclose(maps["fwhm"] / 2.354820045, sigma, rtol=1e-4)
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(found.misorientation[inside], theirs["kam"][inside], atol=1e-5)


def test_maps_of_the_measured_files_of_darling_equal_its_own(tmp_path, run_in):
    names = ["mosa_scan_id03/mosa_scan.h5", "domains/2D_domains.h5", "rocking_scan_id03/rocking.h5"]
    run_in("darling", DARLING, *names)
    for number, _ in enumerate(names):
        same_as_darling(np.load(tmp_path / f"{number}.npz"))


@pytest.mark.parametrize("settings", [SMALL, MOSAICITY, [*MOSAICITY, "scan.order=zigzag"]])
@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_darling_reads_our_files(tmp_path, run_in, settings, layout):
    more = ["camera.model=pco_edge", f"output.layout={layout}"]
    file = record(Experiment().with_settings([*settings, *more]), tmp_path / "run").file
    run_in("darling", DARLING, file)
    same_as_darling(np.load(tmp_path / "0.npz"))


SILX = """
import sys
import silx.io
from silx.io import nxdata
from silx.io.url import DataUrl
from silx.io.utils import get_data

bad, good = [], []

def visit(name, item):
    if item.attrs.get("NX_class") == "NXdata":
        found = nxdata.NXdata(item)
        (good if found.is_valid else bad).append((item.name, list(found.issues)))

with silx.io.open(sys.argv[1]) as file:
    plot = nxdata.get_default(file)
    print("default", plot.signal_name, plot.signal.shape, plot.axes_names)
    file.visititems(visit)
print("valid", len(good), "invalid", bad)
if len(sys.argv) > 2:
    url = DataUrl(file_path=sys.argv[1], data_path=sys.argv[2], data_slice=(0,), scheme="silx")
    print("frame", get_data(url).shape)
"""


@pytest.mark.parametrize("order", ["rewind", "zigzag"])
def test_silx_opens_our_files_on_a_picture(tmp_path, run_in, order):
    settings = [*MOSAICITY, f"scan.order={order}"]
    file = record(Experiment().with_settings(settings), tmp_path / "run").file
    printed = run_in("darfix", SILX, file, "/1.1/measurement/pco_ff")
    assert "default summed intensity (24, 36) ['x, along the beam (µm)', 'y (µm)']" in printed
    assert "invalid []" in printed
    assert "frame (24, 36)" in printed
    assert int(re.search(r"valid (\d+)", printed)[1]) >= 18


NEXUS = """
import io
import logging
import re
import sys
import nexusformat.nexus as nx
from nexusformat.nexus import validate

said = io.StringIO()
validate.logger.handlers[:] = [logging.StreamHandler(said)]
validate.logger.setLevel(logging.WARNING)
validate.FileValidator(sys.argv[1]).validate(path="/1.1")
print(re.sub(r"\\x1b\\[[0-9;]*m", "", said.getvalue()))
print("default", nx.nxload(sys.argv[1]).get_default().nxpath)
"""

KNOWN_REMARKS = {'"1.1" is an invalid name', "This field is not defined in"}
"""BLISS names entries so; and standard groups may hold more than the standard knows."""


@pytest.mark.parametrize("camera", ["ideal", "pco_edge"])
def test_classes_and_units_are_those_of_nexus(tmp_path, run_in, camera):
    settings = [*MOSAICITY, f"camera.model={camera}", "camera.dark_frames=2"]
    settings = settings if camera == "pco_edge" else settings[:-1]
    file = record(Experiment().with_settings(settings), tmp_path / "run").file
    printed = run_in("nexus", NEXUS, file)
    assert "default /1.1/plot" in printed
    places = r"^\s*(NX\w+: /|Field: /|Attribute: |Group: |Link: |default )"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    remarks = [line for line in lines if not re.match(places, line)]
    assert remarks
    unknown = [x for x in remarks if not any(x.startswith(known) for known in KNOWN_REMARKS)]
    assert unknown == []

    def has_units(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            assert "units" in item.attrs, name
        assert isinstance(item, h5py.Dataset) or "NX_class" in item.attrs, name

    with h5py.File(file) as opened:
        opened.visititems(has_units)

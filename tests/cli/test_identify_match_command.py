"""``weakbeam identify match`` from the command line."""

import json
import shutil

import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.identify.library.library_files import record_library
from weakbeam.run.record import record

SMALL = [
    "camera.pixels=[32, 64]",
    "camera.psf_px=1.0",
    "camera.oversampling=point",
    "output.figures=false",
]
CANDIDATES = [*SMALL, "identify.planes=[[1, 1, 1]]", "identify.character_step_deg=60"]
DEFECT = "defects=[{plane=[1,1,1], burgers=[1,-1,0], character_deg=60, position_um=[0.2,-0.1,0.0]}]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("match")
    phis = "scan.phi.values_mrad=[-0.15, 0.15]"
    record_library(Experiment().with_settings([*CANDIDATES, phis]), place / "library", workers=1)
    for name, phi in (("minus", -0.15), ("plus", 0.15)):
        settings = [*SMALL, DEFECT, "camera.model=pco_edge", f"scan.phi.value_mrad={phi}"]
        record(Experiment().with_settings(settings), place / name)
    return place


def arguments(folder, *images, out="m"):
    places = [str(folder / image) for image in images]
    tail = ["--library", str(folder / "library"), "--output", str(folder / out), "--workers", "1"]
    return ["identify", "match", *places, *tail]


def test_one_image(folder, weakbeam):
    shutil.rmtree(folder / "m", ignore_errors=True)
    done = weakbeam(*arguments(folder, "plus/weakbeam.h5"))
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[1].startswith(" 1 (1 1 1) [1 -1 0] 60 deg")
    assert "(1 1 1) [1 -1 0] 60 deg (probability more than 99.9 %)" in lines
    names = {path.name for path in (folder / "m").iterdir()}
    assert names == {"match.json", "match.png", "ranking.png"}
    numbers = json.loads((folder / "m/match.json").read_text())
    assert numbers["verdict"]["decided"]
    assert numbers["candidates"][0]["character_deg"] == 60.0
    again = weakbeam(*arguments(folder, "plus/weakbeam.h5"))
    assert again.status == 2
    assert "--overwrite replaces it" in again.err


def test_a_pair_refined(folder, weakbeam):
    done = weakbeam(
        *arguments(folder, "plus/weakbeam.h5", "minus/weakbeam.h5", out="pair"),
        *("--refine", "2", "--turn", "--format", "svg", "-q"),
    )
    assert done.status == 0
    numbers = json.loads((folder / "pair/match.json").read_text())
    assert [c["phi_mrad"] for c in numbers["conditions"]] == pytest.approx([0.15, -0.15])
    refined = numbers["candidates"][0]["refined"]
    error = refined["errors"]["character_deg"]
    assert abs(refined["character_deg"] - 60.0) < 4 * error < 4.0
    assert done.out.splitlines() == [
        str(folder / "pair" / name) for name in ("match.json", "match.svg", "ranking.svg")
    ]


def test_an_image_that_tells_nothing_of_itself(folder, weakbeam):
    import h5py

    with h5py.File(folder / "plus/weakbeam.h5") as file:
        frame = file["1.1/instrument/pco_ff/image"][0]
    np.save(folder / "bare.npy", frame)
    # One level for all pixels leaves the pattern of their dark counts, which is noise then.
    told = ("--phi", "0.15", "--dark", "115", "--noise", "2.14", "60", "--hot", "12")
    exact = (*told, "--exact", "--format", "none")
    done = weakbeam(*arguments(folder, "bare.npy", out="bare"), *exact)
    assert done.status == 0
    assert "(1 1 1) [1 -1 0] 60 deg (probability" in done.out


def test_what_is_not_known_of_an_image_is_fitted_along(folder, weakbeam):
    import h5py

    with h5py.File(folder / "plus/weakbeam.h5") as file:
        np.save(folder / "unknown.npy", file["1.1/instrument/pco_ff/image"][0])
    told = ("--phi", "0.15", "--dark", "115", "--noise", "2.14", "60", "--set", "blur_px=0.0")
    told += ("--refine", "1")
    done = weakbeam(*arguments(folder, "unknown.npy", out="unknown"), *told)
    assert done.status == 0
    assert "or the same with -b if the camera is turned by 180 degrees" in done.out
    assert "fitted along" in done.out
    found = json.loads((folder / "unknown/match.json").read_text())
    assert not found["verdict"]["decided"]
    assert found["regions"]["explained_share"] > 0.9
    names = {n["name"] for n in found["nuisances"]}
    assert "phi_offset" in names
    with h5py.File(folder / "unknown/match.h5") as file:
        assert {n.decode() for n in file["nuisances/name"][()]} == names
        errors = [n["error"] for n in found["nuisances"]]
        assert np.allclose(file["nuisances/error"][()], errors)
        assert file["candidates/burgers"][0].decode() == "[1 -1 0]"
        assert file["maps/residual"].shape == file["maps/measured"].shape == (1, 32, 64)
        assert file["maps/explained"][()].mean() == found["regions"]["explained_share"]
        assert file["parameters/covariance"].shape == (len(file["parameters/names"]),) * 2
    assert "blur" not in names
    assert found["candidates"][0]["burgers"] == [1, -1, 0]
    assert (folder / "unknown/nuisances.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("none.h5", (), "there is no such file"),
        ("bare2.npy", (), "--phi: must be given"),
        ("bare2.npy", ("--phi", "0.4"), "phi = 0.4 mrad, the library has -0.15, 0.15 mrad"),
        ("bare2.npy", ("--phi", "0.15", "--noise", "-1", "0"), "--noise"),
        ("small.npy", ("--phi", "0.15"), "is smaller than the library's 32 x 64"),
        ("even.npy", ("--phi", "0.15", "--noise", "1", "9"), "is even"),
        ("nan.npy", ("--phi", "0.15"), "no pixel that is a finite number"),
        ("plus/weakbeam.h5", ("--turn", "--refine", "0"), "--turn: needs --refine"),
        ("bare2.npy", ("--phi", "0.15", "--exact", "--orientations"), "--exact: cannot go with"),
        ("bare2.npy", ("--phi", "0.15", "--set", "blur_px=-1"), "nuisance.blur_px = -1"),
        ("bare2.npy", ("--phi", "0.15", "--set", "blurr=1"), "nuisance.blurr"),
        ("plus/weakbeam.h5", ("--library", "nowhere"), "--library = 'nowhere'"),
        ("plus/weakbeam.h5", ("--max-shift", "99"), "--max-shift = 99: is more than the image"),
        ("bare2.npy", ("--phi", "0.15", "--phi", "0.2"), "--phi = [0.15, 0.2]: must be given once"),
        ("bare2.npy", ("--phi", "nan"), "'--phi': 'nan'"),
        ("bare2.npy", ("--phi", "0.15", "--pixel-nm", "inf"), "'--pixel-nm': inf"),
        ("bare2.npy", ("--phi", "0.15", "--hot", "nan"), "'--hot': 'nan'"),
        ("bare2.npy", ("--phi", "0.15", "--dark", "moon"), "--dark = 'moon': there is no such"),
        ("bare2.npy", ("--phi", "0.15", "--dark", "nan"), "--dark = nan: must be finite"),
        ("bare2.npy", ("--phi", "0.15", "--saturation", "1"), "--saturation = 1.0: no pixel of"),
        ("bare2.npy::1.1", ("--phi", "0.15"), "has no entries"),
    ],
)
def test_mistakes_are_one_line(folder, weakbeam, image, options, message):
    rng = np.random.default_rng(0)
    np.save(folder / "bare2.npy", rng.normal(100.0, 5.0, (32, 64)))
    np.save(folder / "small.npy", rng.normal(100.0, 5.0, (20, 64)))
    np.save(folder / "even.npy", np.full((32, 64), 3.0))
    np.save(folder / "nan.npy", np.full((32, 64), np.nan))
    done = weakbeam(*arguments(folder, image, out="none"), *options)
    assert done.status == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (folder / "none").exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_an_output_that_cannot_be_is_refused_before_anything_is_computed(folder, weakbeam, name):
    (folder / "file").write_text("mine")
    done = weakbeam(*arguments(folder, "nowhere.npy", out=name))
    assert done.status == 2
    assert done.err.startswith("weakbeam: --output = ")
    assert (folder / "file").read_text() == "mine"


def test_a_size_of_pixels_that_nothing_tells_is_said(folder, weakbeam):
    rng = np.random.default_rng(0)
    np.save(folder / "bare2.npy", rng.normal(100.0, 5.0, (32, 64)))
    options = ("--phi", "0.15", "--format", "none", "--exact", "--refine", "1")
    done = weakbeam(*arguments(folder, "bare2.npy", out="size"), *options)
    assert "taken to be the library's, 40 nm" in done.err
    done = weakbeam(*arguments(folder, "bare2.npy", out="size2"), *options, "--pixel-nm", "40")
    assert "taken to be" not in done.err

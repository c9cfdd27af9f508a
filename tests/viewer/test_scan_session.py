"""Frames of a file as a page looks at them, beside what is simulated at the same motors."""

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.viewer.answers import Answer, Job
from weakbeam.viewer.opened import scan_session

EXPERIMENT = wb.Experiment(
    camera={"oversampling": "point", "pixels": (9, 14), "pixel_nm": 80.0},
    beam={"height_fwhm_um": 0.6},
    scan={
        "phi": {"half_range_mrad": 0.3, "steps": 7},
        "chi": {"half_range_mrad": 0.5, "steps": 3},
    },
    output={"figures": False},
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The file of a run, and its frames [χ, φ] as they are drawn."""
    folder = tmp_path_factory.mktemp("run")
    run = wb.simulate(EXPERIMENT)
    wb.record(EXPERIMENT, folder, overwrite=True)
    images = run.images
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    return folder / "weakbeam.h5", images.values[:, :, rows][..., columns]


def told(session, do, **more):
    answer = session.handle({"do": do, **more})
    shares = []
    if isinstance(answer, Job):
        answer = answer.work(shares.append)
        assert shares[-1] == pytest.approx(1.0)
    assert isinstance(answer, Answer)
    assert answer.about["do"] != "error", answer.about["line"]
    return answer


def test_frames_come_by_the_places_of_the_motors(stored):
    file, images = stored
    session = scan_session(file)
    hello = told(session, "hello").about
    assert hello["grid"]
    assert hello["simulates"]
    assert [motor["name"] for motor in hello["motors"]] == ["chi", "phi"]
    assert hello["motors"][1]["unit"] == "mrad"
    for place in ([0, 0], [2, 6], [1, 2]):
        frame = told(session, "frame", at=place)
        assert frame.about["places"] == place
        np.testing.assert_allclose(frame.pictures["A"].values, images[tuple(place)], rtol=1e-6)
        assert set(frame.pictures) == {"A"}
    assert "number" in session.handle({"do": "frame", "number": 99}).about["line"]


def test_the_simulated_frame_is_the_stored_one(stored):
    file, images = stored
    session = scan_session(file)
    for place in ([0, 1], [2, 4]):
        frame = told(session, "frame", at=place, simulated=True)
        np.testing.assert_allclose(frame.pictures["B"].values, images[tuple(place)], atol=1e-5)
        assert np.abs(frame.pictures["difference"].values).max() < 1e-5
    # Told that φ stands elsewhere at the Bragg setting, it shows what stands there.
    frame = told(session, "zero", motor="phi", value=0.1, number=session._number({"at": [2, 4]}))
    np.testing.assert_allclose(frame.pictures["B"].values, images[2, 3], atol=1e-5)


def test_a_large_frame_is_glanced_at_while_a_slider_moves(stored, monkeypatch):
    file, images = stored
    monkeypatch.setattr("weakbeam.viewer.pictures.MOST_GLANCED", 40)
    monkeypatch.setattr("weakbeam.viewer.scan_session.MOST_GLANCED", 40)
    session = scan_session(file)
    exact = told(session, "frame", at=[1, 2])
    assert not exact.about["rough"]
    rough = told(session, "frame", at=[1, 2], rough=True)
    assert rough.about["rough"]
    picture = rough.pictures["A"]
    assert (picture.about["step"], picture.about["whole"]) == (2, [9, 14])
    expected = [[images[1, 2][2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean() for c in range(7)]
                for r in range(4)]  # fmt: skip
    np.testing.assert_allclose(picture.values, expected, rtol=1e-6)


def test_curves_run_along_the_fast_motor(stored):
    file, images = stored
    session = scan_session(file)
    number = told(session, "frame", at=[2, 0]).about["number"]
    curve = told(session, "curve", region=[2, 4, 3, 7], number=number).about
    np.testing.assert_allclose(curve["y"], images[2, :, 2:4, 3:7].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(curve["x"], np.linspace(-0.3, 0.3, 7), atol=1e-9)
    assert curve["label"] == "φ (mrad)"
    # Another row of the same region is known already.
    again = session.handle({"do": "curve", "region": [2, 4, 3, 7], "number": 0})
    assert isinstance(again, Answer)
    np.testing.assert_allclose(
        again.about["y"], images[0, :, 2:4, 3:7].mean(axis=(1, 2)), rtol=1e-5
    )


def test_maps_are_those_of_map_scan(stored):
    file, images = stored
    session = scan_session(file)
    maps = wb.map_scan(wb.read_scan(file)).maps
    total = told(session, "map", what="sum").pictures["map"].values
    np.testing.assert_allclose(np.sort(total.ravel()), np.sort(maps.intensity.ravel()), rtol=1e-5)
    np.testing.assert_allclose(total, images.sum(axis=(0, 1)), rtol=1e-4)
    center = told(session, "map", what="com", motor="phi").pictures["map"]
    assert center.about["diverging"]
    expected = np.radians(maps.motors["phi"]["com"]) * 1e3
    spread = np.ptp(center.values) * (1e-3 if "µrad" in center.about["labels"]["values"] else 1.0)
    assert spread == pytest.approx(np.nanmax(expected) - np.nanmin(expected), rel=1e-4)


def test_a_scan_of_a_beamline_needs_an_experiment_to_be_simulated(tmp_path):
    h5py = pytest.importorskip("h5py")
    file = tmp_path / "measured.h5"
    rng = np.random.default_rng(1)
    with h5py.File(file, "w") as out:
        entry = out.create_group("1.1")
        entry["title"] = "fscan chi -0.1 0.05 5 1"
        entry["instrument/pco_ff/data"] = rng.integers(90, 110, (5, 6, 8)).astype(np.uint16)
        entry["measurement/pco_ff"] = entry["instrument/pco_ff/data"]
        entry["measurement/chi"] = np.linspace(10.0, 10.2, 5)
        entry["instrument/chi/value"] = np.linspace(10.0, 10.2, 5)
    session = scan_session(file)
    hello = told(session, "hello").about
    assert not hello["simulates"]
    assert hello["motors"][0]["zero"] == pytest.approx(10.1)
    assert "B" not in told(session, "frame", number=0, simulated=True).pictures
    session = scan_session(file, experiment=EXPERIMENT)
    frame = told(session, "frame", number=0, simulated=True)
    assert frame.about["motors"]["chi"] == pytest.approx(-np.radians(0.1) * 1e3)
    assert frame.pictures["B"].values.shape == (9, 14)
    assert "difference" not in frame.pictures


def test_a_series_of_edf_images_is_a_scan(tmp_path):
    frames = np.random.default_rng(2).integers(90, 110, (5, 6, 8)).astype(np.uint16)
    for number, frame in enumerate(frames):
        said = {"ByteOrder": "LowByteFirst", "DataType": "UnsignedShort", "Dim_1": 8, "Dim_2": 6,
                "Size": frame.nbytes, "title": "ascan  diffry 10 10.2 4 1",
                "motor_mne": "diffry obpitch",
                "motor_pos": f"{10 + 0.05 * number:.6f} 17.9"}  # fmt: skip
        text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in said.items())
        content = f"{text:<1022}}}\n".encode() + frame.tobytes()
        (tmp_path / f"scan_{number:04d}.edf").write_bytes(content)
    session = scan_session(str(tmp_path / "scan_*.edf"))
    hello = told(session, "hello").about
    assert hello["frames"] == 5
    [motor] = hello["motors"]
    for number in (3, 0):
        shown = told(session, "frame", at=[number])
        assert shown.about["settings"][motor["name"]] == pytest.approx(10 + 0.05 * number)
        # Rows of a camera run down the page.
        np.testing.assert_array_equal(shown.pictures["A"].values, frames[number])
    curve = told(session, "curve", region=[0, 6, 0, 8], number=0).about
    np.testing.assert_allclose(curve["y"], frames.mean(axis=(1, 2)))


def test_an_experiment_that_reads_elsewhere_is_not_simulated(stored, tmp_path, monkeypatch):
    file, _ = stored
    outside = tmp_path / "outside.cif"
    outside.write_text("data_x")
    text = EXPERIMENT.replace(crystal={"cif": str(outside), "poisson_ratio": 0.3}).to_toml()
    monkeypatch.setattr("weakbeam.viewer.opened.read_configuration", lambda path: text)
    assert not told(scan_session(file), "hello").about["simulates"]


def test_an_image_alone_has_neither_curve_nor_map(tmp_path):
    wb.record(
        EXPERIMENT.replace(scan={"phi": {"value_mrad": 0.1}, "chi": {"value_mrad": 0.0}}), tmp_path
    )
    session = scan_session(tmp_path / "weakbeam.h5")
    hello = told(session, "hello")
    assert (hello.about["motors"], hello.about["kinds"]) == ([], [])
    assert hello.pictures["A"].values.shape == (9, 14)
    for message in ({"do": "curve", "region": [0, 1, 0, 1], "number": 0}, {"do": "map"}):
        assert "moves no motor" in session.handle(message).about["line"]


def test_the_command_opens_files_folders_and_experiments(stored, tmp_path, monkeypatch):
    from weakbeam.cli.live import _handler
    from weakbeam.viewer.scan_session import ScanSession
    from weakbeam.viewer.session import Session

    file, _ = stored
    for name in (str(file), str(file.parent), f"{file}::1"):
        assert isinstance(_handler(name, None, (), 1), ScanSession)
    text = tmp_path / "own.toml"
    text.write_text(EXPERIMENT.to_toml())
    for arguments in ((str(text), None, ()), (None, text, ()), (str(text), text, ())):
        session = _handler(*arguments, 1)
        assert isinstance(session, Session)
        assert session.state.first.experiment == EXPERIMENT


def test_what_makes_no_sense_gets_a_line(stored):
    session = scan_session(stored[0])
    for message in (
        None,
        {"do": "nonsense"},
        {"do": "frame"},
        {"do": "frame", "at": [1]},
        {"do": "frame", "at": ["a", None]},
        {"do": "curve", "region": [0, 0, 0, 0], "number": 0},
        {"do": "map", "what": "sum", "motor": "x"},
        {"do": "zero", "motor": "phi", "value": float("nan")},
    ):
        answer = session.handle(message)
        assert answer.about["do"] == "error"
        assert "\n" not in answer.about["line"]

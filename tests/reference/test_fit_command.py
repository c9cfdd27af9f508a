"""``weakbeam fit`` on the file of a beamline, with the frames of a world of its own."""

import csv
import json

import h5py
import numpy as np
import pytest
from stack_worlds import experiment_of, phi_scan, stack_of, with_lines, world_of

import weakbeam as wb
from weakbeam.cli.main import main
from weakbeam.identify.library.candidates import types_of

SHAPE = (24, 32)
POSITIONS = phi_scan(15)
POINT = np.array([0.4, 0.5, 0.0])
ZERO = 9.01


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A scan over mu about 9.01 deg of one line, its experiment, and a list that is a bit off."""
    folder = tmp_path_factory.mktemp("beamline")
    world = world_of(SHAPE, 0.12)
    experiment = experiment_of(world)
    kind = types_of(experiment)[100]
    frames = stack_of(with_lines(world, [(kind, POINT)]), POSITIONS, 3).frames.stack
    with h5py.File(folder / "measured.h5", "w") as file:
        entry = file.create_group("3.1")
        entry["title"] = "fscan mu 8.99 0.002 15 0.5"
        entry["instrument/mu/value"] = ZERO + np.degrees(POSITIONS[:, 0])
        entry["instrument/pco_ff/image"] = np.clip(frames + 100, 0, 65535).astype(np.uint16)
    (folder / "experiment.toml").write_text(experiment.to_toml())
    listed = experiment.replace(
        defects=[
            wb.Dislocation(
                plane=kind.plane,
                burgers=kind.burgers,
                character_deg=kind.character_deg + 1,
                position_um=(0.45, 0.53, 0.0),
            )
        ]
    )
    (folder / "list.toml").write_text(listed.to_toml())
    return folder, kind


@pytest.fixture
def called(capsys, case, monkeypatch):
    monkeypatch.chdir(case[0])

    def call(*arguments):
        status = 0
        try:
            main(["fit", "measured.h5", "-c", "experiment.toml", *arguments])
        except SystemExit as end:
            status = end.code or 0
        return status, capsys.readouterr()

    return call


def test_a_list_is_refined_and_written(called, case):
    folder, kind = case
    status, said = called("--start", "list.toml", "-o", "found")
    assert status == 0, said.err
    assert "1 dislocation" in said.out
    (row,) = csv.DictReader((folder / "found/dislocations.csv").read_text().splitlines())
    assert row["plane"] == " ".join(map(str, kind.plane))
    assert float(row["character_deg"]) == pytest.approx(kind.character_deg, abs=1.0)
    record = json.loads((folder / "found/fit.json").read_text())
    assert record["explained"]
    assert record["chi2"] < 1.1
    assert len(record["covariance"]) == len(record["parameters"]) == len(record["values"])
    assert any("brightest" in remark for remark in record["remarks"])
    with h5py.File(folder / "found/fit.h5") as file:
        assert file["dislocations/row"].shape == (1,)
        assert file["maps/misfit"].shape == SHAPE
    assert (folder / "found/fit.png").read_bytes()[1:4] == b"PNG"
    # The experiment that was fitted makes the frames, up to light and background.
    fitted = wb.Experiment.from_toml(folder / "found/fitted.toml")
    images = wb.simulate(fitted).images.values.reshape(-1, *SHAPE)
    with h5py.File(folder / "measured.h5") as file:
        measured = file["3.1/instrument/pco_ff/image"][()].astype(float)
    design = np.stack([images.ravel(), np.ones(images.size)], axis=1)
    light, level = np.linalg.lstsq(design, measured.ravel(), rcond=None)[0]
    rest = measured - light * images - level
    chi2 = rest**2 / (2.14 * (light * images + level - 100).clip(0) + 4.2**2 + 1 / 12)
    assert light == pytest.approx(2000, rel=0.02)
    assert np.median(chi2.mean(axis=0)) == pytest.approx(1.0, abs=0.15)

    status, said = called("--start", "list.toml", "-o", "found")
    assert status != 0
    assert "exists" in said.err
    # All of it is known again as what this command may replace.
    status, said = called("--start", "list.toml", "-o", "found", "--overwrite")
    assert status == 0, said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--start", "list.toml", "--detect"), "--detect"),
        (("--start", "nowhere.csv"), "nowhere.csv"),
        (("--start", "experiment.h5"), ".toml, .csv or .json"),
        (("--set", "camera.pixels=[9,9]"), "24 x 32"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(called, case, arguments, words):
    folder, _ = case
    (folder / "experiment.h5").write_bytes(b"")
    status, said = called(*arguments, "-o", "nothing")
    assert status != 0
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (folder / "nothing").exists()

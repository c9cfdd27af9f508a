"""``weakbeam fit`` on the file of a beamline, with the frames of a world of its own."""

import csv
import json

import h5py
import numpy as np
import pytest
from stack_worlds import experiment_of, phi_scan, stack_of, with_lines, world_of

import weakbeam as wb
from weakbeam.cli.main import main
from weakbeam.fit import stack_climb
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


@pytest.fixture
def show(capsys):
    def call(*arguments):
        try:
            main(["show", *arguments])
        except SystemExit as end:
            status = end.code or 0
        said = capsys.readouterr()
        return said.err if status else said.out

    return call


def test_a_list_is_refined_and_written(called, show, case):
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

    shown = show("found/fit.h5")
    table = [line for line in said.out.splitlines() if not line.startswith("found/")]
    assert len(table) == 6
    assert all(line in shown for line in table)
    assert (folder / "found/figures/fit.png").read_bytes() == (
        folder / "found/fit.png"
    ).read_bytes()
    assert json.loads(show("found/fit.h5", "--json", "--format", "none")) == record
    assert "it has no frames" in show("found/fit.h5", "--montage")

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


def test_a_fit_that_was_killed_goes_on_to_the_same_result(called, case, monkeypatch):
    """At the step at which it ended: no climb is begun again."""
    folder, _ = case
    steps = 0
    normal_equations = stack_climb.normal_equations

    def counted(*args, **more):
        nonlocal steps
        steps += 1
        if steps == last:
            raise KeyboardInterrupt
        return normal_equations(*args, **more)

    monkeypatch.setattr(stack_climb, "normal_equations", counted)
    last = 4
    status, said = called("--start", "list.toml", "-o", "killed")
    assert status == 130
    assert "--resume goes on" in said.err
    assert sorted(path.name for path in (folder / "killed").iterdir()) == ["fit-state"]
    status, said = called("--start", "list.toml", "-o", "killed")
    assert status != 0
    assert "ended early" in said.err
    status, said = called(
        "--start", "list.toml", "-o", "killed", "--resume", "--set", "camera.psf_px=1"
    )
    assert status != 0
    assert "another stack, experiment" in said.err
    steps, last = 0, -1
    status, said = called("--start", "list.toml", "-o", "killed", "--resume")
    assert status == 0, said.err
    resumed = steps
    steps = 0
    status, said = called("--start", "list.toml", "-o", "whole")
    assert status == 0, said.err
    assert steps == resumed + 3
    records = [json.loads((folder / name / "fit.json").read_text()) for name in ("whole", "killed")]
    assert records[0] == records[1]
    assert not (folder / "killed/fit-state").exists()
    status, said = called("--start", "list.toml", "-o", "nothing", "--resume")
    assert status != 0
    assert "no fit that ended early" in said.err

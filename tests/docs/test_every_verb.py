"""A script that uses every verb: it runs, and a strict type checker accepts it."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import every_verb
import pytest

import weakbeam as wb

SCRIPT = Path(every_verb.__file__)
WRONG = """
wb.Camera(pixelz=(20, 30))
wb.Experiment(camra={"pixels": (20, 30)})
wb.Axis(half_range=0.3)
wb.simulate("weak-beam.toml")
wb.identify(experiment)
wb.fit("scan.h5", phi=3)
"""
"""Mistakes that an editor underlines."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return every_verb.main(tmp_path_factory.mktemp("verbs"))


def test_what_a_verb_returns_shows_itself_in_a_few_words(shown):
    verbs = {name for name in wb.__all__ if name[0].islower()}
    assert verbs == {*shown, "fit_scan", "distortion", "live"}
    for name, thing in shown.items():
        if name != "displacement_gradient":
            assert len(repr(thing)) < 700, name
            assert hasattr(thing, "_repr_html_"), name


def test_what_a_verb_returns_is_copied_and_pickled(shown):
    for name, thing in shown.items():
        for again in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
            assert repr(again) == repr(thing), name


def test_tables_become_data_frames(shown):
    pandas = pytest.importorskip("pandas")
    for name in ("find_reflections", "optics", "sweep", "compare", "calibrate", "identify", "fit"):
        table = shown[name].to_pandas()
        assert isinstance(table, pandas.DataFrame), name
        assert len(table) == 0 if name == "fit" else len(table) > 1, name


@pytest.mark.slow
def test_a_strict_type_checker_knows_every_verb(tmp_path):
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(f"import weakbeam as wb\nexperiment = wb.Experiment(){WRONG}")
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = true\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", settings]
    done = subprocess.run(
        [*command, "--cache-dir", tmp_path / "cache", SCRIPT, wrong], capture_output=True, text=True
    )
    told = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert all(line.startswith(str(wrong)) for line in told), done.stdout
    lines = {int(line.removeprefix(str(wrong)).split(":")[1]) for line in told}
    assert lines == {number for number, text in enumerate(WRONG.splitlines(), 2) if text}

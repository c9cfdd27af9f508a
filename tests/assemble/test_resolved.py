"""An experiment is resolved once, whoever asks: one crystal, one list, one setting a reflection."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from click.testing import CliRunner

from weakbeam import record, simulate
from weakbeam.assemble import assemble, assemble_all, resolve, resolved
from weakbeam.cli.program import weakbeam
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.run.estimate import check_memory, check_resources, estimate

SMALL = ["camera.pixels=[6, 8]", "camera.depth_samples=5", "output.figures=false"]
ONE = Experiment().with_settings(SMALL)
CUBE = """
[crystal]
mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
[[defects]]
burgers = [1, -1, 0]
line = [1, 1, -2]
plane = [1, 1, 1]
"""
TWO = Experiment.from_toml_text(
    CUBE
    + '[[reflections]]\nhkl = [-1, -1, 3]\ngeometry = "oblique"\n'
    + '[[reflections]]\nhkl = [1, 1, 3]\ngeometry = "oblique"\n'
).with_settings(SMALL)
BELOW = Experiment.from_toml_text(
    CUBE + '[all_reflections]\ntheta_max_deg = 9\nsolutions = "one"\n'
).with_settings(SMALL)
COUNTED = ("crystal_of", "reflections_of", "orientation_of", "geometry_of")


@pytest.fixture
def calls(monkeypatch):
    """How often each of the functions that resolve has been called."""
    count = Counter()

    def counted(name):
        function = getattr(resolved, name)

        def call(*arguments):
            count[name] += 1
            return function(*arguments)

        return call

    for name in COUNTED:
        monkeypatch.setattr(resolved, name, counted(name))
    return count


def once(reflections):
    return dict.fromkeys(COUNTED[:2], 1) | dict.fromkeys(COUNTED[2:], reflections)


@pytest.mark.parametrize(
    ("experiment", "reflections"),
    [(ONE, 1), (TWO, 2), (BELOW, 8)],
    ids=["one", "listed", "all"],
)
def test_every_way_to_images_resolves_once(experiment, reflections, calls, tmp_path):
    simulate(experiment, 1)
    assert calls == once(reflections)
    calls.clear()
    record(experiment, tmp_path / "run", workers=1)
    assert calls == once(reflections)
    file = tmp_path / "experiment.toml"
    file.write_text(experiment.to_toml())
    for more in (["--dry-run"], []):
        calls.clear()
        arguments = ["forward", "-c", str(file), "-o", str(tmp_path / "again"), *more]
        done = CliRunner().invoke(weakbeam, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert calls == once(reflections)


def test_what_is_resolved_is_shared(calls):
    shared = resolve(TWO)
    assert resolve(shared) is shared
    check_memory(shared)
    estimate(shared)
    first, *_ = assemble_all(shared)
    assert calls == once(2)
    np.testing.assert_array_equal(assemble(shared).sample_from_crystal, first.sample_from_crystal)
    assert first.crystal is shared.crystal
    assert calls == once(2)


def test_an_estimate_of_listed_reflections_needs_neither_crystal_nor_setting(calls, tmp_path):
    impossible = TWO.with_settings(["crystal.material=Xx"])
    check_resources(resolve(impossible), tmp_path)
    assert calls == {"reflections_of": 1}
    with pytest.raises(InputError, match=r"crystal\.material"):
        assemble(impossible)


def test_the_first_reflection_is_assembled_whatever_the_others_are():
    second = {"hkl": (8, 8, 8), "geometry": "oblique"}
    listed = [TWO.reflections[0], type(TWO.reflections[0])(**second)]
    experiment = TWO.model_copy(update={"reflections": tuple(listed)})
    assert assemble(experiment).hkl == (-1, -1, 3)
    with pytest.raises(InputError, match=r"reflections\[1\]\.hkl"):
        assemble_all(experiment)

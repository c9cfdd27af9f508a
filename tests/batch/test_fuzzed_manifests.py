"""Whatever a manifest holds, it is read or refused in one line."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from weakbeam.batch.manifest import parse_sweep
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.sweep import Manifest

WORDS = [
    *Manifest.model_fields,
    *("key", "keys", "values", "start", "stop", "steps", "seeds"),
    *("method", "count", "seed", "ranges", "low", "high", "scale", "whole", "format", "kind"),
    *("experiment", "camera", "beam", "defects", "tasks_per_shard", "x"),
]
KEYS = ["beam.energy_keV", "camera.seed", "defects[0].line", "defects[9].line", "camera.pixels[5]"]
LEAVES = st.one_of(
    st.sampled_from([*KEYS, "sobol", "latin-hypercube", "log", "hdf5", "local", "", "no.toml"]),
    st.text(max_size=5),
    st.integers(-(10**20), 10**20),
    st.integers(-2, 5),
    st.floats(),
    st.booleans(),
    st.dates(),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)
AXES = st.fixed_dictionaries(
    {"key": st.sampled_from(KEYS), "values": st.lists(TREES, min_size=1, max_size=3)}
)


def refusal(function, *arguments):
    """What a function gives, and the one line in which it refuses its arguments."""
    try:
        return function(*arguments), ""
    except InputError as error:
        return None, str(error)


def read(data):
    sweep, refused = refusal(parse_sweep, data)
    assert "\n" not in refused
    assert len(refused) < 1000
    if sweep is not None:
        last = sweep.task(sweep.count - 1)
        experiment, refused = refusal(last.experiment, sweep.base)
        assert isinstance(experiment, Experiment) or (refused and "\n" not in refused)
        assert parse_sweep(tomllib.loads(sweep.to_toml())).digest == sweep.digest


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=4))
def test_any_tree(data):
    read(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(AXES, min_size=1, max_size=2), st.none() | TREES)
def test_any_values(axes, draw):
    read({"axes": axes} | ({} if draw is None else {"draw": draw}))


@settings(max_examples=200, deadline=None)
@given(
    low=st.floats(-1e3, 1e3) | st.floats(-3, 3),
    high=st.floats(-1e3, 1e3) | st.floats(-3, 3),
    count=st.integers(1, 9),
    scale=st.sampled_from(["linear", "log"]),
    whole=st.booleans(),
    method=st.sampled_from(["sobol", "latin-hypercube"]),
)
def test_any_range_is_kept_to(low, high, count, scale, whole, method):
    span = {"key": "camera.seed", "low": low, "high": high, "scale": scale, "whole": whole}
    data = {
        "draw": {"count": count, "method": method, "ranges": [span]},
        "experiment": {"camera": {"model": "pco_edge"}},
    }
    sweep, _ = refusal(parse_sweep, data)
    for task in sweep.tasks() if sweep else ():
        assert low <= task.settings["camera.seed"] <= high

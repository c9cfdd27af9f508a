"""Any experiment survives being written and read."""

import tomllib
from collections.abc import Callable

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from strategies import descriptions, experiments

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment


def is_read_or_refused_in_one_line(read: Callable[[], Experiment]) -> bool:
    try:
        return isinstance(read(), Experiment)
    except InputError as error:
        return len(str(error).splitlines()) == 1 and bool(error.allowed)


@settings(deadline=None, max_examples=60)
@given(descriptions())
def test_text_gives_the_experiment_back(experiment):
    text = experiment.to_toml()
    again = Experiment.from_toml_text(text)
    assert again == experiment
    # Equality calls 0.0 and -0.0 equal; the text does not.
    assert again.to_toml() == text
    assert again.digest == experiment.digest
    assert Experiment.from_toml_text(experiment.to_toml(comments=True)) == experiment


@settings(deadline=None, max_examples=40)
@given(experiments())
def test_experiments_to_simulate_are_valid_and_small(experiment):
    assert Experiment.from_toml_text(experiment.to_toml()) == experiment
    assert experiment.scan.frames <= 81
    assert max(experiment.camera.pixels) <= 12
    assert len(experiment.defects) <= 3


@settings(deadline=None, max_examples=40)
@given(experiments())
def test_settings_of_every_value_change_nothing(experiment):
    table = tomllib.loads(experiment.to_toml())
    lines = experiment.to_toml().splitlines()
    settings_ = [
        f"{section}.{line.replace(' = ', '=', 1)}"
        for section in table
        if isinstance(table[section], dict) and section != "scan"
        for line in lines[lines.index(f"[{section}]") + 1 :][: len(table[section])]
    ]
    assert experiment.with_settings(settings_) == experiment


toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
sections = st.sampled_from([*Experiment.model_fields, "beams", ""])


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(sections, toml_values | st.lists(toml_values), max_size=3))
def test_any_table_is_an_experiment_or_one_line(data):
    assert is_read_or_refused_in_one_line(lambda: Experiment._from_data(data))


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40))
def test_any_text_is_an_experiment_or_one_line(text):
    assert is_read_or_refused_in_one_line(lambda: Experiment.from_toml_text(text))


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["beam.energy_keV", "defects[0].line", "scan.phi.steps", "camera.pixels[1]"]),
    st.text(max_size=20),
)
def test_any_setting_is_applied_or_one_line(key, value):
    setting = f"{key}={value}"
    assert is_read_or_refused_in_one_line(lambda: Experiment().with_settings([setting]))


def test_the_strategies_reach_every_form():
    # Only generated, not shrunk: the first one found will do.
    quick = settings(max_examples=2000, deadline=None, phases=[Phase.generate], database=None)
    for condition in (
        lambda e: e.scan.frames > 3,
        lambda e: e.camera.pixel_nm is None,
        lambda e: any(d.character_deg for d in e.defects),
        lambda e: e.crystal.material == "Ti" and len(e.defects) == 1,
        lambda e: e.beam.profile == "box",
    ):
        assert find(experiments(), condition, settings=quick)


@pytest.mark.parametrize("key", ["\u2028", "a\nb", "a\x85b", "\x1b[31m", "é" * 200])
def test_strange_keys_stay_on_one_line(key):
    with pytest.raises(InputError) as caught:
        Experiment._from_data({"beam": {key: "\u2028\x85"}})
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()

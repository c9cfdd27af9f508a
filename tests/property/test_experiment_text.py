"""Any experiment survives being written and read."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strategies import descriptions, experiments

from weakbeam.assemble.instrument import acceptance_of, profile_of
from weakbeam.crystal.materials import MATERIALS
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
    section, settings_ = "", []
    for line in experiment.to_toml().splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif line and not section.startswith(("scan.", "defects.", "reflections.")):
            settings_.append(f"{section}{line.replace(' = ', '=', 1)}")
    assert experiment.with_settings(settings_) == experiment


STOPS = ("square_aperture", "round_aperture", "knife_edge", "central_stop", "wire")


@settings(deadline=None, max_examples=40)
@given(experiments())
def test_the_instruments_of_experiments_to_simulate_let_something_through(experiment):
    acceptance = acceptance_of(experiment, 0.2)
    assert 1e-6 < acceptance.optics.throughput < 1.0 + 1e-9
    assert profile_of(experiment).samples(15)[1].sum() == pytest.approx(1.0)


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
    assert is_read_or_refused_in_one_line(lambda: Experiment.model_validate(data))


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
    missing = {
        "a scan of several frames": lambda e: e.scan.frames > 3,
        "a magnification": lambda e: e.camera.pixel_nm is None,
        "an angle": lambda e: any(getattr(d, "angle_deg", None) for d in e.defects),
        "a character": lambda e: any(getattr(d, "character_deg", None) for d in e.defects),
        "hexagonal": lambda e: MATERIALS[e.crystal.material].structure == "hcp" and e.defects,
        "a box": lambda e: e.beam.profile == "box",
        "a table and a spectrum": lambda e: e.beam.profile == "tabulated" and e.beam.spectrum,
        "a lens": lambda e: e.objective.lens,
        "several reflections": lambda e: e.reflections,
        "an oblique reflection": lambda e: e.reflection and e.reflection.geometry == "oblique",
        "a tilted goniometer": lambda e: e.reflection and e.reflection.mu_deg,
        "a uniform divergence": lambda e: e.beam.divergence_vertical_profile == "uniform",
    }
    for kind in ("wall", "random", "boundary", "uniform"):
        missing[kind] = lambda e, kind=kind: any(d.kind == kind for d in e.defects)
    for kind in STOPS:
        missing[kind] = lambda e, kind=kind: getattr(e.objective.stop, "kind", "") == kind

    class AllSeen(Exception):
        """There is nothing left to look for."""

    # Only generated, not shrunk, and always the same ones.
    @settings(max_examples=300, deadline=None, phases=[Phase.generate], derandomize=True)
    @given(experiments())
    def look(experiment):
        for name in [name for name, is_met in missing.items() if is_met(experiment)]:
            del missing[name]
        if not missing:
            raise AllSeen

    with suppress(AllSeen):
        look()
    assert not missing


@pytest.mark.parametrize("key", ["\u2028", "a\nb", "a\x85b", "\x1b[31m", "é" * 200])
def test_strange_keys_stay_on_one_line(key):
    with pytest.raises(InputError) as caught:
        Experiment.model_validate({"beam": {key: "\u2028\x85"}})
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()

"""A wrong value is told in the same words, whichever way it comes in."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.schema import nested_table
from weakbeam.experiment.tables import Table
from weakbeam.experiment.toml_text import toml_value

TABLES = {
    name: table
    for name, field in Experiment.model_fields.items()
    if (table := nested_table(field.annotation)) and name not in ("defects", "reflections")
}
KEYS = [(name, key) for name, table in TABLES.items() for key in table.model_fields]

names = st.text("abcxyz_ ", max_size=6)
numbers = st.integers(-(10**7), 10**7) | st.floats(width=32)
plain = names | numbers | st.booleans()
values = plain | st.lists(plain, max_size=4) | st.dictionaries(st.sampled_from("abc"), plain)


def outcome(make):
    """The experiment, or the key and what is allowed there."""
    try:
        return make()
    except InputError as error:
        return error.key, error.allowed


def written(value):
    """A value as TOML; whole floats of a list stay floats, also where a key wants integers."""
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(x) for x in value) + "]"
    return toml_value(value)


def told_alike(name, key, value):
    """The outcome of all routes, which is asserted to be one."""
    text = f"[{name}]\n{key} = {written(value)}"
    told = outcome(lambda: Experiment.from_toml_text(text))
    for make in (
        lambda: Experiment(**{name: {key: value}}),
        lambda: Experiment.model_validate({name: {key: value}}),
        lambda: Experiment().model_copy(update={name: {key: value}}),
        lambda: Experiment().with_settings([f"{name}.{key}={written(value)}"]),
    ):
        assert outcome(make) == told
    # What is no change leaves a table as it is; on the other routes it is an empty table.
    if value != {}:
        assert outcome(lambda: Experiment().replace(**{name: {key: value}})) == told
    return told


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(KEYS), values)
@example(("all_reflections", "in_group_of"), [0.0, 0.0, 0.0, 0.0])
def test_a_value_is_taken_or_refused_alike_on_every_route(place, value):
    name, key = place
    told = told_alike(name, key, value)
    own = outcome(lambda: TABLES[name](**{key: value}))
    if isinstance(own, Table):
        assert isinstance(told, Experiment) or not told[0].startswith(f"{name}.{key}")
    elif isinstance(value, dict):
        # A misspelt key of a nested table is told from the root, or from the table.
        assert told[0] == f"{name}.{own[0]}"
    else:
        # Some words on what is allowed repeat the path.
        assert told[0] == f"{name}.{own[0]}"
        assert told[1].replace(f"{name}.", "") == own[1]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(KEYS), st.text("abcxyz_", min_size=1, max_size=3), plain)
def test_a_misspelt_key_is_refused_alike_on_every_route(place, more, value):
    name, key = place
    told = told_alike(name, f"{key}{more}", value)
    assert isinstance(told, Experiment) or told[0].startswith(name)

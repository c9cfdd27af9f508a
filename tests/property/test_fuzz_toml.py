"""Experiment files with any mistakes are experiments, or refused in one line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbeam.batch.manifest import parse_sweep
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.experiment.toml_text import parse_toml

TEXTS = [template.text for template in TEMPLATES.values()]
LINES = sorted({line for text in TEXTS for line in text.splitlines() if line.strip()})
TOKENS = sorted({token for line in LINES for token in re.findall(r"[\w.+-]+|[^\w\s]", line)})
STRANGE = [
    "nan",
    "-inf",
    "1e400",
    "99999999999999999999",
    "-0.0",
    '""',
    "''''",
    "[]",
    "[[]]",
    "{}",
    "true",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "\x00",
    "\ufeff",
    "\ud7ff",
    "𝔛",
    "\r",
    "\u2028",
    "[" * 3000,
    "a." * 2000,
]

edits = st.lists(
    st.tuples(
        st.sampled_from(["drop line", "double line", "add line", "token", "insert", "cut"]),
        st.floats(0.0, 1.0, exclude_max=True),
        st.sampled_from(LINES) | st.sampled_from(TOKENS) | st.sampled_from(STRANGE) | st.text(),
    ),
    min_size=1,
    max_size=6,
)


def edited(text: str, changes: list[tuple[str, float, str]]) -> str:
    """A text as somebody may leave it who types, pastes and deletes without looking."""
    for kind, place, new in changes:
        lines = text.split("\n")
        number = int(place * len(lines))
        if kind == "drop line":
            del lines[number]
        elif kind == "double line":
            lines.insert(number, lines[number])
        elif kind == "add line":
            lines.insert(number, new)
        elif kind == "token":
            found = list(re.finditer(r"[\w.+-]+", text))
            if found:
                token = found[int(place * len(found))]
                text = text[: token.start()] + new + text[token.end() :]
            continue
        else:
            start = int(place * len(text))
            text = text[:start] + (new + text[start:] if kind == "insert" else "")
            continue
        text = "\n".join(lines)
    return text


def refusal(read: Callable[[], object]) -> str:
    """The line that refuses what is read; empty if it is accepted."""
    try:
        read()
    except InputError as error:
        return str(error)
    return ""


def check(text: str) -> None:
    line = refusal(lambda: Experiment.from_toml_text(text))
    assert len(line.splitlines()) <= 1
    if not line:
        experiment = Experiment.from_toml_text(text)
        assert Experiment.from_toml_text(experiment.to_toml()) == experiment


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(TEXTS), edits)
def test_edited_templates(text, changes):
    check(edited(text, changes))


@pytest.mark.slow
@settings(deadline=None, max_examples=3000)
@given(st.sampled_from(TEXTS), edits)
def test_very_many_edited_templates(text, changes):
    check(edited(text, changes))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_lines_of_templates_in_any_order(lines):
    check("\n".join(lines))


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=60))
def test_any_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "any.toml"
    path.write_bytes(data)
    assert len(refusal(lambda: Experiment.from_toml(path)).splitlines()) <= 1


MANIFEST = """
[experiment]
path = "base.toml"
[[axes]]
key = "scan.chi.value_mrad"
values = [0.0, 0.1]
[[axes]]
key = "beam.energy_keV"
range = { start = 17.0, stop = 18.0, steps = 3 }
[output]
tasks_per_shard = 2
"""


@settings(deadline=None, max_examples=60)
@given(edits)
def test_edited_manifests(changes):
    text = edited(MANIFEST, changes)
    line = refusal(lambda: parse_sweep(parse_toml(text, "sweep.toml")))
    assert len(line.splitlines()) <= 1

"""Functions and tests that the pages name for the equations of the physics are there."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/equations.md"
ROWS = re.findall(r"^\| \[([A-J]\d*)\.? [^|]*\| ([^|]*) \| ([^|]*) \|$", PAGE.read_text(), re.M)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


@cache
def names_in(path):
    text = (PAGE.parent / path).read_text(encoding="utf-8")
    return set(re.findall(r"^ *(?:def|class) (\w+)", text, re.M))


def test_every_section_with_equations_is_listed():
    physics = (PAGE.parent / "physics.md").read_text()
    sections = {match[1] for match in re.finditer(r"^### ([A-J]\d+)\b", physics, re.M)}
    assert len(sections) > 30
    assert sections <= {section for section, _, _ in ROWS}


@pytest.mark.parametrize(("section", "functions", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_what_a_row_names_is_there(section, functions, tests):
    used, held = LINK.findall(functions), LINK.findall(tests)
    assert used
    assert held
    for name, path in used:
        assert name.strip("`") in names_in(path), name
    for words, path in held:
        assert f"test_{words.replace(' ', '_')}" in names_in(path), words

"""Imports within the package run one way, from libraries to studies."""

import re
from pathlib import Path

import pytest

import weakbeam

ROOT = Path(weakbeam.__file__).parent
ORDER = ["library", "search", "", "study"]


def rank(module):
    parts = module.removeprefix("weakbeam.identify").strip(".").split(".")
    return ORDER.index(parts[0] if parts[0] in ORDER else "")


@pytest.mark.parametrize("path", sorted((ROOT / "identify").rglob("*.py")), ids=lambda p: p.stem)
def test_imports_run_from_libraries_to_studies(path):
    own = rank(".".join(["weakbeam", *path.relative_to(ROOT).with_suffix("").parts]))
    for imported in re.findall(
        r"^\s*from (weakbeam\.identify[\w.]*) import", path.read_text(), re.M
    ):
        assert rank(imported) <= own, imported

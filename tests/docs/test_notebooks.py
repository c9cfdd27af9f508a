"""Notebooks run from top to bottom, and show something in every cell that ends in a value."""

import ast
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.md"))
QUICK = {"first-images", "planning"}


def cells(path):
    return re.findall(r"^```\{code-cell\}\n(.*?)^```$", path.read_text(), re.M | re.S)


def run(path):
    """What the cells of a notebook end in."""
    names, ends = {}, []
    for number, code in enumerate(cells(path)):
        tree = ast.parse(code)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{path.stem} cell {number}", "exec"), names)
        if last is not None:
            expression = compile(ast.Expression(last.value), f"{path.stem} cell {number}", "eval")
            ends.append(eval(expression, names))
    return ends


def check(path, folder, monkeypatch):
    monkeypatch.chdir(folder)
    ends = run(path)
    assert ends
    shown = [end._repr_html_() for end in ends if hasattr(end, "_repr_html_")]
    drawn = [end for end in ends if hasattr(end, "_repr_png_")]
    assert len(shown) + len(drawn) >= 1
    assert all(len(text) > 50 for text in shown if text is not None)


def notebooks(quick):
    chosen = [path for path in NOTEBOOKS if (path.stem in QUICK) == quick]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.stem)


@notebooks(quick=True)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    check(path, tmp_path, monkeypatch)


@pytest.mark.slow
@notebooks(quick=False)
def test_every_notebook_runs(path, tmp_path, monkeypatch):
    check(path, tmp_path, monkeypatch)

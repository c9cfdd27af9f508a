"""The scripts of the gallery draw, and the site knows every page."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

import weakbeam as wb

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples" / "gallery").glob("*.py"))
QUICK = {"weak_beam", "sign_of_b", "reflections", "q_field"}


def scripts(quick):
    chosen = [script for script in SCRIPTS if (script.stem in QUICK) == quick]
    return pytest.mark.parametrize("script", chosen, ids=lambda script: script.stem)


@pytest.fixture(scope="module")
def build():
    place = ROOT / "docs" / "site" / "build.py"
    spec = importlib.util.spec_from_file_location("site_build", place)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place.parent)
        spec.loader.exec_module(module)
    return module


def drawn(path):
    with mpl.rc_context({"backend": "agg"}):
        return runpy.run_path(str(path))["figure"]


@scripts(quick=True)
def test_a_script_draws(script):
    assert drawn(script).axes


@pytest.mark.slow
@pytest.mark.parametrize(
    "script", [s for s in SCRIPTS if s.stem not in QUICK], ids=lambda s: s.stem
)
def test_every_script_draws(script):
    assert drawn(script).axes


def test_there_are_twenty_pictures_with_titles():
    assert len(SCRIPTS) >= 20
    for script in SCRIPTS:
        assert re.match(r'"""\S.*\n=+\n\n\S', script.read_text()), script


def test_the_site_has_every_page_and_name(build, tmp_path, monkeypatch):
    source = tmp_path / "source"
    build.copy_pages(source)
    build.write_reference(source)
    listed = set(re.findall(r"^[\w/-]+$", (source / "index.md").read_text(), re.M))
    pages = {p.relative_to(source).with_suffix("").as_posix() for p in source.glob("*/*.md")}
    assert pages <= listed
    names = {p.stem for p in (source / "reference" / "api").glob("*.md")} - {"index"}
    assert names == set(wb.__all__)
    for page in source.rglob("*.md"):
        assert not re.search(r"^```math$|^```\w+ title=", page.read_text(), re.M), page
    assert "sphinx" not in sys.modules


def test_a_page_that_the_index_does_not_name_is_told(build, tmp_path):
    source = tmp_path / "source"
    (source / "how-to").mkdir(parents=True)
    (source / "how-to" / "lost.md").write_text("# Lost\n")
    (source / "index.md").write_text("[x](how-to/found.md)")
    with pytest.raises(SystemExit, match="names no how-to/lost"):
        list(build.navigation(source))


def test_public_names_have_docstrings_with_their_arguments():
    """What the reference shows: every argument of a verb is explained."""
    import inspect

    for name in wb.__all__:
        thing = inspect.unwrap(getattr(wb, name))
        text = inspect.getdoc(thing) or ""
        assert text, name
        if inspect.isfunction(thing):
            for argument in inspect.signature(thing).parameters:
                assert re.search(rf"(^|[ ,*]){argument}( :|,|$)", text, re.M), (name, argument)

"""The examples of the pages and docstrings run; what they point at is there."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import weakbeam
from weakbeam.cli.reference import command_reference

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted(
    ["weakbeam", *(m.name for m in pkgutil.walk_packages(weakbeam.__path__, "weakbeam."))]
)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def failures(test):
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said = []
    runner.run(test, out=said.append)
    return "".join(said)


def sections(page):
    """Identifiers of the sections of a page, as GitHub makes them from the titles."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page, flags=re.S), re.M)
    names = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return names | set(re.findall(r'<a id="(\w+)"></a>', page))


@pages
def test_examples_of_pages_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", page.read_text(), re.M | re.S)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    assert failures(test) == ""


def test_examples_of_docstrings_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder, found = doctest.DocTestFinder(exclude_empty=True), 0
    for name in MODULES:
        for test in finder.find(importlib.import_module(name), name):
            if test.examples:
                found += 1
                assert failures(test) == "", test.name
    assert found >= 3


@pages
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:|mailto:", target):
            continue
        name, _, section = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), target
        if section:
            assert section in sections(place.read_text()), target


def test_sections_of_the_physics_that_the_code_cites_exist():
    physics = (ROOT / "docs/explanation/physics.md").read_text()
    there = set(re.findall(r"^### ([A-J]\d)\b", physics, re.M))
    there |= set(re.findall(r"^## ([A-J])\.", physics, re.M))
    cited = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = " ".join(path.read_text().split())
        for match in re.finditer(r"physics\.md, ((?:[A-J]\d?(?:, | and )?)+)", text):
            cited.update(dict.fromkeys(re.findall(r"[A-J]\d?", match[1]), path.name))
    assert len(cited) > 10
    assert {key: name for key, name in cited.items() if key not in there} == {}


def test_page_of_the_commands_is_up_to_date():
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert page == command_reference(), (
        "run python -m weakbeam.cli.reference > docs/reference/commands.md"
    )


def test_page_of_the_references_is_up_to_date():
    place = ROOT / "docs/site/references.py"
    spec = importlib.util.spec_from_file_location("references", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/reference/references.md").read_text() == module.page(), (
        "run python docs/site/references.py > docs/reference/references.md"
    )
    cited = set()
    for page in PAGES:
        cited |= set(re.findall(r"references\.md#(\w+)\)", page.read_text()))
    assert cited <= set(module.entries(module.BIB.read_text()))


@pages
def test_pictures_are_small(page):
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
        picture = page.parent / target
        assert picture.stat().st_size < 200_000, target

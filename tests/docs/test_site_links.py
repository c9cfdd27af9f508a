"""Links of the site that lead nowhere are found."""

import importlib.util
from pathlib import Path

import pytest

PLACE = Path(__file__).parents[2] / "docs" / "site" / "links.py"


@pytest.fixture(scope="module")
def links():
    spec = importlib.util.spec_from_file_location("site_links", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    (tmp_path / "how-to").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="#top">1</a><a href="#gone">2</a>'
        '<a href="how-to/a.html#part">3</a><a href="how-to/a.html#gone">4</a>'
        '<a href="how-to/">5</a><img src="gone.png"><a href="https://example.org/x#y">6</a>'
    )
    (tmp_path / "how-to/a.html").write_text(
        '<p id="part"></p><a href="../index.html">7</a><a href="b%20c.html">8</a>'
    )
    (tmp_path / "how-to/b c.html").write_text("")
    (tmp_path / "how-to/index.html").write_text("")
    return tmp_path


def test_what_is_not_there_is_told(links, site):
    assert list(links.dead_links(site)) == [
        "index.html: #gone",
        "index.html: how-to/a.html#gone",
        "index.html: gone.png",
    ]


def test_links_to_other_sites_are_listed_once(links, site):
    assert list(links.external_links(site)) == ["https://example.org/x"]

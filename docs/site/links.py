"""Links of the site that lead nowhere.

``python docs/site/links.py build/site`` looks at links within the site, ``--external`` at those to
other sites, which takes the network and minutes.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

OWN = ("genindex.html", "search.html", "py-modindex.html")
"""Pages that Sphinx makes, whose links it makes as well."""

REFUSING = (403, 405, 406, 418, 429, 999)
"""Answers of servers that are there and do not talk to programs."""


class _Page(HTMLParser):
    """Where a page leads, and the names of its parts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and names."""
        given = {name: value for name, value in attrs if value}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given[name] for name in ("href", "src") if name in given]


def pages_of(site: Path) -> dict[Path, _Page]:
    """All pages of a site."""
    return {
        path.resolve(): _Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts
    }


def dead_links(site: Path) -> Iterator[str]:
    """Links within a site that lead nowhere: the page and the link."""
    pages = pages_of(site)
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            place, part = urldefrag(link)
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(urlsplit(place).path)).resolve() if place else path
            if target.is_dir():
                target /= "index.html"
            there = target.is_file() and (
                not part or target not in pages or unquote(part) in pages[target].names
            )
            if not there and target.name not in OWN:
                yield f"{path.relative_to(site.resolve())}: {link}"


def external_links(site: Path) -> dict[str, Path]:
    """Links to other sites, each with a page that has it."""
    found: dict[str, Path] = {}
    for path, page in pages_of(site).items():
        for link in page.links:
            if urlsplit(link).scheme in ("http", "https"):
                found.setdefault(urldefrag(link)[0], path)
    return found


def is_dead(link: str) -> str:
    """Why a link to another site leads nowhere; empty if it leads somewhere."""
    request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code in REFUSING else str(error)
    except (OSError, ValueError) as error:
        return str(error)


def main() -> None:
    """Print dead links; fail if there is one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--external", action="store_true")
    options = parser.parse_args()
    if options.external:
        links = external_links(options.site)
        with ThreadPoolExecutor(8) as pool:
            told = zip(links, pool.map(is_dead, links), strict=True)
            dead = [f"{links[link].name}: {link}: {why}" for link, why in told if why]
    else:
        dead = list(dead_links(options.site))
    print("\n".join(dead) or "no dead link")
    sys.exit(bool(dead))


if __name__ == "__main__":
    main()

"""The page of the references, made from docs/references.bib.

``python docs/site/references.py > docs/reference/references.md``
"""

from __future__ import annotations

import re
from pathlib import Path

BIB = Path(__file__).parents[1] / "references.bib"

HEAD = """\
# References

Made from [references.bib](../references.bib), which reference managers read. Please cite
[Borgi et al. (2024)](#borgi2024), [Poulsen et al. (2021)](#poulsen2021) and this program
(`CITATION.cff`).
"""


def entries(text: str) -> dict[str, dict[str, str]]:
    """Fields of each entry by its key, in the order of the file."""
    found = {}
    for key, body in re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.M | re.S):
        found[key] = dict(re.findall(r"^  (\w+) = \{+(.*?)\}+,$", body, re.M))
    return found


def line(key: str, entry: dict[str, str]) -> str:
    """An entry of the page, with the key as its anchor."""
    authors = entry["author"].split(" and ")
    names = ", ".join(authors[:-1]) + " & " + authors[-1] if len(authors) > 1 else authors[0]
    where = entry.get("journal") or entry.get("booktitle") or entry["publisher"]
    told = f'<a id="{key}"></a>{names} ({entry["year"]}). {entry["title"]}. *{where}*'
    if "volume" in entry:
        told += f" **{entry['volume']}**"
    if "pages" in entry:
        told += f", {entry['pages'].replace('--', '–')}"
    if "doi" in entry:
        told += f". [doi:{entry['doi']}](https://doi.org/{entry['doi']})"
    return f"- {told}"


def page() -> str:
    """The whole page."""
    listed = entries(BIB.read_text(encoding="utf-8"))
    by_author = sorted(listed, key=lambda key: (listed[key]["author"], listed[key]["year"]))
    return HEAD + "\n" + "\n".join(line(key, listed[key]) for key in by_author) + "\n"


if __name__ == "__main__":
    print(page(), end="")

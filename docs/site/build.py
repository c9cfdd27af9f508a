"""Make the site: the pages of docs/ with navigation, and the reference of every public name.

The pages stay plain Markdown, which reads well in the repository; what only a site needs is added
to a copy of them.
"""

from __future__ import annotations

import argparse
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from links import dead_links

import weakbeam

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "Tutorials": "tutorials",
    "Notebooks": "notebooks",
    "How to": "how-to",
    "Explained": "explanation",
    "Reference": "reference",
}
GROUPS = {
    "Verbs": inspect.isfunction,
    "Description": lambda thing: thing.__module__.startswith("weakbeam.experiment"),
    "Results": lambda thing: True,
}
"""Public names by kind; each stands in the first group that takes it."""


def copy_pages(source: Path) -> None:
    """Copy the pages and pictures, and add what leads from one to the other."""
    docs = ROOT / "docs"
    shutil.copytree(docs, source, ignore=shutil.ignore_patterns("site", "*.py", "__pycache__"))
    shutil.copy(ROOT / "CHANGELOG.md", source / "changelog.md")
    contributing = (ROOT / "CONTRIBUTING.md").read_text().replace("(docs/", "(")
    contributing = contributing.replace("[MIT licence](LICENSE)", "MIT licence")
    (source / "contributing.md").write_text(contributing)
    for page in source.rglob("*.md"):
        text = page.read_text()
        text = text.replace("(../../CHANGELOG.md)", "(../changelog.md)")
        # Citations are links in the repository, and get their author and year from BibTeX here.
        text = re.sub(r"\[[^\]]+\]\([^)]*references\.md#(\w+)\)", r"{cite:t}`\1`", text)
        text = re.sub(r"^```math$", "```{math}", text, flags=re.M)
        text = re.sub(r"^```csv", "```text", text, flags=re.M)
        # Sphinx takes along only pictures that it knows of.
        text = re.sub(r"<img [^>]*>", picture, text)
        # Names of files in fences are for the tests, and make a caption here.
        text = re.sub(
            r'^```(\w+) title="([^"]+)"[^\n]*\n',
            r"```{code-block} \1\n:caption: \2\n\n",
            text,
            flags=re.M,
        )
        text = re.sub(r'^```(\w+) \w+="[^\n]*\n', r"```\1\n", text, flags=re.M)
        page.write_text(text)
    references = source / "reference" / "references.md"
    heading = references.read_text().partition("\n- <a")[0]
    heading = re.sub(r"\[[^\]]+\]\(#(\w+)\)", r"{cite:t}`\1`", heading)
    heading = heading.replace(
        "[references.bib](../references.bib)", "{download}`references.bib <../references.bib>`"
    )
    references.write_text(f"{heading}\n```{{bibliography}}\n:all:\n```\n")
    copy_sources(source)
    index = source / "index.md"
    text = index.read_text().partition("\nBeside other programs")[0]
    index.write_text(text + first_page() + "".join(navigation(source)))


def picture(match: re.Match[str]) -> str:
    """A picture that a page has as HTML, for its size, as MyST has it."""
    told = dict(re.findall(r'(\w+)="([^"]*)"', match[0]))
    options = "".join(f":{key}: {told[key]}\n" for key in ("alt", "width") if key in told)
    return f"\n```{{image}} {told['src']}\n{options}```\n"


def first_page() -> str:
    """What the first page has from the README: other programs, how to cite, where to ask."""
    sections = re.split(r"^(?=## )", (ROOT / "README.md").read_text(), flags=re.M)
    names = ("Beside other programs", "Cite", "Help, and contributing")
    chosen = [section for section in sections if section[3:].partition("\n")[0] in names]
    if len(chosen) != len(names):
        sys.exit(f"README.md must have the sections {', '.join(names)}")
    text = "\n" + "".join(chosen)
    text = re.sub(r"\n\[Documentation\][^\n]*\n", "\n", text)
    text = text.replace("(CONTRIBUTING.md)", "(contributing.md)").replace("(docs/", "(")
    text = text.replace("[CITATION.cff](CITATION.cff)", "`CITATION.cff`")
    return text.replace("[gallery](examples/gallery)", "[gallery](gallery/index)")


def copy_sources(source: Path) -> None:
    """Make pages of the functions and tests that pages lead to."""
    link = re.compile(r"\]\(((?:\.\./)+)((?:src|tests)/[\w/]+)\.py\)")
    folder = source / "source"
    for page in sorted(source.rglob("*.md")):
        text = page.read_text()
        for name in sorted({match[2] for match in link.finditer(text)}):
            made = folder / f"{name}.md"
            made.parent.mkdir(parents=True, exist_ok=True)
            code = (ROOT / f"{name}.py").read_text()
            made.write_text(
                f"---\norphan: true\n---\n\n# {name.removeprefix('src/')}.py\n\n"
                f"````python\n{code}````\n"
            )
        up = "../" * (len(page.relative_to(source).parts) - 1)
        page.write_text(link.sub(rf"]({up}source/\2.md)", text))


def navigation(source: Path) -> Iterator[str]:
    """Tables of contents of the sections, in the order in which the index names the pages."""
    text = (source / "index.md").read_text()
    for caption, folder in SECTIONS.items():
        named = list(dict.fromkeys(re.findall(rf"\(({folder}/[\w-]+)\.md\)", text)))
        there = {f"{folder}/{page.stem}" for page in (source / folder).glob("*.md")}
        if there - {*named}:
            sys.exit(f"docs/index.md names no {', '.join(sorted(there - {*named}))}")
        more = {
            "tutorials": ["gallery/index"],
            "reference": ["reference/api/index", "changelog", "contributing"],
        }
        pages = [*named, *more.get(folder, [])]
        lines = "\n".join(pages)
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"


def write_reference(source: Path) -> None:
    """Write a page for every public name."""
    folder = source / "reference" / "api"
    folder.mkdir()
    left = sorted(weakbeam.__all__)
    parts = ["# Every public name\n\nAll of them are had from `weakbeam` itself.\n"]
    for group, takes in GROUPS.items():
        names = [name for name in left if takes(thing_of(name))]
        left = [name for name in left if name not in names]
        rows = [f"| [`{name}`]({name}.md) | {first_line(name)} |" for name in names]
        parts.append(f"\n## {group}\n\n| | |\n|---|---|\n" + "\n".join(rows) + "\n")
        lines = "\n".join(names)
        parts.append(f"\n```{{toctree}}\n:hidden:\n\n{lines}\n```\n")
        for name in names:
            thing = thing_of(name)
            if thing.__name__ != name and thing.__name__ in names:
                page = f"# {name}\n\nThe same as [`{thing.__name__}`]({thing.__name__}.md).\n"
                (folder / f"{name}.md").write_text(page)
                continue
            kind = "autofunction" if inspect.isfunction(thing) else "autoclass"
            members = members_of(thing)
            options = f"   :members: {members}\n" if members else ""
            (folder / f"{name}.md").write_text(
                f"# {name}\n\n```{{eval-rst}}\n.. currentmodule:: {thing.__module__}\n"
                f".. {kind}:: {thing.__name__}\n{options}```\n{keys_of(thing)}"
            )
    (folder / "index.md").write_text("".join(parts))


def thing_of(name: str) -> Any:
    """What a public name stands for; of a room that is called like a verb, the verb."""
    return inspect.unwrap(getattr(weakbeam, name))


def first_line(name: str) -> str:
    """What a name is, in a line."""
    return inspect.getdoc(thing_of(name)).split("\n")[0].replace("|", "\\|")


def members_of(thing: object) -> str:
    """Public methods of a class of the package, without those of its libraries."""
    if not inspect.isclass(thing):
        return ""
    own = [cls for cls in thing.__mro__ if cls.__module__.startswith("weakbeam")]
    named = dict.fromkeys(
        name
        for cls in reversed(own)
        for name, member in vars(cls).items()
        if not name.startswith(("_", "model_"))
        and (inspect.isfunction(member) or isinstance(member, property | classmethod))
    )
    hidden = {"copy", "rivals", "kind_name"}
    return ", ".join(name for name in named if name not in hidden)


def keys_of(thing: object) -> str:
    """The keys of a table of the description."""
    fields = getattr(thing, "model_fields", None)
    if not fields:
        return ""
    from weakbeam.experiment.schema import allowed

    rows = []
    for name, field in fields.items():
        default = "required" if field.is_required() else f"`{field.get_default()!r}`"
        cells = [f"`{name}`", default, field.description or "", allowed(field)]
        rows.append(
            "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"
        )
    head = "| key | default | what it is | allowed |\n|---|---|---|---|\n"
    return f"\n{head}" + "\n".join(rows) + "\n"


def main() -> None:
    """Prepare the pages and have Sphinx make the site of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build" / "site")
    output = parser.parse_args().output
    source = output.parent / "site-source"
    shutil.rmtree(source, ignore_errors=True)
    copy_pages(source)
    write_reference(source)
    config = Path(__file__).parent
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "-c", config, source, output]
    status = subprocess.run([sys.executable, *map(str, command)], check=False).returncode
    dead = list(dead_links(output))
    print(*(f"leads nowhere: {link}" for link in dead), sep="\n", file=sys.stderr)
    sys.exit(status or bool(dead))


if __name__ == "__main__":
    main()

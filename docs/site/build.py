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
    for page in source.rglob("*.md"):
        text = page.read_text()
        text = text.replace("(../../CHANGELOG.md)", "(../changelog.md)")
        text = re.sub(r"^```math$", "```{math}", text, flags=re.M)
        text = re.sub(r"^```csv", "```text", text, flags=re.M)
        # Names of files in fences are for the tests, and make a caption here.
        text = re.sub(
            r'^```(\w+) title="([^"]+)"[^\n]*\n',
            r"```{code-block} \1\n:caption: \2\n\n",
            text,
            flags=re.M,
        )
        text = re.sub(r'^```(\w+) \w+="[^\n]*\n', r"```\1\n", text, flags=re.M)
        page.write_text(text)
    index = source / "index.md"
    index.write_text(index.read_text() + "".join(navigation(source)))


def navigation(source: Path) -> Iterator[str]:
    """Tables of contents of the sections, in the order in which the index names the pages."""
    text = (source / "index.md").read_text()
    for caption, folder in SECTIONS.items():
        named = list(dict.fromkeys(re.findall(rf"\(({folder}/[\w-]+)\.md\)", text)))
        there = {f"{folder}/{page.stem}" for page in (source / folder).glob("*.md")}
        if there - {*named}:
            sys.exit(f"docs/index.md names no {', '.join(sorted(there - {*named}))}")
        more = {"tutorials": ["gallery/index"], "reference": ["reference/api/index", "changelog"]}
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
    sys.exit(subprocess.run([sys.executable, *map(str, command)], check=False).returncode)


if __name__ == "__main__":
    main()

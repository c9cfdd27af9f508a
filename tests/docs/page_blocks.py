"""Pages of the documentation as a reader follows them: files written, commands run, in order.

What a block of a page is, its first line says:

- ``sh``: commands. Those that call ``weakbeam`` or ``python`` are run; each must end well. With
  ``each="alone"`` they are alternatives: each gets a folder of its own to write to.
- ``text`` or nothing: what the last commands print; ``...`` stands for any lines, and numbers may
  differ by a hundredth.
- ``toml``, ``csv`` with ``title="NAME"``: the file NAME (``after="OTHER"``: OTHER, and then this).
- ``toml`` alone: an experiment, which a dry run must accept.
- ``python`` with ``title="NAME"``: the file NAME; alone: run, one namespace for the page.

``<!-- not run: WHY -->`` on the line above leaves a block alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from weakbeam.cli.main import main

BLOCK = re.compile(
    r"(?P<above><!-- not run: [^\n]*-->\n\n?)?^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)"
    r"^(?P=indent)```$",
    re.M | re.S,
)
SETS_UP = ("python3 -m venv", "python -m venv", ". ", "pip install", "cd ", "darfix-env/")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its line, its language, what else the fence says, its text."""

    line: int
    language: str
    options: dict[str, str]
    text: str
    runs: bool


def blocks_of(page: str) -> list[Block]:
    """All blocks of the text of a page, in order."""
    found = []
    for match in BLOCK.finditer(page):
        language, _, rest = match["info"].strip().partition(" ")
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.M)
        line = page[: match.start("info")].count("\n") + 1
        options = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        found.append(Block(line, language, options, text, match["above"] is None))
    return found


class Reader:
    """Someone who follows a page, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.names: dict[str, object] = {"__name__": "page"}
        self.printed = ""
        self.missing: set[str] = set()

    def follow(self, block: Block) -> None:
        """Do what a block says; raises AssertionError where it does not do what it shows."""
        if not block.runs:
            self.printed = ""
            return
        if "title" in block.options:
            return
        if block.language == "sh":
            self._shell(block)
        elif block.language == "toml":
            self._experiment(block)
        elif block.language == "python":
            self._python(block)
        elif block.language in ("", "text") and not self.missing:
            assert_shows(self.printed, block.text)

    def write(self, block: Block) -> None:
        """Make the file that a block is."""
        if "title" not in block.options:
            return
        before = self.folder / block.options["after"] if "after" in block.options else None
        text = before.read_text() + "\n" if before else ""
        (self.folder / block.options["title"]).write_text(text + block.text)

    def _shell(self, block: Block) -> None:
        self.printed = ""
        for number, command in enumerate(block.text.replace("\\\n", " ").splitlines()):
            # The shell takes a # within a word, as in scan.h5#17, as it stands; shlex does not.
            words = shlex.split(re.sub(r"(^|\s)#.*", "", command))
            if not words or command.startswith(SETS_UP):
                continue
            assert words[0] in ("weakbeam", "python"), f"not run: {command}"
            call = self._weakbeam if words[0] == "weakbeam" else self._program
            target = None
            if ">" in words:
                words, target = words[: words.index(">")], words[words.index(">") + 1]
            if block.options.get("each") == "alone" and "-o" not in words:
                words += ["-o", f"alone-{block.line}-{number}"]
            status, out, err = call(words[1:])
            assert status == 0, f"{command}\n{out}{err}"
            if target:
                (self.folder / target).write_text(out)
                out = ""
            self.printed += out + err

    def _weakbeam(self, arguments: list[str]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        status: object = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), inside(self.folder):
            try:
                main(arguments)
            except SystemExit as ended:
                status = ended.code or 0
        return int(str(status)), out.getvalue(), err.getvalue()

    def _program(self, arguments: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    def _experiment(self, block: Block) -> None:
        file = self.folder / f"block-{block.line}.toml"
        file.write_text(block.text)
        status, out, err = self._weakbeam(["forward", "-c", file.name, "--dry-run"])
        assert status == 0, out + err

    def _python(self, block: Block) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), inside(self.folder):
            try:
                exec(compile(block.text, "<page>", "exec"), self.names)
            except ModuleNotFoundError as error:
                if str(error.name).startswith("weakbeam"):
                    raise
                self.missing.add(str(error.name))
            except NameError:
                if not self.missing:
                    raise
        self.printed = out.getvalue()


@contextlib.contextmanager
def inside(folder: Path):
    """Work in a folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def assert_shows(printed: str, shown: str) -> None:
    """Whether lines that a page shows were printed, one after the other from some line on."""
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    pattern = [line.split() for line in shown.splitlines() if line.strip()]
    for start in range(len(lines)):
        if _matches(lines[start:], pattern):
            return
    raise AssertionError(f"the page shows\n{shown}\nprinted was\n{printed}")


def _matches(lines: list[list[str]], pattern: list[list[str]]) -> bool:
    if not pattern:
        return True
    if pattern[0] == ["..."]:
        return any(_matches(lines[skip:], pattern[1:]) for skip in range(len(lines) + 1))
    return bool(lines) and _same(lines[0], pattern[0]) and _matches(lines[1:], pattern[1:])


def _same(printed: list[str], shown: list[str]) -> bool:
    if shown[-1:] == ["..."]:
        printed, shown = printed[: len(shown) - 1], shown[:-1]
    return len(printed) == len(shown) and all(map(_near, printed, shown))


NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def _near(printed: str, shown: str) -> bool:
    """Whether two words are the same but for a hundredth of their numbers."""
    if NUMBER.sub("#", printed) != NUMBER.sub("#", shown):
        return False
    for one, other in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        a, b = (float(text.replace("−", "-")) for text in (one, other))
        decimals = len(other.partition("e")[0].partition(".")[2]) if "e" not in other else 0
        if abs(a - b) > max(0.01 * abs(b), 1.01 * 10.0**-decimals if "." in other else 0):
            return False
    return True

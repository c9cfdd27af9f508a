"""Help: an example for every command, and nothing heavy loaded for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from weakbeam.cli.program import weakbeam as program

HEAVY = ("numpy", "scipy", "matplotlib", "numba", "h5py", "gemmi", "pydantic", "xraydb", "tqdm")


@pytest.mark.parametrize("name", ["", *program.commands])
def test_help_has_an_example_and_fits_a_terminal(weakbeam, name):
    result = weakbeam(*([name] if name else []), "--help")
    assert result.status == 0
    assert "Example" in result.out
    assert f"weakbeam {name}".strip() in result.out
    assert max(map(len, result.out.splitlines())) <= 88


@pytest.mark.parametrize("arguments", [["--help"], ["forward", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from weakbeam.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as ended: assert not ended.code\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_version(weakbeam):
    result = weakbeam("--version")
    assert result.status == 0
    assert result.out.startswith("weakbeam, version ")


@pytest.mark.parametrize(
    ("arguments", "heading"), [((), "Simulate"), (("sweep",), "Commands"), (("identify",), "Comm")]
)
def test_a_group_that_is_given_nothing_shows_its_help(weakbeam, arguments, heading):
    result = weakbeam(*arguments)
    assert result.status == 2
    assert result.err.startswith("Usage: ")
    assert f"\n{heading}" in result.err


def test_commands_stand_in_groups_with_whole_sentences(weakbeam):
    from weakbeam.cli.program import SECTIONS

    lines = weakbeam("--help").out.splitlines()
    headings = [line.rstrip(":") for line in lines if line.endswith(":") and line[0] != " "]
    assert headings == ["Options", *SECTIONS]
    assert [command.name for group in SECTIONS.values() for command in group] == [*program.commands]
    text = " ".join(" ".join(lines).split())
    for command in program.commands.values():
        paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
        sentence = paragraph.partition(". ")[0].rstrip(".") + "."
        assert f"{command.name} {sentence}" in text
    assert "..." not in text.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mpas",), "No such command 'mpas'; did you mean 'maps'?"),
        (("identify", "genrate"), "No such command 'genrate'; did you mean 'generate'?"),
        (("xyzzy",), "No such command 'xyzzy'; there are init, forward, "),
        (("--color", "red"), "No such option"),
    ],
)
def test_a_misspelt_command_is_told_the_one_that_was_meant(weakbeam, words, told):
    result = weakbeam(*words)
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert told in line

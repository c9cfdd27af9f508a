"""Messages of the library speak of its own arguments, not of flags of the command line."""

import ast
import re
from pathlib import Path

import weakbeam

PACKAGE = Path(weakbeam.__file__).parent
PAGES_FOR_USERS_OF_THE_PROGRAM = ("batch/scripts.py", "experiment/reference.py")
"""Templates of job scripts and of the manual, which call the program."""
FLAG = re.compile(r"(?<![\w-])--[a-z]")


def texts(tree):
    """Constants that are no docstrings, with their lines."""
    # A text that is a statement documents a module, a class, a function or an attribute.
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in statements:
                yield node.lineno, text


def with_flags():
    """Where a text outside of the command line names a flag."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        for line, text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            if FLAG.search(text):
                yield f"{place}:{line}"


def test_no_message_of_the_library_names_a_flag():
    exempt = ("cli/", *PAGES_FOR_USERS_OF_THE_PROGRAM)
    assert [place for place in with_flags() if not place.startswith(exempt)] == []


def test_flags_are_found_where_they_are():
    found = list(with_flags())
    for place in ("cli/", *PAGES_FOR_USERS_OF_THE_PROGRAM):
        assert any(name.startswith(place) for name in found), place

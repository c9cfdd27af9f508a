"""Which room may import what, read from the source and from a fresh interpreter."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import weakbeam

PACKAGE = Path(weakbeam.__file__).parent


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def is_script(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def run_time_nodes(tree):
    """All nodes but those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            for other in node.orelse:
                yield other
                yield from run_time_nodes(other)
            continue
        yield node
        yield from run_time_nodes(node)


def imported(tree):
    """Top-level packages that the code imports when it runs."""
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


@cache
def trees():
    """The syntax tree of each file, under its path relative to the package."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def imports():
    """The packages that each file imports when it runs."""
    return {path: set(imported(tree)) for path, tree in trees().items()}


def rooms_with(found):
    """Paths, relative to the package, of the files whose tree satisfies `found`."""
    return {path for path, tree in trees().items() if found(tree)}


def importing(package):
    return {path for path, packages in imports().items() if package in packages}


@pytest.mark.parametrize(
    ("package", "room"),
    [
        ("h5py", "io/"),
        ("hdf5plugin", "io/"),
        ("isal", "io/"),
        ("matplotlib", "plot/"),
        ("click", "cli/"),
        ("tqdm", "cli/"),
        ("gemmi", "crystal/"),
        ("xraydb", "instrument/"),
    ],
)
def test_a_package_is_imported_in_one_room_only(package, room):
    users = importing(package)
    assert users
    assert {path for path in users if not path.startswith(room)} == set()


def test_pydantic_stays_in_the_description():
    users = importing("pydantic")
    assert "experiment/experiment.py" in users
    assert {path for path in users if not path.startswith("experiment/")} == set()


def test_only_the_command_line_prints():
    """Blocks under ``if __name__ == "__main__"``, which write pages of the documentation, may."""

    def is_output(node):
        match node:
            case ast.Name(id="print"):
                return True
            case ast.Attribute(attr="write", value=ast.Attribute(attr="stdout")):
                return True
        return False

    def prints(tree):
        library = [node for node in tree.body if not is_script(node)]
        return any(
            isinstance(node, ast.Call) and is_output(node.func)
            for statement in library
            for node in ast.walk(statement)
        )

    assert {path for path in rooms_with(prints) if not path.startswith("cli/")} == set()


def test_physics_does_not_know_the_description():
    def uses(tree):
        modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        return any(name in ("weakbeam.experiment", "weakbeam.assemble") for name in modules)

    physics = ("crystal/", "defects/", "diffraction/", "imaging/", "instrument/", "analysis/")
    assert {path for path in rooms_with(uses) if path.startswith(physics)} == set()


def test_type_checking_blocks_do_not_count():
    tree = ast.parse(
        "if TYPE_CHECKING:\n    import h5py\nelse:\n    import click\n"
        "def f():\n    import tqdm.auto\n"
    )
    assert set(imported(tree)) == {"click", "tqdm"}


def test_importing_weakbeam_loads_nothing_heavy():
    heavy = ("numpy", "scipy", "pydantic", "numba", "h5py", "matplotlib", "gemmi", "click")
    code = f"import sys, weakbeam; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_has_a_home():
    for name in weakbeam.__all__:
        assert getattr(weakbeam, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = weakbeam.nonsense
    assert set(weakbeam.__all__) <= set(dir(weakbeam))

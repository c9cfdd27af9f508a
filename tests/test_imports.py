"""Which room may import what, read from the source and from a fresh interpreter."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import weakbeam
from weakbeam.experiment.defects import DefectTable

PACKAGE = Path(weakbeam.__file__).parent

ROOMS = (
    "errors",
    "core",
    "experiment",
    "crystal",
    "instrument",
    "defects",
    "diffraction",
    "imaging",
    "analysis",
    "io",
    "assemble",
    "plot",
    "run",
    "measured",
    "fit",
    "identify",
    "batch",
    "compat",
    "viewer",
    "rerun",
    "cli",
    "__main__",
)
"""From the ground up: a room imports only rooms that stand before it."""

FACE = "__init__"
"""Hands on the names of the rooms when they are first used; knows its version and no room."""


def room_of(path):
    """The room of a file, by its path relative to the package."""
    return path.partition("/")[0].removesuffix(".py")


def module_of(path):
    """The dotted name of a file."""
    parts = ("weakbeam", *path.removesuffix(".py").split("/"))
    return ".".join(parts).removesuffix(".__init__")


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


@cache
def inner_imports(typing=False):
    """For each module of the package, the modules of it that it imports, at the top or lazily.

    With `typing`, what is imported under ``if TYPE_CHECKING`` counts, too.
    """
    modules = {module_of(path): tree for path, tree in trees().items()}
    result = {}
    for name, tree in modules.items():
        used = set()
        for node in ast.walk(tree) if typing else run_time_nodes(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("weakbeam"):
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    used.add(whole if whole in modules else node.module)
            elif isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names if alias.name in modules}
        result[name] = used - {name}
    return result


def test_every_file_stands_in_a_room():
    assert {room_of(path) for path in trees()} == {*ROOMS, FACE}


def test_no_room_imports_one_that_stands_later():
    """Types count as well: a room that needs the name of a later one knows of it."""
    wrong = set()
    for name, used in inner_imports(typing=True).items():
        for other in used - {"weakbeam"}:
            room, later = name.split(".")[1:2], other.split(".")[1]
            if room and ROOMS.index(later) > ROOMS.index(room[0]):
                wrong.add((name, other))
    assert wrong == set()


def circles(imports):
    """What is left of the modules when those are taken away that no circle passes through."""
    left = {name: used & set(imports) for name, used in imports.items()}
    while True:
        wanted = set().union(*left.values()) if left else set()
        kept = {name: used & set(left) for name, used in left.items() if used and name in wanted}
        if kept == left:
            return kept
        left = {name: used & set(kept) for name, used in kept.items()}


def test_no_files_import_each_other_in_a_circle():
    every = inner_imports(typing=True)
    assert circles({name: used - {"weakbeam"} for name, used in every.items()}) == {}


def test_a_circle_is_found():
    imports = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(imports) == {"b": {"c"}, "c": {"b"}}


def test_a_room_that_is_asked_for_by_its_name_is_seen():
    assert "weakbeam.imaging.sampling_loops" in inner_imports()["weakbeam.imaging.samples"]
    # A lazy import of one function counts like one at the top.
    assert "weakbeam.io.kernel_file" in inner_imports()["weakbeam.cli.bootstrap"]


def test_type_checking_blocks_do_not_count():
    tree = ast.parse(
        "if TYPE_CHECKING:\n    import h5py\nelse:\n    import click\n"
        "def f():\n    import tqdm.auto\n"
    )
    assert set(imported(tree)) == {"click", "tqdm"}


def test_what_describes_and_what_is_share_no_name():
    """A class of the description is never called like one of the physics made from it."""
    names = {
        room: {
            node.name
            for path, tree in trees().items()
            if room_of(path) == room
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }
        for room in ROOMS
    }
    assert "Experiment" in names["experiment"]
    physics = ("crystal", "instrument", "defects", "diffraction", "imaging", "assemble")
    assert {name for room in physics for name in names["experiment"] & names[room]} == set()


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


def test_every_kind_of_defect_can_be_described_from_the_face():
    kinds, rest = set(), [DefectTable]
    while rest:
        rest += (table := rest.pop()).__subclasses__()
        # Tests define kinds of their own.
        ours = table.__module__.startswith("weakbeam.") and not table.__name__.startswith("_")
        if "kind" in table.model_fields and ours:
            kinds.add(table.__name__)
    assert {"Dislocation", "Loop", "Network"} <= kinds <= set(weakbeam.__all__)

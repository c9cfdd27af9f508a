"""Options that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from weakbeam.errors import InputError
from weakbeam.io.places import place_of

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment
    from weakbeam.io.targets import Kind

F = TypeVar("F", bound=Callable[..., Any])

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads.  [default: all cores]",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")

names_only_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print nothing but the names of the files."
)


class Number(click.FloatRange):
    """A number in a range; not a number is none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value of an option, or fail with what it may be."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a valid number.", param, ctx)
        return number


class OutputPath(click.Path):
    """A file or folder to be written; the empty text is none."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value of an option, or fail with what it may be."""
        if not isinstance(value, Path) and not value:
            self.fail("it is empty; give a name.", param, ctx)
        return super().convert(value, param, ctx)


def output_option(help: str, default: str | None = None, metavar: str = "FILE") -> Callable[[F], F]:
    """``--output``, the file that a command writes."""
    more: dict[str, Any] = {} if default is None else {"default": Path(default)}
    return click.option(
        "-o",
        "--output",
        type=OutputPath(),
        metavar=metavar,
        help=help,
        show_default=default is not None,
        **more,
    )


def folder_option(help: str, default: str | None = None) -> Callable[[F], F]:
    """``--output``, the folder for what a command makes."""
    return output_option(help, default, "DIR")


def count_option(
    *names: str,
    default: int,
    help: str,
    least: int = 1,
    most: int | None = None,
    metavar: str = "N",
) -> Callable[[F], F]:
    """A whole number from `least` to `most`, of which the help tells the default."""
    kind = click.IntRange(least, most)
    return click.option(
        *names, type=kind, default=default, show_default=True, metavar=metavar, help=help
    )


def choice_option(*names: str, of: Sequence[str], default: str, help: str) -> Callable[[F], F]:
    """One of a few words, of which the help tells the default."""
    return click.option(
        *names, type=click.Choice(of), default=default, show_default=True, help=help
    )


def overwrite_option(what: str) -> Callable[[F], F]:
    """``--overwrite``, without which nothing is replaced."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def format_option(*more: str) -> Callable[[F], F]:
    """``--format``, the format of the figures; `more` than three of them."""
    return choice_option(
        "--format",
        "suffix",
        of=["png", "svg", "pdf", *more],
        default="png",
        help="Format of the figures.",
    )


def check_target(
    folder: Path, name: str, overwrite: bool, kind: Kind, inputs: Iterable[Path] = ()
) -> Path:
    """The file that a command will write, looked at before anything is computed.

    Parameters
    ----------
    folder : Path
        The value of ``--output``.
    name : str
        Of the file in it.
    overwrite : bool
        Whether it may be there.
    kind : Kind
        What it is.
    inputs : iterable of Path
        What the command reads.

    Raises
    ------
    InputError
        If :func:`weakbeam.io.targets.claim` refuses the folder or the file.
    """
    from weakbeam.io.targets import claim, claim_folder

    claim_folder(folder, inputs=inputs)
    return claim(folder / name, kind, overwrite=overwrite, inputs=inputs)


def check_figures(folder: Path, names: Iterable[str], suffix: str, overwrite: bool) -> None:
    """Refuse figures that a command may not write, before anything is computed."""
    if suffix == "none":
        return
    from weakbeam.plot.files import claim_pictures

    claim_pictures(names, folder, f".{suffix}", overwrite=overwrite)


FLAGS = {
    "background": "--background",
    "folder": "--output",
    "overwrite": "--overwrite",
    "path": "--output",
    "resume": "--resume",
    "settings": "--set",
    "workers": "--workers",
}
"""The flags of arguments that have them in every command, and in no experiment are a key."""


def with_flags(error: InputError, flags: Mapping[str, str] = FLAGS) -> InputError:
    """The mistake as the command line tells it: flags in place of the names of arguments."""
    key = flags.get(error.key, error.key)
    return InputError(key, error.value, text_with_flags(error.allowed, flags))


def text_with_flags(text: str, flags: Mapping[str, str] = FLAGS) -> str:
    """The text with flags in place of the arguments that stand in it in backquotes."""
    return re.sub("`([a-z_]+)`", lambda name: flags.get(name[1], name[0]), text)


@contextmanager
def naming_flags(
    shown: Mapping[str, Callable[[Any], object]] | None = None, **flags: str
) -> Iterator[None]:
    """Let mistakes name flags of one command in place of arguments, beside those of all.

    Parameters
    ----------
    shown : mapping of str to callable, optional
        How a flag has the value that a function complains of, where that is another one: in other
        units, or counted from 1. By the name of the argument.
    **flags : str
        Flag by the name of the argument.
    """
    try:
        yield
    except InputError as error:
        if error.value is not None and shown is not None and error.key in shown:
            error = InputError(error.key, shown[error.key](error.value), error.allowed)
        raise with_flags(error, flags) from None


_FILE = f"{__name__}._FILE"
_ENTRY = f"{__name__}._ENTRY"
"""Keys of click's ``meta`` for what an argument says that an option may say as well."""


def experiment_options(command: F) -> F:
    """Add FILE, ``--config`` and ``--set``, from which :func:`experiment_of` makes the experiment.

    The command gets FILE as `config` where that is how the experiment was given.
    """
    # Eager, so that it is known when the option is looked at.
    file = click.argument(
        "file",
        type=click.Path(path_type=Path),
        required=False,
        is_eager=True,
        expose_value=False,
        callback=_remember,
    )
    config = click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_file_or_option,
        help="The experiment (TOML), the same as FILE alone.  [default: the built-in one]",
    )
    settings = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a key of the experiment; may be given several times.",
    )
    return file(config(settings(command)))


def _remember(context: click.Context, argument: click.Parameter, value: Path | None) -> None:
    context.meta[_FILE] = value


def _file_or_option(
    context: click.Context, option: click.Parameter, value: Path | None
) -> Path | None:
    given: Path | None = context.meta.get(_FILE)
    if value is None or given is None:
        return given if value is None else value
    if os.path.realpath(given) != os.path.realpath(value):
        raise InputError("--config", str(value), f"and FILE = {str(given)!r} differ; give one")
    return value


# ------------------------------------------------------------------ files with entries


class EntryNumber(click.ParamType):  # type: ignore[type-arg]
    """A detector scan by its number, N or N.1."""

    name = "entry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value of an option, or fail with what it may be."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"0*([1-9]\d{0,8})(\.1)?", str(value))
        if match is None:
            self.fail(f"{value!r} is no entry, such as 2 or 2.1.", param, ctx)
        return int(match[1])


def entry_options(command: F) -> F:
    """Add FILE, which may be FILE::ENTRY, and ``--entry``: a command gets `files` and `entry`."""
    file = click.argument(
        "files",
        metavar="FILE",
        nargs=-1,
        required=True,
        type=click.Path(path_type=Path),
        is_eager=True,
        callback=_files_of_entry,
    )
    entry = click.option(
        "--entry",
        type=EntryNumber(),
        default=1,
        metavar="N",
        callback=_entry_or_option,
        help="Detector scan of the file, 2 or 2.1; FILE::2.1 says the same.  [default: 1]",
    )
    return file(entry(command))


def file_and_entry(text: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split FILE::ENTRY; the entry is None where there is none."""
    place = place_of(text)
    if place.entry is None:
        return Path(text), None
    return place.path, place.entry if place.frame is None else f"{place.entry}#{place.frame}"


def one_entry(said: Mapping[str, str | None]) -> str | None:
    """The entry that an argument or an option names.

    Parameters
    ----------
    said : mapping of str to str
        What each way of naming one says, by what messages call it.

    Raises
    ------
    InputError
        If two of them differ.
    """
    given = {name: value for name, value in said.items() if value is not None}
    (first, value), *others = given.items() or [("", None)]
    for other, another in others:
        if f"{another}.1" != value != another != f"{value}.1":
            raise InputError(other, another, f"and {first} = {value!r} differ; give one")
    return value


def _files_of_entry(
    context: click.Context, argument: click.Parameter, values: tuple[Path, ...]
) -> tuple[Path, ...]:
    if len(values) != 1:
        return values
    file, entry = file_and_entry(values[0])
    context.meta[_ENTRY] = None if entry is None else EntryNumber()(entry, argument, context)
    return (file,)


def _entry_or_option(context: click.Context, option: click.Parameter, value: int) -> int:
    named: int | None = context.meta.get(_ENTRY)
    is_given = context.get_parameter_source(str(option.name)) != ParameterSource.DEFAULT
    if is_given and named is not None and value != named:
        raise InputError("--entry", value, f"and FILE::{named} differ; give one")
    if is_given or named is None:
        return value
    context.set_parameter_source(str(option.name), ParameterSource.COMMANDLINE)
    return named


def experiment_of(config: Path | None, settings: tuple[str, ...]) -> Experiment:
    """The experiment that ``--config`` and ``--set`` describe.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or value is not allowed.
    """
    from weakbeam.experiment import Experiment

    experiment = Experiment() if config is None else _reader()(config)
    return experiment.with_settings(settings) if settings else experiment


READER = "weakbeam.cli.options.READER"
"""Key of click's ``meta`` for the function that reads experiments, where it is not the usual."""


def _reader() -> Callable[[Path], Experiment]:
    context = click.get_current_context(silent=True)
    reader: Callable[[Path], Experiment] = _read
    return reader if context is None else context.meta.get(READER, reader)


def _read(config: Path) -> Experiment:
    """Read an experiment; a file of dfxm-geo is refused with the command that converts it."""
    from weakbeam.experiment import Experiment

    try:
        return Experiment.from_toml(config)
    except InputError:
        from weakbeam.compat.conversion import is_dfxm_geo
        from weakbeam.experiment.toml_text import read_toml

        if is_dfxm_geo(read_toml(config)):
            allowed = "is a file of dfxm-geo: weakbeam convert makes an experiment of it"
            raise InputError(str(config), None, allowed) from None
        raise


def duration(seconds: float) -> str:
    """A time as it reads well."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

"""``weakbeam identify``: libraries of candidates, and which of them images show."""

from __future__ import annotations

from importlib import import_module

import click

from weakbeam.cli.groups import CommandGroup

_COMMANDS = {
    "generate": "Make a library of candidates, or a training set.",
    "match": "Rank the candidates of a library for measured images.",
    "study": "Compare the images of all types with each other.",
}


class _LazyGroup(CommandGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"weakbeam.cli.identify_{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def sentence(self, ctx: click.Context, name: str) -> str:
        return _COMMANDS[name]


@click.group(cls=_LazyGroup)
def identify() -> None:
    """Identify dislocations: candidates, their images, and which of them fits.

    \b
    Example:
      weakbeam identify generate -c library.toml -o library
      weakbeam identify match measured.h5 --library library
    """  # noqa: D301 (click needs the character \b itself)

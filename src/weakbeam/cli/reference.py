"""The reference page of the commands, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from weakbeam.cli.program import weakbeam

__all__ = ["command_reference"]

_ALSO = {
    "init": "dfxm-init",
    "forward": "dfxm-forward",
    "bootstrap": "dfxm-bootstrap",
    "identify generate": "dfxm-identify",
    "reflections": "dfxm-find-reflections",
}

_INTRODUCTION = """\
# The commands

<!-- Made from the commands: python -m weakbeam.cli.reference > docs/reference/commands.md -->

One program, `weakbeam`, with a subcommand each. Every command has `--help`; `weakbeam --version`
prints the version. Exit status: 0, done; 1, a failure at run time, such as a full disk; 2, a
mistake in the input, told in one line that names the key, its value and what is allowed; 130,
interrupted.
"""


def command_reference() -> str:
    """Return the reference page of the commands as Markdown."""
    parts = [_INTRODUCTION]
    for name, command in weakbeam.commands.items():
        parts += _command(name, command)
    return "\n".join(parts)


def _command(name: str, command: click.Command) -> Iterator[str]:
    """Yield the parts of a command's section, and of those below it."""
    yield f"## `weakbeam {name}`\n"
    if name in _ALSO:
        yield f"Also installed as `{_ALSO[name]}`.\n"
    yield from (f"{_paragraph(text)}\n" for text in cleandoc(command.help or "").split("\n\n"))
    if command.params:
        yield "\n".join(_parameters(command)) + "\n"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            assert subcommand is not None
            yield from _command(f"{name} {below}", subcommand)


def _paragraph(text: str) -> str:
    """Keep the lines of a paragraph that click must not fill; they hold commands."""
    if not text.startswith("\b\n"):
        return " ".join(text.split())
    title, *commands = text[2:].splitlines()
    return "\n".join([title, "", "```sh", *(line.strip() for line in commands), "```"])


def _parameters(command: click.Command) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"| `{_flags(parameter)}` | {_meaning(parameter)} |"
        else:
            yield f"| `{parameter.human_readable_name}` | {_requirement(parameter)} |"


def _requirement(parameter: click.Parameter) -> str:
    if not parameter.expose_value:
        return "the experiment, the same as `--config FILE`"
    return "required" if parameter.required else "optional"


def _flags(option: click.Option) -> str:
    flags = ", ".join(option.opts)
    if option.is_flag:
        return flags
    if isinstance(option.type, click.Choice):
        return f"{flags} {'/'.join(map(str, option.type.choices))}"
    return f"{flags} {option.metavar or 'N'}"


def _meaning(option: click.Option) -> str:
    text = (option.help or "").replace("|", "\\|").replace("  [", " [")
    if option.show_default and not option.required:
        text += f" [default: {option.default}]"
    return text.strip()


if __name__ == "__main__":
    import sys

    sys.stdout.write(command_reference())

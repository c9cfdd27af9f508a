"""Groups of commands: their help in sections and whole sentences, and names that were misspelt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click


class CommandGroup(click.Group):
    """A group whose help tells the first sentence of every command, under headings.

    Parameters
    ----------
    sections : mapping of str to sequence of Command, optional
        The commands by their headings; more may be added, which come under "Commands".
    **options
        As for `click.Group`.
    """

    def __init__(
        self,
        *arguments: Any,
        sections: Mapping[str, Sequence[click.Command]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._sections: dict[str, list[str]] = {}
        for heading, commands in (sections or {}).items():
            for command in commands:
                self.add_command(command)
                self._sections.setdefault(heading, []).append(str(command.name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of the help."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        listed = {name for names in self._sections.values() for name in names}
        others = [name for name in self.list_commands(ctx) if name not in listed]
        for heading, names in (*self._sections.items(), ("Commands", others)):
            rows = [(name, self.sentence(ctx, name)) for name in names]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def sentence(self, ctx: click.Context, name: str) -> str:
        """What a command does: the first sentence of its help."""
        command = self.get_command(ctx, name)
        assert command is not None
        paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
        return f"{paragraph.partition('. ')[0].rstrip('.')}."

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, or fail with those that there are."""
        if not ctx.resilient_parsing and args and self.get_command(ctx, args[0]) is None:
            self._fail(ctx, args[0])
        return super().resolve_command(ctx, args)

    def _fail(self, ctx: click.Context, name: str) -> NoReturn:
        from difflib import get_close_matches

        if name.startswith("-"):
            ctx.fail(f"No such option {name!r}.")
        names = self.list_commands(ctx)
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        ctx.fail(f"No such command {name!r}; {hint}")

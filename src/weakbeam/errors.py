"""The two ways in which a run can fail, each told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A mistake in what the user asked for.

    Parameters
    ----------
    key : str
        Where it stands: the path in the experiment file (``"beam.energy_keV"``), the name of an
        argument, or a file.
    value : object
        What was found there; ``None`` where there is no value to show.
    allowed : str
        What is wrong and what would be right. An argument that it speaks of stands in backquotes.

    Notes
    -----
    ``str(error)`` is always one line. The command line prints it with its own flags in place of the
    names of arguments, and ends with status 2.
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        shown = "" if value is None else f" = {_short(value)}"
        super().__init__(f"{key}{shown}: {allowed}".replace("\n", " "))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str]]:
        """Let the error come back from another process as what it was."""
        return type(self), (self.key, self.value, self.allowed)


class RunError(RuntimeError):
    """Something that went wrong while running, through no fault of the input (status 1)."""


@contextmanager
def naming(key: str, value: object) -> Iterator[None]:
    """Turn a complaint of the physics into one that names the key."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(key, value, str(error)) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."

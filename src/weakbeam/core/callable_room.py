"""Rooms that have the name of a verb and can be called like it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableRoom(ModuleType):
    """A package that does, when it is called, what the public verb of its name does.

    A package and a function cannot both be ``weakbeam.fit``: whichever is imported later would hide
    the other one. So the package is the function. Which function that is only the face knows.
    """

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        # Where editors, help and the reference look for signature and docstring.
        face = sys.modules[self.__name__.partition(".")[0]]
        verb: Callable[..., Any] = face._home(self.__name__.rpartition(".")[2])
        return verb

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the verb does."""
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Let other processes import it, since they are sent functions by their names, too."""
        return import_module, (self.__name__,)


def make_callable(name: str) -> None:
    """Let the package `name`, which is being imported, be called."""
    sys.modules[name].__class__ = CallableRoom

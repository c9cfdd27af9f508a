"""Packages that are used where they are installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from weakbeam.errors import InputError


def required(package: str, use: str) -> Any:
    """The module of a package that not everybody has.

    Parameters
    ----------
    package : str
        Its name, as it is imported and installed.
    use : str
        What needs it, for the message.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise InputError(use, None, f"needs the package {package}: pip install {package}") from None

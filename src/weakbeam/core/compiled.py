"""How every compiled loop of weakbeam is compiled.

No ``prange``: the engine runs blocks in threads, so that a loop compiles in a fraction of a second,
results do not depend on the number of threads, and division by zero gives infinity as in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from numba.np import linalg

from weakbeam.core.preparing import COMPILING, tell_preparing

F = TypeVar("F", bound=Callable[..., Any])


def _take_scipy_for_granted() -> None:
    """Let numba believe that scipy has BLAS, without its importing all of scipy.linalg to see.

    That import takes 0.15 s as soon as the first compiled function is loaded, and no loop here uses
    BLAS. Code that does still has numba check for it when it is compiled.
    """
    check = getattr(linalg, "ensure_blas", None)
    if check is None:
        return
    linalg.ensure_blas = lambda: None
    try:
        import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = check


_take_scipy_for_granted()


class _Compilation(event.Listener):
    """Tells when a loop is compiled that is not on disk."""

    def on_start(self, event: event.Event) -> None:
        tell_preparing(COMPILING)

    def on_end(self, event: event.Event) -> None:
        return


event.register("numba:compile", _Compilation())  # type: ignore[no-untyped-call]


def compiled(function: F) -> F:
    """Compile to machine code, kept on disk, with fused multiply-add allowed."""
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": {"contract", "arcp", "nsz"},
    }
    return cast(F, _kept(numba.njit, function, options))


def elementwise(function: F) -> F:
    """Compile a function of numbers into one of arrays, as `numpy.vectorize` but fast."""
    return cast(F, _kept(numba.vectorize, function, {}))


def _kept(compiler: Any, function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compile, and keep the machine code on disk where there is a place for it.

    Beside the package, or else in the user's folder for caches; a container may allow neither.
    Then every process compiles for itself, unless NUMBA_CACHE_DIR names a folder.
    """
    try:
        return compiler(cache=True, **options)(function)
    except RuntimeError:
        return compiler(**options)(function)


def inlined(function: F) -> F:
    """Compile a small function into the loops that call it, so that they become vector code."""
    return cast(F, numba.njit(inline="always")(function))

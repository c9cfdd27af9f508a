"""The engines that there are, each under the name of the machine that it computes on."""

from __future__ import annotations

from weakbeam.imaging.contract import EngineBuilder
from weakbeam.imaging.engine import Engine

CPU = "cpu"
"""Compiled loops in threads: the engine that is taken unless another is asked for."""

ENGINES: dict[str, EngineBuilder] = {CPU: Engine}


def engine_builder(machine: str = CPU) -> EngineBuilder:
    """What makes the engine for a machine.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if machine not in ENGINES:
        raise ValueError(f"no engine {machine!r}; there is {', '.join(ENGINES)}")
    return ENGINES[machine]

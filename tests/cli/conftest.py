"""The program, called as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from weakbeam.cli.main import main


@dataclass(frozen=True)
class Result:
    """How a call ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def weakbeam(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call ``weakbeam`` in this process."""

    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    return call

"""Jobs for other processes, which import them from here."""

import os
import signal
import time

from weakbeam.core.processes import attend
from weakbeam.errors import InputError


def square(jobs, answers):
    """Squares numbers; some words are jobs of another kind."""
    attend(jobs, answers, _start)


def _start(about, say):
    if about == "refuse":
        raise InputError("key", 1, "must be 2")
    if about == "a":
        print("this must not get between the answers")

    def do(job):
        if job == "refuse":
            raise InputError("key", 3, "must be 4")
        if job == "crash":
            raise ArithmeticError("no such number")
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "exit":
            os._exit(3)
        if job == "big":
            say(bytes(10**7))
            return
        # The first are the slowest.
        time.sleep(0.2 if job == 0 else 0.0)
        say((about, job**2, os.getpid()))

    return do

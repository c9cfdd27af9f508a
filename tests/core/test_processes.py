"""Other processes that do jobs: order, failures, deaths, ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from weakbeam.core.processes import Child, results_in_order
from weakbeam.errors import RunError

SQUARE = "process_jobs.square"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def ends_soon(pid):
    for _ in range(500):
        if not is_alive(pid):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_order_and_few_jobs_are_taken_ahead(processes):
    taken = []

    def jobs():
        for job in range(60):
            taken.append(job)
            yield job

    pids = set()
    for number, (about, result, pid) in enumerate(results_in_order(SQUARE, "a", jobs(), processes)):
        assert (about, result) == ("a", number**2)
        assert len(taken) <= number + 1 + 5 * processes
        pids.add(pid)
    assert len(taken) == 60
    assert len(pids) == processes
    assert all(ends_soon(pid) for pid in pids)


def test_no_jobs_give_no_results():
    assert [*results_in_order(SQUARE, "a", [], 2)] == []


def test_an_answer_may_be_larger_than_a_pipe_holds():
    assert [len(one) for one in results_in_order(SQUARE, "a", ["big"] * 3, 2)] == [10**7] * 3


@pytest.mark.parametrize(
    ("about", "jobs", "message"),
    [
        ("refuse", [1], "key = 1: must be 2"),
        ("a", [1, 2, "refuse", 3], "key = 3: must be 4"),
        ("a", [1, "crash", 3], "a worker is lost: ArithmeticError: no such number"),
        ("b", [1, "exit"], "a worker is lost: its process ended with status 3"),
        pytest.param(
            "a", ["die", 1], "a worker is lost: its process was ended by SIGKILL", marks=POSIX
        ),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(about, jobs, message):
    with pytest.raises(RunError) as told:
        [*results_in_order(SQUARE, about, jobs, 2)]
    assert str(told.value) == message


def test_processes_end_when_no_more_results_are_wanted():
    results = results_in_order(SQUARE, "a", range(10**9), 2)
    pids = {next(results)[2] for _ in range(20)}
    results.close()
    assert pids
    assert all(ends_soon(pid) for pid in pids)


@POSIX
def test_processes_end_with_the_one_that_has_started_them():
    program = (
        f"import sys; sys.path[:0] = [{os.path.dirname(__file__)!r}]\n"
        "from weakbeam.core.processes import results_in_order\n"
        "for _, _, pid in results_in_order('process_jobs.square', 'a', range(10**9), 1):\n"
        "    print(pid, flush=True)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    pid = int(driver.stdout.readline())
    assert is_alive(pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    assert ends_soon(pid)


def test_a_child_that_cannot_import_says_why():
    heard = []
    child = Child("process_jobs.nothing", lambda child, answer: heard.append(answer))
    try:
        assert "has no attribute 'nothing'" in child.last_words()
    finally:
        child.end()

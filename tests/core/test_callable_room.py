"""Rooms with the name of a verb are packages and functions."""

import copy
import inspect
import pickle
import subprocess
import sys

import pytest

import weakbeam as wb
from weakbeam.fit.observation import Noise
from weakbeam.identify.fit_scan import fit_scan
from weakbeam.identify.identification import identify
from weakbeam.identify.match import match


def test_the_room_is_called_like_its_verb():
    assert inspect.unwrap(wb.fit) is fit_scan is wb.fit_scan
    assert inspect.unwrap(wb.identify) is identify
    assert inspect.signature(wb.identify) == inspect.signature(identify)
    with pytest.raises(wb.InputError, match=r"nowhere.h5.*there is no such file"):
        wb.fit("nowhere.h5")


def test_the_room_stays_a_package():
    assert sys.modules["weakbeam.fit"] is wb.fit
    assert wb.identify.match.match is match
    assert wb.fit.observation.Noise is Noise


@pytest.mark.parametrize("room", ["fit", "identify"])
def test_copies_and_pickles_are_the_room(room):
    verb = getattr(wb, room)
    assert copy.copy(verb) is copy.deepcopy(verb) is pickle.loads(pickle.dumps(verb)) is verb


@pytest.mark.parametrize("room", ["fit", "identify"])
def test_it_can_be_called_whichever_comes_first(room):
    part = {"fit": "weakbeam.fit.observation", "identify": "weakbeam.identify.match"}[room]
    for lines in (f"import weakbeam, {part}", f"import {part}, weakbeam", "import weakbeam"):
        code = (
            f"{lines}; verb = weakbeam.{room}; import sys; "
            f"assert callable(verb) and sys.modules['weakbeam.{room}'] is verb"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_name_alone_loads_nothing_heavy():
    code = "import sys, weakbeam; weakbeam.fit, weakbeam.identify; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

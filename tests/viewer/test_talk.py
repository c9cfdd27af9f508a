"""What a page says and is told, whatever carries it."""

import json
import threading
from queue import Empty, Queue

import pytest

from weakbeam.viewer.answers import Answer, Job, unpack
from weakbeam.viewer.talk import Talk


class Slow:
    """Answers at once, or by work that goes on until it is told to end."""

    def __init__(self):
        self.working = threading.Event()
        self.ended = []

    def handle(self, message):
        if message.get("do") == "long":
            return Job("long", self.work, at_once=True)
        return Answer({"do": message["do"]})

    def work(self, progress):
        self.working.set()
        try:
            for _ in range(10_000):
                progress(0.0)
                threading.Event().wait(0.001)
        finally:
            self.ended.append(True)
        return Answer({"do": "done"})


@pytest.fixture
def talk():
    slow = Slow()
    talk = Talk(slow)
    yield talk, slow
    talk.close()


def test_what_is_done_at_once_gives_way_to_what_is_urgent(talk):
    talk, slow = talk
    told = Queue()
    talk.receive(json.dumps({"do": "long", "id": 1}), told.put)
    assert slow.working.wait(10)
    talk.receive(json.dumps({"do": "patient", "id": 2}), told.put)
    with pytest.raises(Empty):
        told.get(timeout=0.1)
    talk.receive(json.dumps({"do": "motors", "id": 3, "urgent": True}), told.put)
    heads = [unpack(told.get(timeout=10))[0] for _ in range(3)]
    assert [(head["id"], head["do"]) for head in heads] == [
        (1, "later"), (2, "patient"), (3, "motors"),
    ]  # fmt: skip
    assert slow.ended == [True]


def test_a_page_that_has_gone_is_not_answered(talk):
    talk, slow = talk
    first, second = Queue(), Queue()
    gone, there = first.put, second.put
    talk.receive(json.dumps({"do": "long"}), gone)
    assert slow.working.wait(10)
    talk.receive(json.dumps({"do": "x"}), gone)
    talk.forget(gone)
    talk.receive(json.dumps({"do": "y", "urgent": True}), there)
    assert unpack(second.get(timeout=10))[0]["do"] == "y"
    # What was being done is still told, to nobody; what waited was not even looked at.
    assert [unpack(first.get(timeout=10))[0]["do"]] == ["later"]
    assert first.empty()


def test_closing_ends_what_is_done():
    slow = Slow()
    talk = Talk(slow)
    talk.receive(json.dumps({"do": "long"}), lambda _: None)
    assert slow.working.wait(10)
    talk.close()
    assert slow.ended == [True]

"""A page talks to a session: what it says waits for its turn, is answered, and packed.

Nothing here knows what carries the messages, a socket or the connection of a notebook: whoever does
hands them over, with a function that sends bytes back.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Event, Thread
from typing import NamedTuple, Protocol

from weakbeam.errors import InputError
from weakbeam.viewer.answers import Answer, Job, Progress, pack, refusal

__all__ = ["LARGEST_MESSAGE", "CancelledError", "Handler", "Send", "Talk"]

Send = Callable[[bytes], None]
"""Sends one message to a page; does nothing if the page has gone. Called from several threads."""

LARGEST_MESSAGE = 2**20
"""Bytes of a message of a page."""

_MOST_WAITING = 64
"""Messages that may wait for their answers."""

_PROGRESS_SECONDS = 0.1


class Handler(Protocol):
    """What a page talks to; see :class:`weakbeam.viewer.session.Session`."""

    def handle(self, message: object) -> Answer | Job:
        """Answer a message."""


class CancelledError(Exception):
    """Raised where a job tells its progress, once it is no longer wanted."""


class Talk:
    """Answers messages in a thread of its own, one after the other.

    Of the messages of one ``slot`` only the latest is answered, so a drag never queues: what was
    asked for while an image was computed is answered by one image, that of the last message. A
    message that is ``urgent`` ends what is done :attr:`.Job.at_once`.

    Parameters
    ----------
    handler : Handler
        What the page talks to; called from one thread only, one message at a time.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._waiting: list[_Said] = []
        self._more = Condition()
        self._closed = False
        self._worker = ThreadPoolExecutor(1, "weakbeam-job")
        self._job: Event | None = None
        self._gives_way = False
        self._thread = Thread(target=self._answer_all, name="weakbeam-session", daemon=True)
        self._thread.start()

    def receive(self, raw: str | bytes, send: Send) -> bool:
        """Take what a page said; False if too much of it is waiting.

        Parameters
        ----------
        raw : str or bytes
            JSON.
        send : callable
            Sends the answer.
        """
        message = _parsed(raw)
        if isinstance(message, dict) and message.get("do") == "cancel":
            self._cancel()
            return True
        slot = message.get("slot") if isinstance(message, dict) else None
        with self._more:
            if isinstance(slot, str):
                self._waiting = [said for said in self._waiting if said.slot != slot]
            said = _Said(message, send, slot if isinstance(slot, str) else None)
            self._waiting.append(said)
            self._more.notify()
            return len(self._waiting) <= _MOST_WAITING

    def forget(self, send: Send) -> None:
        """A page has gone: what it said and has not been answered is not answered any more."""
        with self._more:
            self._waiting = [said for said in self._waiting if said.send is not send]

    def close(self) -> None:
        """Answer nothing more; returns when nothing is done any more."""
        with self._more:
            self._closed = True
            self._waiting = []
            self._more.notify()
        self._cancel()
        self._thread.join()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.set()

    # ------------------------------------------------------------ one after the other

    def _answer_all(self) -> None:
        while True:
            with self._more:
                while not self._waiting and not self._closed:
                    self._more.wait()
                if self._closed:
                    return
                said = self._waiting.pop(0)
            self._answer(said)

    def _answer(self, said: _Said) -> None:
        message = said.message
        number = message.get("id") if isinstance(message, dict) else None
        number = number if isinstance(number, int) and abs(number) < 2**53 else None
        if isinstance(message, InputError):
            said.send(pack(refusal(message)))
            return
        start = time.perf_counter()
        answer = _safely(lambda: self._handler.handle(message))
        if isinstance(answer, Job):
            if not answer.at_once:
                self._begin(answer, said.send, number)
                return
            answer = self._done(answer, self._give_way, Answer({"do": "later"}))
        took = {"ms": round(1e3 * (time.perf_counter() - start), 2)}
        said.send(pack(Answer({**answer.about, **took}, answer.pictures, answer.files), number))

    def _give_way(self, share: float) -> None:
        """Raise if somebody waits for something that is more urgent."""
        if self._closed or any(said.is_urgent for said in self._waiting):
            raise CancelledError

    @staticmethod
    def _done(job: Job, progress: Progress, ended: Answer) -> Answer:
        def work() -> Answer:
            try:
                return job.work(progress)
            except CancelledError:
                return ended
            except InputError as error:
                return refusal(error)

        answer = _safely(work)
        assert isinstance(answer, Answer)
        return answer

    # ------------------------------------------------------------ what takes long

    def _begin(self, job: Job, send: Send, number: int | None) -> None:
        """Do a job in another thread, meanwhile messages are answered."""
        if self._job is not None and not self._gives_way:
            line = "has to wait; another job is going on"
            send(pack(refusal(InputError(job.name, None, line)), number))
            return
        self._cancel()
        self._job = cancelled = Event()
        self._gives_way = job.gives_way
        told = 0.0

        def progress(share: float) -> None:
            nonlocal told
            if cancelled.is_set():
                raise CancelledError
            now = time.monotonic()
            if now - told >= _PROGRESS_SECONDS:
                told = now
                send(pack(Answer({"do": "progress", "name": job.name, "share": share})))

        def work() -> None:
            line = "was ended; what has been written stays"
            ended = refusal(InputError(job.name, None, line))
            answer = ended if cancelled.is_set() else self._done(job, progress, ended)
            if self._job is cancelled:
                self._job = None
            elif job.gives_way:
                return
            send(pack(answer, number))

        send(pack(Answer({"do": "progress", "name": job.name, "share": 0.0})))
        self._worker.submit(work)


class _Said(NamedTuple):
    """A message, or the mistake in its place, and who said it."""

    message: object
    send: Send
    slot: str | None

    @property
    def is_urgent(self) -> bool:
        return isinstance(self.message, dict) and self.message.get("urgent") is True


def _parsed(raw: str | bytes) -> object:
    """What a message says; the mistake in its place if it cannot be read."""
    if isinstance(raw, bytes):
        return InputError("message", None, "must be text")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return InputError("message", None, "must be JSON")


def _safely(work: Callable[[], Answer | Job]) -> Answer | Job:
    """What is answered; a mistake of the program must not end what people work with."""
    try:
        return work()
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        logging.getLogger("weakbeam").error("a message was not answered", exc_info=error)
        return Answer({"do": "error", "key": "program", "line": f"a fault of the program: {line}"})

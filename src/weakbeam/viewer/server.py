"""The one room's one door: a server that hands out the page and lets it talk to a session.

Only this file and `live` know of sockets. Pages come from the package, exact name by exact name;
whoever does not know the token in the path gets nothing at all. Requests of pages of other origins
and under other names of the host (DNS rebinding) are refused before anything is read.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import secrets
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from weakbeam.errors import InputError
from weakbeam.viewer.answers import Answer, Job, pack, refusal
from weakbeam.viewer.page_files import page_files

if TYPE_CHECKING:
    from websockets.asyncio.server import Server as Listener
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

__all__ = ["LOOPBACK", "Server", "is_loopback"]

LOOPBACK = "127.0.0.1"

LARGEST_MESSAGE = 2**20
"""Bytes of a message of a page."""

_MOST_WAITING = 64
"""Messages that may wait for their answers."""

_OCCUPIED, _TAKEN = 4001, 4002
"""Codes with which a page's connection is closed because of another page."""

_PROGRESS_SECONDS = 0.1

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Handler(Protocol):
    """What a page talks to; see :class:`weakbeam.viewer.session.Session`."""

    def handle(self, message: object) -> Answer | Job:
        """Answer a message."""


class CancelledError(Exception):
    """Raised where a job tells its progress, once it is no longer wanted."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at a host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server:
    """Listens in a thread of its own until it is closed.

    Parameters
    ----------
    handler : Handler
        What the page talks to; called from one thread only, one message at a time.
    host : str
        Where to listen; only this machine unless given.
    port : int
        0 takes one that is free.

    Raises
    ------
    InputError
        If the package ``websockets`` is not there, or the port is taken.
    """

    def __init__(self, handler: Handler, host: str = LOOPBACK, port: int = 0) -> None:
        try:
            import websockets.asyncio.server  # noqa: F401
        except ImportError:
            raise InputError(
                "live", None, "needs the package websockets: pip install 'weakbeam[live]'"
            ) from None
        self.handler = handler
        self.host = host
        self.port = port
        self.token = secrets.token_urlsafe(16)
        self._files = page_files()
        self._talker = ThreadPoolExecutor(1, "weakbeam-session")
        self._worker = ThreadPoolExecutor(1, "weakbeam-job")
        self._page: tuple[ServerConnection, str] | None = None
        self._job: Event | None = None
        self._gives_way = False
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = Event()
        self._failure: OSError | None = None
        self._thread = Thread(target=self._run, name="weakbeam-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise InputError("port", port, f"cannot listen at {host}: {self._failure.strerror}")

    @property
    def url(self) -> str:
        """Where the page is, with its token."""
        host = LOOPBACK if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/{self.token}/"

    def close(self) -> None:
        """End the server; pages notice it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        if self._job is not None:
            self._job.set()
        self._talker.shutdown(wait=True, cancel_futures=True)
        self._worker.shutdown(wait=True, cancel_futures=True)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the server has been closed; whether it has been."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        from websockets.asyncio.server import serve

        quiet = logging.getLogger("weakbeam.viewer")
        quiet.propagate = False
        quiet.addHandler(logging.NullHandler())
        try:
            listener: Listener = await serve(
                self._talk,
                self.host,
                self.port,
                process_request=self._answer_request,
                compression=None,
                close_timeout=2,
                max_size=LARGEST_MESSAGE,
                server_header=None,
                logger=quiet,
            )
        except OSError as error:
            self._failure = error
            return
        async with listener:
            self.port = next(iter(listener.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    # ------------------------------------------------------------ who may come in

    def _answer_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Hand out a file of the page, or let a page of ours open its socket."""
        if getattr(request, "method", "GET") != "GET":  # Older versions take nothing else.
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")
        hosts = request.headers.get_all("Host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return _response(HTTPStatus.FORBIDDEN, b"unknown host\n")
        token, _, name = urlsplit(request.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return _response(HTTPStatus.FORBIDDEN, b"the address lacks its token\n")
        if name == "socket":
            origins = request.headers.get_all("Origin")
            if origins != [f"http://{hosts[0]}"]:
                return _response(HTTPStatus.FORBIDDEN, b"unknown origin\n")
            return None
        file = self._files.get(name or "index.html")
        if file is None:
            return _response(HTTPStatus.NOT_FOUND, b"no such file\n")
        return _response(HTTPStatus.OK, *file)

    def _is_ours(self, host: str) -> bool:
        """Whether a host is one that no foreign name can stand for: an address, or our name."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if (80 if port is None else port) != self.port or "@" in host:
            return False
        if is_loopback(self.host):
            return is_loopback(name)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in ("localhost", self.host, socket.gethostname().lower())
        return True

    # ------------------------------------------------------------ one page at a time

    async def _talk(self, connection: ServerConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query, keep_blank_values=True)
        page, takes = query.get("page", [""])[0][:64], "take" in query
        if self._page is not None:
            there, other = self._page
            if other != page and not takes:
                await connection.send(pack(Answer({"do": "occupied"})))
                await connection.close(_OCCUPIED, "another page is open")
                return
            try:
                await there.send(pack(Answer({"do": "taken"})))
                await there.close(_TAKEN, "another page was opened")
            except ConnectionClosed:
                pass
        self._page = connection, page
        waiting = _Waiting()
        answering = asyncio.create_task(self._answer_all(connection, waiting))
        try:
            async for raw in connection:
                if not waiting.add(raw):
                    await connection.close(1008, "too many messages at once")
                    break
        except ConnectionClosed:
            pass
        finally:
            answering.cancel()
            if self._page is not None and self._page[0] is connection:
                self._page = None

    async def _answer_all(self, connection: ServerConnection, waiting: _Waiting) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                message = await waiting.next()
                await self._answer_one(connection, message)
        except ConnectionClosed:
            pass

    async def _answer_one(self, connection: ServerConnection, message: object) -> None:
        number = message.get("id") if isinstance(message, dict) else None
        number = number if isinstance(number, int) and abs(number) < 2**53 else None
        if isinstance(message, dict) and message.get("do") == "cancel":
            if self._job is not None:
                self._job.set()
            return
        if isinstance(message, InputError):
            await connection.send(pack(refusal(message)))
            return
        start = time.perf_counter()
        answer = await self._loop.run_in_executor(self._talker, self._handled, message)
        if isinstance(answer, Job):
            await self._begin(connection, answer, number)
            return
        took = {"ms": round(1e3 * (time.perf_counter() - start), 2)}
        answer = Answer({**answer.about, **took}, answer.pictures, answer.files)
        await connection.send(pack(answer, number))

    def _handled(self, message: object) -> Answer | Job:
        try:
            return self.handler.handle(message)
        except Exception as error:  # A mistake of the program must not end what people work with.
            return _mishap(error)

    async def _begin(self, connection: ServerConnection, job: Job, number: int | None) -> None:
        if self._job is not None and not self._gives_way:
            await connection.send(
                pack(
                    refusal(InputError(job.name, None, "has to wait; another job is going on")),
                    number,
                )
            )
            return
        if self._job is not None:
            self._job.set()
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
                about = {"do": "progress", "name": job.name, "share": share}
                asyncio.run_coroutine_threadsafe(_sent(connection, Answer(about)), self._loop)

        def work() -> Answer:
            try:
                progress(0.0)
                return job.work(progress)
            except CancelledError:
                line = "was ended; what has been written stays"
                return refusal(InputError(job.name, None, line))
            except InputError as error:
                return refusal(error)
            except Exception as error:
                return _mishap(error)

        async def finish() -> None:
            answer = await self._loop.run_in_executor(self._worker, work)
            if self._job is cancelled:
                self._job = None
            elif job.gives_way:
                return
            await _sent(connection, answer, number)

        about = {"do": "progress", "name": job.name, "share": 0.0}
        await connection.send(pack(Answer(about)))
        self._finishing = asyncio.create_task(finish())


class _Waiting:
    """Messages that have not been answered; of those with one ``slot`` only the latest is kept.

    So a drag never queues: what was asked for while an image was computed is answered by one image,
    that of the last message.
    """

    def __init__(self) -> None:
        self._messages: list[object] = []
        self._more = asyncio.Event()

    def add(self, raw: str | bytes) -> bool:
        """Take what came; False if too much is waiting."""
        message = _parsed(raw)
        slot = message.get("slot") if isinstance(message, dict) else None
        if isinstance(slot, str):
            self._messages = [
                other
                for other in self._messages
                if not (isinstance(other, dict) and other.get("slot") == slot)
            ]
        self._messages.append(message)
        self._more.set()
        return len(self._messages) <= _MOST_WAITING

    async def next(self) -> object:
        """The message that has waited longest."""
        while not self._messages:
            self._more.clear()
            await self._more.wait()
        return self._messages.pop(0)


def _parsed(raw: str | bytes) -> object:
    """What a message says; the mistake in its place if it cannot be read."""
    if isinstance(raw, bytes):
        return InputError("message", None, "must be text")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return InputError("message", None, "must be JSON")


async def _sent(connection: ServerConnection, answer: Answer, number: int | None = None) -> None:
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        await connection.send(pack(answer, number))


def _mishap(error: Exception) -> Answer:
    line = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    logging.getLogger("weakbeam").error("a message was not answered", exc_info=error)
    return Answer({"do": "error", "key": "program", "line": f"a fault of the program: {line}"})


def _response(status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> Response:
    from websockets.datastructures import Headers
    from websockets.http11 import Response

    headers: Mapping[str, Any] = {
        **_HEADERS,
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": kind,
    }
    return Response(status.value, status.phrase, Headers(headers), body)

"""The one room's one door: a server that hands out the page and lets it talk to a session.

Only this file and `live` know of sockets. Pages come from the package, exact name by exact name;
whoever does not know the token in the path gets nothing at all. Requests of pages of other origins
and under other names of the host (DNS rebinding) are refused before anything is read.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import secrets
import socket
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from http import HTTPStatus
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from weakbeam.errors import InputError
from weakbeam.viewer.answers import Answer, pack
from weakbeam.viewer.page_files import page_files
from weakbeam.viewer.talk import LARGEST_MESSAGE, Handler, Send, Talk

if TYPE_CHECKING:
    from websockets.asyncio.server import Server as Listener
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

__all__ = ["LOOPBACK", "Server", "is_loopback"]

LOOPBACK = "127.0.0.1"

_OCCUPIED, _TAKEN = 4001, 4002
"""Codes with which a page's connection is closed because of another page."""

_SEND_SECONDS = 0.5

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


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
        self._speech = Talk(handler)
        self._page: tuple[ServerConnection, str] | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = Event()
        self._failure: OSError | None = None
        self._thread = Thread(target=self._run, name="weakbeam-server", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            self._speech.close()
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
        self._speech.close()

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

    def _sender(self, connection: ServerConnection) -> Send:
        """What sends to a page from other threads, and waits until that is on its way.

        So a page that takes its time gets the latest image next, and no queue of older ones.
        """
        from websockets.exceptions import ConnectionClosed

        def send(message: bytes) -> None:
            sending = connection.send(message)
            try:
                sent = asyncio.run_coroutine_threadsafe(sending, self._loop)
            except RuntimeError:  # The server has ended meanwhile.
                sending.close()
                return
            while self._thread.is_alive():
                with suppress(TimeoutError):
                    try:
                        sent.result(_SEND_SECONDS)
                        return
                    except (ConnectionClosed, CancelledError):
                        return

        return send

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
        send = self._sender(connection)
        try:
            async for raw in connection:
                if not self._speech.receive(raw, send):
                    await connection.close(1008, "too many messages at once")
                    break
        except ConnectionClosed:
            pass
        finally:
            self._speech.forget(send)
            if self._page is not None and self._page[0] is connection:
                self._page = None


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

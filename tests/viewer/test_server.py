"""Who may come in, what is handed out, and that nothing a page says ends the server."""

import http.client
import json
import socket
import sys
import threading
import time

import pytest

from weakbeam.errors import InputError
from weakbeam.viewer.answers import Answer, Job, unpack
from weakbeam.viewer.live import Microscope
from weakbeam.viewer.page_files import page_files
from weakbeam.viewer.server import LARGEST_MESSAGE, Server, is_loopback

websockets = pytest.importorskip("websockets")
from websockets.exceptions import ConnectionClosed, InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402


class Echo:
    """Answers with what it was asked; can be slow, wrong, or have a long job."""

    def __init__(self):
        self.seen = []
        self.go = threading.Event()
        self.go.set()

    def handle(self, message):
        self.go.wait(10)
        self.seen.append(message)
        if isinstance(message, dict) and message.get("do") == "fail":
            raise RuntimeError("two\nlines")
        if isinstance(message, dict) and message.get("do") == "run":
            return Job("counting", self.count)
        return Answer({"do": "echo", "said": repr(message)[:50]})

    def count(self, progress):
        for k in range(2000):
            progress(k / 2000)
            time.sleep(0.005)
        return Answer({"do": "run"})


@pytest.fixture
def served():
    echo = Echo()
    server = Server(echo)
    yield server, echo
    echo.go.set()
    server.close()


def get(server, path, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Host": host or f"127.0.0.1:{server.port}"}
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def page(server, name="p", more="", origin=None, host="127.0.0.1"):
    return connect(
        f"ws://{host}:{server.port}/{server.token}/socket?page={name}{more}",
        origin=origin or f"http://{host}:{server.port}",
        open_timeout=10,
        proxy=None,
    )


def answer_to(talk, message):
    talk.send(json.dumps(message) if not isinstance(message, str | bytes) else message)
    return unpack(talk.recv(timeout=10))[0]


def flood(talk):
    for number in range(1000):
        talk.send(json.dumps({"do": "x", "n": number}))
    talk.recv(timeout=10)


def test_it_listens_on_this_machine_only(served):
    server, _ = served
    assert server.url.startswith("http://127.0.0.1:")
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if not is_loopback(address.partition("%")[0]):
            with socket.socket(family) as door:
                door.settimeout(2)
                assert door.connect_ex((address, server.port)) != 0


def test_nothing_is_handed_out_without_the_token(served):
    server, _ = served
    status, body, headers = get(server, f"/{server.token}/")
    assert status == 200
    assert b"<title>weakbeam live" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    for path in (
        "/",
        "/index.html",
        "/main.js",
        f"/{server.token[:-1]}/",
        "/x/main.js",
        "/x/socket",
    ):
        assert get(server, path)[0] == 403
    with pytest.raises(InvalidStatus):
        connect(
            f"ws://127.0.0.1:{server.port}/wrong/socket",
            origin=f"http://127.0.0.1:{server.port}",
            proxy=None,
        )


def test_only_the_files_of_the_page_are_handed_out(served):
    server, _ = served
    for name in page_files():
        assert get(server, f"/{server.token}/{name}")[0] == 200
    for name in (
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/session.py",
        "/etc/passwd",
        "//etc/passwd",
        "page/main.js",
        "main.js/",
        "main.js%00",
        ".",
        "C:/x",
    ):
        assert get(server, f"/{server.token}/{name}")[0] == 404
    assert get(server, f"/{server.token}/", method="POST")[0] >= 400


def test_the_page_asks_for_nothing_outside(served):
    for name, (content, _) in page_files().items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, name
        assert "https://" not in text, name
        assert "//cdn" not in text, name


def test_a_name_of_another_host_is_refused(served):
    server, _ = served
    good = f"/{server.token}/"
    port = server.port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"a@127.0.0.1:{port}",
        f"127.0.0.1.evil.example:{port}",
        "[",
        "",
        "0.0.0.0",
    ):
        assert get(server, good, host=host or " ")[0] in (400, 403), host
    for host in (f"localhost:{server.port}", f"[::1]:{server.port}"):
        assert get(server, good, host=host)[0] == 200


def test_beyond_this_machine_addresses_are_let_in_and_foreign_names_are_not():
    server = Server(Echo(), host="0.0.0.0")
    try:
        good, port = f"/{server.token}/", server.port
        for host in ("127.0.0.1", "192.168.1.7", "[fe80::1]", socket.gethostname(), "localhost"):
            assert get(server, good, host=f"{host}:{port}")[0] == 200, host
        for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1"):
            assert get(server, good, host=host)[0] == 403, host
        assert get(server, "/", host=f"192.168.1.7:{port}")[0] == 403
        with pytest.raises(InvalidStatus):
            page(server, origin="http://evil.example")
        with page(server) as talk:
            assert answer_to(talk, {"do": "x"})["do"] == "echo"
    finally:
        server.close()


def test_a_page_of_another_origin_is_refused(served):
    server, echo = served
    for origin in ("http://evil.example", f"https://127.0.0.1:{server.port}", "null",
                   "http://127.0.0.1", f"http://localhost:{server.port}"):  # fmt: skip
        with pytest.raises(InvalidStatus) as refused:
            page(server, origin=origin)
        assert refused.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{server.port}/{server.token}/socket", proxy=None)
    assert echo.seen == []


def test_malformed_messages_get_one_line(served):
    server, _ = served
    with page(server) as talk:
        for wrong in ("", "{", "nonsense", b"\x00\x01", "[" * 100_000, '{"do": "fail"}'):
            head = answer_to(talk, wrong)
            assert head["do"] == "error"
            assert "\n" not in head["line"]
        for odd in (
            "1",
            "null",
            '{"id": 1e400}',
            '{"id": "x", "do": 3}',
            '{"slot": {}, "do": "x"}',
        ):
            assert answer_to(talk, odd)["do"] == "echo"
        assert answer_to(talk, {"do": "x", "id": 5})["id"] == 5


def test_a_message_that_is_too_large_ends_that_page_only(served):
    server, _ = served
    with page(server) as talk, pytest.raises(ConnectionClosed):
        answer_to(talk, "x" * (LARGEST_MESSAGE + 1))
    with page(server) as talk:
        assert answer_to(talk, {"do": "x"})["do"] == "echo"


def test_a_flood_ends_that_page_only(served):
    server, echo = served
    echo.go.clear()
    with page(server) as talk, pytest.raises(ConnectionClosed):
        flood(talk)
    echo.go.set()
    with page(server) as talk:
        assert answer_to(talk, {"do": "x"})["do"] == "echo"


def test_the_latest_request_wins(served):
    server, echo = served
    with page(server) as talk:
        echo.go.clear()
        talk.send(json.dumps({"do": "first"}))
        time.sleep(0.2)
        for number in range(40):
            talk.send(json.dumps({"do": "motors", "slot": "motors", "phi": number, "id": number}))
            talk.send(json.dumps({"do": "curve", "slot": "curve", "n": number}))
        talk.send(json.dumps({"do": "undo"}))
        time.sleep(0.3)
        echo.go.set()
        heads = [unpack(talk.recv(timeout=10))[0] for _ in range(4)]
    assert [message["do"] for message in echo.seen] == ["first", "motors", "curve", "undo"]
    assert echo.seen[1]["phi"] == 39
    assert heads[1]["id"] == 39


def test_a_second_page_is_told(served):
    server, _ = served
    with page(server, "one") as first:
        assert answer_to(first, {"do": "x"})["do"] == "echo"
        with page(server, "two") as second:
            assert unpack(second.recv(timeout=10))[0]["do"] == "occupied"
            with pytest.raises(ConnectionClosed) as closed:
                second.recv(timeout=10)
            assert closed.value.rcvd.code == 4001
        assert answer_to(first, {"do": "x"})["do"] == "echo"
        with page(server, "two", "&take") as second:
            assert answer_to(second, {"do": "x"})["do"] == "echo"
            assert unpack(first.recv(timeout=10))[0]["do"] == "taken"
            # The same page again, as after a reload.
            with page(server, "two") as again:
                assert answer_to(again, {"do": "x"})["do"] == "echo"


def test_a_job_tells_its_progress_and_can_be_ended(served):
    server, _ = served
    with page(server) as talk:
        assert answer_to(talk, {"do": "run", "id": 3}) == {
            "do": "progress", "name": "counting", "share": 0.0, "pictures": {}, "files": {},
        }  # fmt: skip
        # Meanwhile messages are answered, and a second job is refused.
        talk.send(json.dumps({"do": "run"}))
        heads = []
        while not heads or heads[-1]["do"] != "error":
            heads.append(unpack(talk.recv(timeout=10))[0])
        assert "going on" in heads[-1]["line"]
        while heads[-1].get("share", 0) == 0:
            heads.append(unpack(talk.recv(timeout=10))[0])
        talk.send(json.dumps({"do": "cancel"}))
        while heads[-1].get("id") != 3:
            heads.append(unpack(talk.recv(timeout=10))[0])
    assert "counting: was ended" in heads[-1]["line"]


def test_a_port_that_is_taken_is_told(served):
    server, echo = served
    with pytest.raises(InputError, match=f"port = {server.port}: cannot listen"):
        Server(echo, port=server.port)


def test_without_the_package_it_is_told_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    with pytest.raises(InputError, match=r"pip install 'weakbeam\[live\]'"):
        Server(Echo())


def test_a_notebook_shows_the_page():
    with Microscope(Echo()) as microscope:
        assert f'src="{microscope.url}"' in microscope._repr_html_()
        assert microscope.url in repr(microscope)
    microscope.wait()


def test_what_is_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))

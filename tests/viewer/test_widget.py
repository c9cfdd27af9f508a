"""The microscope in a notebook: the page and the kernel, without a browser."""

import json
import re
import sys
from queue import Queue
from types import SimpleNamespace

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.viewer.answers import unpack
from weakbeam.viewer.live import Microscope
from weakbeam.viewer.page_files import notebook_module, page_files

SMALL = wb.Experiment(camera={"pixels": (9, 14), "pixel_nm": 80.0}, beam={"height_fwhm_um": 0.6})


def test_the_frame_finds_all_modules_of_the_page():
    """What the frame rewrites is there, and nothing else is asked for by a name of its own."""
    texts = {name: content.decode() for name, (content, _) in page_files().items()}
    for part in ("<script", 'rel="stylesheet"'):
        assert texts["index.html"].count(part) == 1
    named = set()
    for name, text in texts.items():
        if name.endswith(".js") and name != "notebook.js":
            imports = re.findall(r"^import .*?;$|^\} from .*?;$", text, re.M | re.S)
            assert all(re.search(r' from "\./\w+\.js";$', line) for line in imports), name
            named |= set(re.findall(r'from "\./(\w+\.js)"', text))
            assert "import(" not in text
    assert named <= set(texts)
    module = notebook_module()
    files = json.loads(module.partition("const FILES = ")[2].partition(";\n")[0])
    assert files == {name: text for name, text in texts.items() if name != "notebook.js"}
    assert module.endswith(texts["notebook.js"])


def test_without_anywidget_a_notebook_shows_the_page_that_is_served(monkeypatch):
    pytest.importorskip("websockets")
    notebook(monkeypatch)
    monkeypatch.setattr("weakbeam.viewer.live.find_spec", lambda name: None)
    with wb.live(SMALL) as microscope:
        assert isinstance(microscope, Microscope)
        assert "<iframe" in microscope._repr_html_()


def notebook(monkeypatch):
    """Python as the kernel of a notebook has it."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.fixture
def widget(monkeypatch):
    """A widget whose connection to the notebook is a queue, and what the notebook would be sent."""
    pytest.importorskip("anywidget")
    import comm
    from comm.base_comm import BaseComm

    sent = Queue()

    class Comm(BaseComm):
        def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            sent.put((msg_type, data or {}, buffers or []))

    monkeypatch.setattr(comm, "create_comm", Comm)
    import IPython  # noqa: F401 (before it is replaced)

    notebook(monkeypatch)
    microscope = wb.live(SMALL)
    assert not isinstance(microscope, Microscope)
    monkeypatch.undo()
    yield microscope, sent
    microscope.close()


def say(microscope, page, **more):
    data = {"method": "custom", "content": {"page": page, **more}}
    microscope.comm.handle_msg({"content": {"data": data}, "buffers": []})


def ask(microscope, page, **message):
    say(microscope, page, said=json.dumps(message))


def next_custom(sent):
    while True:
        kind, data, buffers = sent.get(timeout=60)
        if kind == "comm_msg" and data.get("method") == "custom":
            return data["content"], buffers


def answer(sent, page):
    content, [part] = next_custom(sent)
    assert content == {"page": page}
    return unpack(bytes(part))


def test_the_notebook_is_sent_the_module_of_the_page(widget):
    _, sent = widget
    state = {}
    while not sent.empty():
        state |= sent.get()[1].get("state", {})
    assert state["_esm"] == notebook_module()


def test_what_the_page_says_is_answered_through_the_notebook(widget):
    microscope, sent = widget
    say(microscope, "one", open=True)
    assert next_custom(sent)[0] == {"page": "one", "state": "open"}
    ask(microscope, "one", do="hello", id=1)
    head, _, _ = answer(sent, "one")
    assert (head["do"], head["id"]) == ("hello", 1)
    ask(microscope, "one", do="motors", phi=0.1, id=2)
    head, pictures, _ = answer(sent, "one")
    assert head["sides"]["A"]["motors"]["phi"] == 0.1
    images = wb.simulate(SMALL.replace(scan={"phi": {"value_mrad": 0.1}})).images
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    expected = images.values[np.ix_(rows, columns)]
    np.testing.assert_allclose(pictures["A"], expected, atol=6e-4 * expected.max())
    ask(microscope, "one", do="nonsense", id=3)
    assert "\n" not in answer(sent, "one")[0]["line"]


def test_a_page_that_is_shown_again_takes_over(widget):
    microscope, sent = widget
    for page in ("one", "two"):
        say(microscope, page, open=True)
    states = [next_custom(sent)[0] for _ in range(3)]
    assert states == [
        {"page": "one", "state": "open"},
        {"page": "one", "state": "taken"},
        {"page": "two", "state": "open"},
    ]
    ask(microscope, "one", do="hello", id=1)
    ask(microscope, "two", do="hello", id=2)
    assert answer(sent, "two")[0]["id"] == 2
    say(microscope, "two", open=False)
    ask(microscope, "two", do="hello", id=3)
    microscope.close()
    assert all(kind != "comm_msg" for kind, _, _ in list(sent.queue))


def test_it_says_that_it_is_there_whatever_is_being_computed(widget):
    microscope, sent = widget
    say(microscope, "one", open=True)
    next_custom(sent)
    say(microscope, "one", ask=True)
    assert next_custom(sent)[0] == {"page": "one", "state": "there"}


def test_nonsense_from_a_notebook_ends_nothing(widget):
    microscope, sent = widget
    say(microscope, "one", open=True)
    next_custom(sent)
    for content in ("text", None, 3, [], {}, {"page": 3}, {"page": "one", "said": {}}):
        data = {"method": "custom", "content": content}
        microscope.comm.handle_msg({"content": {"data": data}, "buffers": []})
    ask(microscope, "one", do="hello", id=1)
    assert answer(sent, "one")[0]["id"] == 1
    say(microscope, "one", said="x" * (2**20 + 1))
    assert next_custom(sent)[0] == {"page": "one", "state": "lost"}


def test_the_page_is_told_that_the_microscope_is_closed(widget):
    microscope, sent = widget
    say(microscope, "one", open=True)
    next_custom(sent)
    microscope.close()
    assert next_custom(sent)[0] == {"page": "one", "state": "lost"}

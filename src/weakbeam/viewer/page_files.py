"""The files of the page, which come with the package."""

from __future__ import annotations

import json
from importlib.resources import files

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page_files() -> dict[str, tuple[bytes, str]]:
    """Contents and type of every file of the page, by its name; there are no folders."""
    found = {}
    for file in files("weakbeam.viewer").joinpath("page").iterdir():
        kind = _KINDS.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None and file.is_file():
            found[file.name] = (file.read_bytes(), kind)
    return found


def notebook_module() -> str:
    """The module that shows the page in a notebook, with all files of the page in it."""
    texts = {name: content.decode() for name, (content, _) in page_files().items()}
    module = texts.pop("notebook.js")
    return f"const FILES = {json.dumps(texts)};\n{module}"

"""How the gallery finds the pictures of its scripts."""

from __future__ import annotations

from typing import Any

from sphinx_gallery.scrapers import figure_rst


def saved_figure(block: Any, variables: dict[str, Any], gallery: dict[str, Any]) -> str:
    """Save the variable ``figure`` of a script, and return the text that shows it."""
    figure = variables["example_globals"].get("figure")
    if figure is None:
        return ""
    path = next(variables["image_path_iterator"])
    figure.savefig(path, dpi=200)
    return str(figure_rst([path], gallery["src_dir"]))

"""How Sphinx makes the site; :mod:`build` prepares its pages."""

from __future__ import annotations

import sys
from pathlib import Path

import weakbeam

# For gallery.py beside this file.
sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[2]

project = "weakbeam"
author = "the weakbeam authors"
copyright = "the weakbeam authors; MIT licence"
version = release = weakbeam.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
# Pages are written for readers of the repository too: fences have names that the tests use.
suppress_warnings = ["myst.header"]

# Notebooks run when the site is made, in a folder of their own.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/png", 1)]

# From the folder of this file.
bibtex_bibfiles = ["../references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": [str(ROOT / "examples" / "gallery")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery.saved_figure",),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
}

html_theme = "furo"
html_title = "weakbeam"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
mathjax3_config = {"tex": {"macros": {"AA": "\\text{Å}"}}}
exclude_patterns = ["_build", "gallery/*.ipynb"]
nitpicky = False

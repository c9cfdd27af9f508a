"""Code in the pages of the documentation."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page, language):
    """Text of the blocks of a page of the documentation in a language."""
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S))

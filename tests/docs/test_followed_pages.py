"""What the pages of the documentation tell a reader to write and to run does what they show."""

from pathlib import Path

import pytest
from page_blocks import Reader, blocks_of
from page_inputs import GIVEN

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if path.name not in ("commands.md", "physics.md")
    and any(block.language != "pycon" for block in blocks_of(path.read_text()))
)
#: Pages that simulate large scans or libraries, as their readers do.
SLOW = {
    "docs/how-to/compare.md",
    "docs/how-to/darling.md",
    "docs/how-to/identify-library.md",
    "docs/how-to/identify-match.md",
    "docs/how-to/maps.md",
    "docs/how-to/ray-tracing.md",
    "docs/how-to/read-files.md",
    "docs/tutorials/distortion.md",
    "docs/tutorials/first-image.md",
    "docs/tutorials/identify.md",
    "docs/tutorials/stack.md",
}


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow if page in SLOW else ()) for page in PAGES]
)
def test_page_can_be_followed(page, tmp_path):
    GIVEN.get(page, lambda folder: None)(tmp_path)
    reader = Reader(tmp_path)
    blocks = blocks_of((ROOT / page).read_text())
    for block in blocks:
        reader.write(block)
    for block in blocks:
        try:
            reader.follow(block)
        except AssertionError as error:
            raise AssertionError(f"{page}:{block.line}: {error}") from None
    if reader.missing:
        pytest.skip(f"not installed: {', '.join(sorted(reader.missing))}")

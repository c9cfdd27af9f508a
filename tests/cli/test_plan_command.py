"""``weakbeam plan``."""

SMALL = ("--set", "camera.pixels=[8, 12]", "--workers", "1")


def test_text_and_page(weakbeam, tmp_path):
    result = weakbeam("plan", *SMALL)
    assert result.status == 0
    assert "kinematical theory" in result.out
    path = tmp_path / "new" / "plan.html"
    result = weakbeam("plan", *SMALL, "-o", str(path))
    assert (result.status, result.out) == (0, f"{path}\n")
    assert path.read_text().startswith("<!doctype html>")


def test_mistakes_name_the_flag(weakbeam, tmp_path):
    result = weakbeam("plan", *SMALL, "--row", "-1")
    assert result.status == 2
    assert result.err == "weakbeam: --row = -1.0: must be a time of 0 s or more\n"
    result = weakbeam("plan", *SMALL, "-o", str(tmp_path / "plan.doc"))
    assert result.status == 2
    assert "must end in .pdf, .png, .svg or .html" in result.err
    assert not any(tmp_path.iterdir())

"""The reference: what is committed to be read is small, silent and of a known state; when it is stale, that is said."""

import base64
import gzip
import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from mia_lib.reporting import embed
from mia_lib.series import reference
from mia_lib.series.headlines import BEGIN, END
from mia_lib.series.notebooks import find_notebooks
from mia_lib.series.reference import REFERENCE, fewer_colours, main, make_reference, stale, to_read
from mia_lib.support.digests import file_digest
from mia_lib.support.errors import MiaError


@pytest.mark.skipif(not REFERENCE.exists(), reason="no reference is kept")
def test_the_reference_is_as_it_was_made_and_says_when_it_is_stale():
    about = json.loads((REFERENCE / "reference.json").read_text())
    for name, run in about.items():
        assert file_digest(REFERENCE / name / reference.NUMBERS) == run["results"], name
        assert {p.stem for p in (REFERENCE / name).glob("*.ipynb")} == set(run["notebooks"])
    assert sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()) <= reference.LARGEST
    if old := stale():
        warnings.warn(f"outputs/reference is stale, it was made with other {', '.join(old)}", stacklevel=1)


def picture(size=(1200, 20)):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(noise, "RGBA").save(content, format="PNG")
    return content.getvalue()


def cell(*outputs, tags=()):
    return dict(cell_type="code", id="a", source="1", metadata={"tags": [*tags]}, execution_count=1, outputs=[*outputs])


def shown(**data):
    return dict(output_type="display_data", data=data, metadata={})


def test_sound_and_set_up_are_left_out_and_pictures_stay_pictures():
    sound = shown(**{"text/html": embed.player(np.zeros(100), 16_000, "a clip")})
    warning = dict(output_type="stream", name="stderr", text="/home/me/lib.py: a warning")
    png = base64.b64encode(picture()).decode()
    cells = [cell(tags=["setup"]), cell(sound, warning, shown(**{"image/png": png}))]
    read = to_read({"cells": cells, "metadata": {"papermill": {"input_path": "/home/me"}}, "nbformat": 4})
    assert len(read["cells"]) == 1 and "audio" not in str(read) and "/home/me" not in str(read)
    heard, seen = read["cells"][0]["outputs"]
    assert "a clip" in heard["data"]["text/markdown"]
    assert Image.open(io.BytesIO(base64.b64decode(seen["data"]["image/png"]))).width == 1000


def test_what_is_left_out_is_said_below_the_title():
    title = dict(cell_type="markdown", id="t", source=["# Title\n", "\n", "**You will learn** it."], metadata={})
    (first, *_) = to_read({"cells": [title, cell(tags=["setup"])], "metadata": {}})["cells"]
    assert first["source"] == f"# Title\n\n{reference.FOLDED}\n\n**You will learn** it."
    assert to_read({"cells": [title, cell()], "metadata": {}})["cells"][0]["source"] == title["source"]


def test_a_picture_is_put_on_white_with_few_colours():
    clear = io.BytesIO()
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(clear, format="PNG")
    small = Image.open(io.BytesIO(fewer_colours(clear.getvalue())))
    assert small.convert("RGB").getpixel((3, 3)) == (255, 255, 255) and small.mode == "P"
    assert len(fewer_colours(picture())) < 0.3 * len(picture())


@pytest.fixture
def finished(series, monkeypatch):
    """A finished run of two small notebooks on an own corpus, and a way to make a reference of it."""
    for name in ("00_first", "01_second"):
        series.add(name, "print(corpus)")
    own = series.root / "speech"
    own.mkdir()
    folder = series.run(corpus=f"folder:{own}", run_id="mine")
    monkeypatch.setattr(reference, "find_notebooks", lambda: find_notebooks(series.notebooks))
    return folder


def test_a_reference_is_made_of_a_finished_run_and_becomes_stale_with_its_notebooks(finished, series, tmp_path):
    made = make_reference([finished], tmp_path / "reference")
    assert {path.name for path in (made / "mine").iterdir()} == {
        "00_first.ipynb",
        "01_second.ipynb",
        "results.csv.gz",
        "claims.csv",
    }
    text = "".join(path.read_text() for path in made.rglob("*") if path.is_file() and path.suffix != ".gz")
    text += gzip.decompress((made / "mine" / reference.NUMBERS).read_bytes()).decode()
    assert f"{series.root}/speech" not in text and "folder:speech" in text
    assert "(mine/00_first.ipynb)" in (made / "README.md").read_text() and stale(made) == []
    series.add("01_second", "1 + 1")
    assert stale(made) == ["01_second"]
    (made / "reference.json").write_text("{}")
    assert stale(made) == ["the code that decides numbers", "00_first", "01_second"]


def test_the_first_page_gets_what_the_reference_found_and_its_pictures(finished, tmp_path, monkeypatch, capsys):
    root = tmp_path / "project"
    monkeypatch.setattr(reference, "REFERENCE", root / "outputs" / "reference")
    (root / "outputs").mkdir(parents=True)
    (root / "README.md").write_text(f"before\n{BEGIN}old\n{END}after\n", encoding="utf-8")
    (finished / "figures").mkdir(exist_ok=True)
    for figure in reference.PICTURES.values():
        (finished / "figures" / f"{figure}.png").write_bytes(picture())
    assert main([str(finished)]) == 0
    page = (root / "README.md").read_text(encoding="utf-8")
    assert "old" not in page and "On `mine`" in page and page.startswith("before") and page.endswith("after\n")
    assert {path.name for path in (root / "outputs").glob("*.png")} == {"main_result.png", "plane.png"}
    (finished / "figures" / "12_comparison-plane.png").unlink()
    assert main([str(finished)]) == 2 and "12_comparison-plane.png: the first page keeps" in capsys.readouterr().err


def test_what_is_no_finished_run_or_too_large_is_refused_and_the_old_reference_stays(
    finished, tmp_path, monkeypatch, capsys
):
    made = make_reference([finished], tmp_path / "reference")
    assert main([str(tmp_path)]) == 2 and "is no folder of a run" in capsys.readouterr().err
    assert main([]) == 2 and "name the folders" in capsys.readouterr().err
    monkeypatch.setattr(reference, "LARGEST", 100)
    with pytest.raises(MiaError, match="take fewer runs"):
        make_reference([finished], made)
    (finished / "00_first.ipynb").unlink()
    assert main([str(finished)]) == 2 and "lacks 00_first" in capsys.readouterr().err
    assert (made / "mine" / "00_first.ipynb").exists()

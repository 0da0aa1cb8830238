"""Whatever is wrong with the input: one clear sentence on standard error, the right exit status, no traceback."""

import json
import os

import numpy as np
import pytest
from corpora.trees import RATE, folder_tree, librispeech_tree, tone, voices_tree, write

from mia_lib import cli
from mia_lib.corpora import open_corpus
from mia_lib.series import runner


@pytest.fixture
def failed(tmp_path, monkeypatch, capsys):
    """Run `python -m mia_lib run` as far as the data; returns status and the last line of standard error."""
    monkeypatch.setattr(runner, "_run_notebooks", lambda *_: runner.Outcome())
    monkeypatch.setattr(runner, "_forecast", lambda *_: None)

    def run(*argv):
        status = cli.main(["run", "--profile", "smoke", "--outputs", str(tmp_path / "outputs"), *argv])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return status, err.strip().rpartition("\n")[2]

    return run


def test_a_missing_corpus_names_the_ways_to_get_it(failed, tmp_path):
    status, line = failed("--corpus", "librispeech:dev-clean", "--data-root", str(tmp_path))
    assert status == 1 and "--download" in line and "--data-root" in line
    status, line = failed("--corpus", f"folder:{tmp_path / 'nowhere'}")
    assert status == 1 and "nowhere" in line


def test_a_corpus_may_lie_where_names_are_not_utf8(failed, tmp_path):
    place = os.fsencode(tmp_path) + b"/gr\xfc\xdfe"
    folder_tree(tmp_path / "plain").rename(os.fsdecode(place))
    assert failed("--corpus", f"folder:{os.fsdecode(place)}")[0] == 0
    written = [path.read_bytes().decode() for path in (tmp_path / "outputs").glob("*/run.json")]
    corpus = json.loads(written[0])["parameters"]["corpus"]
    assert len(open_corpus(corpus).table()) == 32
    librispeech_tree(tmp_path / "books").rename(os.fsdecode(place + b"2"))
    assert failed("--corpus", "librispeech:dev-clean", "--data-root", os.fsdecode(place + b"2"))[0] == 0


def test_an_empty_folder_is_named(failed, tmp_path):
    (tmp_path / "empty").mkdir()
    status, line = failed("--corpus", f"folder:{tmp_path / 'empty'}")
    assert status == 1 and "empty" in line


def test_one_speaker_is_too_few(failed, tmp_path):
    status, line = failed("--corpus", f"folder:{folder_tree(tmp_path / 'c', speakers=1)}")
    assert status == 1 and "at least 8 speakers" in line and "has 1" in line


def test_a_speaker_with_one_utterance_is_left_out_and_said(failed, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(runner.Console, "say", lambda self, text: said.append(text))
    tree = folder_tree(tmp_path / "c", speakers=9)
    for extra in (1, 2, 3):
        (tree / "speaker 3" / f"{extra}.wav").unlink()
    assert failed("--corpus", f"folder:{tree}")[0] == 0
    assert "8 speakers" in said[1] and "speakers dropped 1" in said[2]


def nan(path):
    write(path, np.full(3 * RATE, np.nan, np.float32), subtype="FLOAT")


def truncated(path):
    write(path.with_suffix(".flac"), tone(3))
    data = path.with_suffix(".flac").read_bytes()
    path.with_suffix(".flac").unlink()
    path.write_bytes(data[: len(data) // 3])


BROKEN = {
    "nan": nan,
    "truncated": truncated,
    "zero-byte": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("This is not audio.\n" * 50),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_recording_is_skipped_while_few_and_stops_the_run_when_many(failed, tmp_path, kind):
    tree = folder_tree(tmp_path / "c", speakers=10)
    BROKEN[kind](tree / "speaker 0" / "9.wav")
    assert failed("--corpus", f"folder:{tree}")[0] == 0
    for i in range(4):
        BROKEN[kind](tree / f"speaker {i}" / "8.wav")
    status, line = failed("--corpus", f"folder:{tree}")
    assert status == 1 and "5 of 45" in line and "wav" in line


def test_8_khz_and_stereo_are_welcome(failed, tmp_path):
    tree = folder_tree(tmp_path / "c")
    write(tree / "speaker 0" / "slow.wav", tone(3, rate=8000), 8000)
    write(tree / "speaker 1" / "wide.wav", np.stack([tone(3, 300), tone(3, 300)], axis=1))
    assert failed("--corpus", f"folder:{tree}")[0] == 0


def test_a_voices_index_that_names_a_missing_file_is_refused_or_counted(failed, tmp_path):
    root = voices_tree(tmp_path)
    recordings = sorted(root.rglob("*.wav"))
    recordings[0].unlink()
    assert failed("--corpus", "voices:devkit", "--data-root", str(root))[0] == 0
    for path in recordings[1:20]:
        path.unlink()
    status, line = failed("--corpus", "voices:devkit", "--data-root", str(root))
    assert status == 1 and "20 of 128" in line and recordings[0].name.split("-sp")[0] in line

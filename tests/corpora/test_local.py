"""Corpora on disk: their published trees are read as they are, and what is missing is said in one sentence."""

import resource
import sys
import time

import numpy as np
import pytest
from trees import VOICES_COLUMNS, folder_tree, librispeech_tree, tone, voices_row, voices_tree, write, write_index

from mia_lib.corpora import CORPORA, open_corpus
from mia_lib.corpora.base import COLUMNS, utterances
from mia_lib.support.errors import MiaError, UsageError


def test_every_corpus_is_listed_by_name():
    assert {"demo", "demo-farfield", "folder", "librispeech", "voices"} <= set(CORPORA.names())


def test_an_unknown_corpus_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"librispech.*librispeech"):
        open_corpus("librispech")


def test_a_folder_of_speakers_is_read_with_nested_folders_and_odd_names(tmp_path):
    folder_tree(tmp_path, speakers=2, each=2)
    write(tmp_path / "Zoë, the 1st" / "été 2024" / "a,b c.FLAC", tone(), format="FLAC")
    (tmp_path / "Zoë, the 1st" / "notes.txt").write_text("not audio, and not named as such")
    (tmp_path / "speakers.csv").write_text('speaker,age,gender\n"Zoë, the 1st",31,F\nspeaker 0,40,M\n')
    corpus = open_corpus(f"folder:{tmp_path}")
    table = corpus.table().set_index("utterance")
    assert len(table) == 5 and tuple(corpus.table().columns) == COLUMNS
    zoe = table.loc["Zoë, the 1st/été 2024/a,b c.FLAC"]
    assert zoe["speaker"] == "Zoë, the 1st" and zoe["gender"] == "F"
    assert table["gender"].isna().sum() == 2
    assert len(corpus.read(next(utterances(corpus.table())))[0]) == 40_000


def test_speakers_csv_without_its_column_is_named(tmp_path):
    folder_tree(tmp_path, speakers=1, each=1)
    (tmp_path / "speakers.csv").write_text("name,gender\nx,F\n")
    with pytest.raises(MiaError, match=r"speakers\.csv.*column 'speaker'"):
        open_corpus(f"folder:{tmp_path}").table()


@pytest.mark.parametrize(("name", "says"), [("folder:nowhere", "no folder"), ("folder:empty", "no audio")])
def test_a_missing_or_empty_folder_is_one_sentence(tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MiaError, match=says):
        open_corpus(name).table()


def test_folder_without_a_path_is_refused():
    with pytest.raises(UsageError, match="folder:"):
        open_corpus("folder")


@pytest.mark.parametrize("inside", [False, True])
def test_librispeech_is_read_from_its_published_tree(tmp_path, inside):
    root = librispeech_tree(tmp_path, speakers=3, each=2)
    corpus = open_corpus("librispeech:dev-clean", data_root=root / "LibriSpeech" if inside else root)
    table = corpus.table()
    assert list(table["utterance"][:2]) == ["100-700-0000", "100-700-0001"]
    assert dict(zip(table["speaker"], table["gender"], strict=True)) == {"100": "F", "101": "M", "102": "F"}
    assert set(table["subset"]) == {"dev-clean"} and (table["source"].astype("str") == table["utterance"]).all()
    assert corpus.read(next(utterances(table)))[1] == 16_000


def test_librispeech_subsets_are_joined_by_plus(tmp_path):
    librispeech_tree(tmp_path, "dev-clean", 1, 1)
    librispeech_tree(tmp_path, "test-clean", 2, 1)
    table = open_corpus("librispeech:dev-clean+test-clean", tmp_path).table()
    assert dict(table["subset"].value_counts()) == {"test-clean": 2, "dev-clean": 1}


def test_missing_librispeech_names_both_ways_to_get_it(tmp_path):
    with pytest.raises(MiaError, match=r"train-clean-100.*--download.*--data-root"):
        open_corpus("librispeech", data_root=tmp_path).table()


def test_unknown_librispeech_subset_is_refused():
    with pytest.raises(UsageError, match=r"dev-cleen.*dev-clean"):
        open_corpus("librispeech:dev-cleen")


def test_the_data_root_comes_from_the_environment(tmp_path, monkeypatch):
    librispeech_tree(tmp_path, speakers=1, each=1)
    monkeypatch.setenv("MIA_DATA_ROOT", str(tmp_path))
    assert len(open_corpus("librispeech:dev-clean").table()) == 1


def test_download_goes_through_torchaudio_and_lands_in_the_tree(tmp_path, monkeypatch):
    import torchaudio.datasets

    def fetch(root, url, download):
        assert download
        librispeech_tree(root, url, 1, 2)

    monkeypatch.setattr(torchaudio.datasets, "LIBRISPEECH", fetch)
    assert len(open_corpus("librispeech:dev-clean", tmp_path, download=True).table()) == 2
    assert not (tmp_path / "LibriSpeech" / ".download").exists()


def test_a_failed_download_is_one_sentence_and_leaves_no_corpus(tmp_path, monkeypatch):
    import torchaudio.datasets

    def fail(root, url, download):
        raise RuntimeError("invalid hash value")

    monkeypatch.setattr(torchaudio.datasets, "LIBRISPEECH", fail)
    with pytest.raises(MiaError, match=r"could not be downloaded.*invalid hash"):
        open_corpus("librispeech:dev-clean", tmp_path, download=True).table()
    assert not (tmp_path / "LibriSpeech" / "dev-clean").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_voices_is_read_from_its_published_tree(tmp_path, inside):
    root = voices_tree(tmp_path, speakers=2, segments=3, mics=2)
    table = open_corpus("voices:devkit", root / "VOiCES_devkit" if inside else root).table()
    assert len(table) == 2 * 3 * 2 * 2 and table["utterance"].is_unique
    first = table.iloc[0]
    assert first["speaker"] == "30" and first["source"] == "sp0030-ch000210-sg0000"
    assert first["path"].startswith(
        "distant-16k/speech/train/rm1/none/sp0030/Lab41-SRI-VOiCES-rm1-none-sp0030-ch000210"
    )
    assert (first["room"], first["mic"], first["distractor"], first["degrees"]) == ("rm1", "1", "none", 30)
    assert table.groupby("source", observed=True).size().eq(4).all(), "recordings of one segment share a source"
    assert set(table["subset"]) == {"train", "test"} and set(table["gender"]) == {"M", "F"}


def test_what_voices_replayed_is_found_beside_its_recordings_where_an_edition_has_it(tmp_path):
    root = voices_tree(tmp_path, speakers=1, segments=2, mics=1)
    corpus, name = open_corpus("voices:devkit", root), "sp0030-ch000210-sg0001"
    assert corpus.played(name, "train") is None
    dry = tone(hertz=300)
    write(root / "VOiCES_devkit/source-16k/train/sp0030" / f"Lab41-SRI-VOiCES-src-{name}.wav", dry)
    np.testing.assert_allclose(corpus.played(name, "train"), dry, atol=1e-4)


def test_missing_voices_says_what_to_fetch_and_where_to_put_it(tmp_path):
    with pytest.raises(MiaError, match=r"VOiCES_release.*--data-root"):
        open_corpus("voices", tmp_path).table()
    with pytest.raises(UsageError, match="devkit or release"):
        open_corpus("voices:kit")


def test_a_voices_index_without_its_columns_is_named(tmp_path):
    path = tmp_path / "references" / "train_index.csv"
    columns = [name for name in VOICES_COLUMNS if name not in ("speaker", "mic")]
    write_index(path, [voices_row(0, 1, 1, "rm1", 1, "none", 30)], columns)
    with pytest.raises(MiaError, match=r"train_index\.csv: .*columns speaker.*mic"):
        open_corpus("voices", tmp_path).table()


def test_a_voices_row_without_filename_is_numbered(tmp_path):
    rows = [voices_row(i, 1, i, "rm1", 1, "none", 30) for i in range(3)]
    rows[1]["filename"] = ""
    write_index(tmp_path / "references" / "train_index.csv", rows)
    with pytest.raises(MiaError, match="row 2 has no filename"):
        open_corpus("voices", tmp_path).table()


@pytest.mark.parametrize("degrees", ["0.5", "inf", "1e400", "-inf", "4000", "nan", ""])
def test_degrees_of_a_voices_row_are_whole_numbers_or_empty(tmp_path, degrees):
    rows = [voices_row(i, 1, i, "rm1", 1, "none", 30) for i in range(3)]
    rows[1]["degrees"] = degrees
    write_index(tmp_path / "references" / "train_index.csv", rows)
    if degrees in ("nan", ""):
        assert open_corpus("voices", tmp_path).table()["degrees"].isna().sum() == 1
        return
    with pytest.raises(
        MiaError, match=r"train_index\.csv: degrees of row 2 are .*: they must be whole numbers from -360"
    ):
        open_corpus("voices", tmp_path).table()


def test_a_million_voices_rows_are_indexed_in_seconds_and_little_memory(tmp_path):
    path = tmp_path / "references" / "train_index.csv"
    speakers, segments, block = 200, 20, 250
    write_index(path, [])
    template = ",".join(str(v) for v in voices_row(0, 7777, 8888, "rm1", 1, "none", 30).values())
    template = template.replace("SAID, AND DONE", '"SAID, AND DONE"').replace("mc01", "mc{mic}")
    lines = "\n".join(template.format(mic=mic) for mic in range(block)) + "\n"
    with open(path, "a") as file:
        for speaker in range(speakers):
            for segment in range(segments):
                file.write(lines.replace("7777", f"{speaker:04d}").replace("8888", f"{segment:04d}"))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    table = open_corpus("voices", tmp_path).table()
    seconds, kilobytes = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(table) == speakers * segments * block == 1_000_000
    assert table["source"].nunique() == speakers * segments
    assert seconds < 25
    if sys.platform == "linux":
        assert kilobytes < 1_000_000, "indexing took more than a gigabyte"
    assert table.memory_usage(deep=True).sum() < 400e6

"""What lies in a corpus: every real folder once, every name taken, tables as spreadsheets write them."""

import os
import unicodedata

import pytest
from trees import folder_tree, librispeech_tree, tone, voices_row, voices_tree, write, write_index

from mia_lib.corpora import open_corpus
from mia_lib.fragments.cutting import make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings


def survey_of(tree):
    return open_corpus(f"folder:{tree}").survey()


LINKS = {
    "to itself": lambda tree: (tree / "speaker 0" / "x").symlink_to("x"),
    "to the speaker": lambda tree: (tree / "speaker 0" / "x").symlink_to("."),
    "to the corpus": lambda tree: (tree / "speaker 0" / "x").symlink_to(".."),
    "to what holds the corpus": lambda tree: (tree / "speaker 0" / "x").symlink_to("../.."),
    "twice to the corpus": lambda tree: [(tree / "speaker 0" / name).symlink_to("..") for name in "xy"],
    "from beside the speakers": lambda tree: (tree / "a current").symlink_to("."),
    "to a speaker, under a name that sorts first": lambda tree: (tree / "a").symlink_to("speaker 2"),
    "to another's folder": lambda tree: (tree / "speaker 0" / "x").symlink_to("../speaker 3"),
}


@pytest.mark.parametrize("link", LINKS)
def test_every_real_folder_is_entered_once_whatever_links_lead_there(tmp_path, link):
    tree = folder_tree(tmp_path / "speech")
    before = survey_of(tree).table
    LINKS[link](tree)
    after = survey_of(tree)
    if link == "to itself":  # no folder, and no sound by its name
        assert [one.why for one in after.passed] == ["other"]
    else:
        assert {one.why for one in after.passed} == {"linked"}
    assert after.table.equals(before)


def test_a_linked_folder_from_elsewhere_is_the_speakers_and_read_once(tmp_path):
    tree = folder_tree(tmp_path / "speech")
    write(tmp_path / "elsewhere" / "session" / "a.wav", tone(hertz=800))
    for name in ("more", "again"):
        (tree / "speaker 4" / name).symlink_to(tmp_path / "elsewhere")
    found = survey_of(tree)
    assert [name for name in found.table["utterance"] if name.endswith("a.wav")] == ["speaker 4/again/session/a.wav"]
    assert len(found.table) == 33 and [one.path for one in found.passed] == ["speaker 4/more"]


@pytest.mark.skipif(
    os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list everything"
)
def test_a_folder_that_cannot_be_listed_is_counted(tmp_path):
    tree = folder_tree(tmp_path / "speech")
    (tree / "speaker 0").chmod(0)
    assert [one.why for one in survey_of(tree).passed] == ["unlisted"]
    (tree / "speaker 0").chmod(0o700)


def test_a_folder_whose_listing_fails_is_counted(tmp_path, monkeypatch):
    tree, scandir = folder_tree(tmp_path / "speech"), os.scandir

    def refuse(path):
        if os.path.basename(path) == "speaker 0":
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = survey_of(tree)
    assert [(one.path, one.why) for one in found.passed] == [("speaker 0", "unlisted")] and len(found.table) == 28


def test_names_that_are_not_utf_8_are_read_and_shown(tmp_path):
    tree = folder_tree(tmp_path / "speech")
    odd = os.fsencode(tree) + b"/Jos\xe9"
    os.mkdir(odd)
    for i in range(4):
        (tree / "speaker 0" / f"{i}.wav").rename(os.fsdecode(odd + f"/{i}\xff".encode("latin-1") + b".wav"))
    open(odd + b"/\xfe.wav", "wb").close()
    fragments = make_fragments(
        open_corpus(f"folder:{tree}"), Cache(tmp_path / "cache"), Settings(fragment_seconds=2.0), 0
    )
    assert "Jos\\xe9" in set(fragments.manifest["speaker"].astype(str)) and fragments.report["speakers"] == 8
    assert fragments.report["bad"] == 1 and "Jos\\xe9/\\xfe.wav" in fragments.report["bad_examples"][0]


def test_recordings_whose_names_read_the_same_stay_apart(tmp_path):
    tree = folder_tree(tmp_path / "speech", each=6)
    here = os.fsencode(tree / "speaker 0")
    for old, form in zip((0, 1), ("NFC", "NFD"), strict=True):
        (tree / "speaker 0" / f"{old}.wav").rename(tree / "speaker 0" / unicodedata.normalize(form, "é.wav"))
    os.rename(here + b"/2.wav", here + b"/\xe9.wav")
    os.rename(here + b"/3.wav", here + rb"/\xe9.wav")
    table = survey_of(tree).table
    for name in ("utterance", "source", "path"):
        assert table[name].nunique() == 48
    report = make_fragments(
        open_corpus(f"folder:{tree}"), Cache(tmp_path / "cache"), Settings(max_utterances=5), 0
    ).report
    assert (report["found"], report["files_used"], report["files_not_drawn"]) == (48, 40, 8)


NAMES = [
    "NA",
    "nan",
    "None",
    "null",
    "True",
    "007",
    "7",
    "1e5",
    "=1+1",
    "-rf",
    "<b>&amp;",
    "a\nb",
    "😀",
    "$x$",
    "Zoe",
    "zoe",
    "x" * 250,
]


@pytest.mark.skipif(os.name == "nt", reason="Windows takes fewer names")
def test_speakers_are_who_their_folders_say_whatever_else_it_could_mean(tmp_path):
    for number, name in enumerate(NAMES):
        for i in range(4):
            write(tmp_path / "speech" / name / f"{i}.wav", tone(hertz=150 + 20 * number + i))
    (tmp_path / "speech" / "speakers.csv").write_text("speaker,gender\nNA,F\n007,M\n1e5,F\n", encoding="utf-8")
    fragments = make_fragments(open_corpus(f"folder:{tmp_path / 'speech'}"), Cache(tmp_path / "cache"), Settings(), 0)
    assert set(fragments.manifest["speaker"]) == set(NAMES) and fragments.report["found"] == 4 * len(NAMES) + 1
    known = fragments.manifest.dropna(subset="gender").groupby("speaker", observed=True)["gender"].first()
    assert dict(known) == {"NA": "F", "007": "M", "1e5": "F"}


def test_files_of_one_name_in_several_folders_of_voices_stay_apart(tmp_path):
    root = voices_tree(tmp_path)
    index = root / "VOiCES_devkit" / "references" / "train_index.csv"
    rows = [voices_row(i, 30 + i // 2, i, "rm1", 1, "none", 0) for i in range(4)]
    rows[1]["filename"] = rows[0]["filename"].replace("/rm1/", "/rm2/")
    write_index(index, rows)
    found = open_corpus("voices:devkit", root).survey()
    assert found.table["utterance"].is_unique and found.table["path"].nunique() == len(found.table)


def test_hidden_names_are_no_recordings_in_any_corpus(tmp_path):
    root = librispeech_tree(tmp_path)
    before = open_corpus("librispeech:dev-clean", root).table()
    for path in list(root.rglob("*.flac")):
        path.with_name(f"._{path.name}").write_bytes(b"of the Finder")
    found = open_corpus("librispeech:dev-clean", root).survey()
    assert found.table.equals(before) and sum(one.why == "hidden" for one in found.passed) == 32


def test_a_home_folder_is_found_by_its_sign(tmp_path, monkeypatch):
    librispeech_tree(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_corpus("librispeech:dev-clean", "~").table()) == 32


def test_a_file_that_an_index_names_twice_is_one_recording(tmp_path):
    rows = [voices_row(i, 1, i % 3, "rm1", 1, "none", 30) for i in range(6)]
    write_index(tmp_path / "references" / "train_index.csv", rows)
    found = open_corpus("voices", tmp_path).survey()
    assert len(found.table) == 3 and [one.why for one in found.passed] == ["listed_twice"] * 3


TABLES = {
    "plain": "speaker,gender\nspeaker 0,F\nZoë,M\n",
    "semicolons": "speaker;gender\nspeaker 0;F\nZoë;M\n",
    "tabs": "speaker\tgender\nspeaker 0\tF\nZoë\tM\n",
    "bars": "speaker|gender\nspeaker 0|F\nZoë|M\n",
    "named separator": "sep=;\nspeaker;gender\nspeaker 0;F\nZoë;M\n",
    "capitals": "Speaker,GENDER\nspeaker 0,F\nZoë,M\n",
    "spaces": "speaker, gender\nspeaker 0, F\nZoë , M\n",
    "trailing commas": "speaker,gender,\nspeaker 0,F,\nZoë,M,\n",
    "fields without a name": "speaker,gender\nspeaker 0,F,x,\nZoë,M,y,z\n",
    "quotes": '"speaker","age","gender"\n"speaker 0","3, or 4","F"\n"Zoë","5","M"\n',
    "said twice": "speaker,gender\nspeaker 0,F\nZoë,M\nspeaker 0,F\n",
}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_spreadsheets_write_them(tmp_path, name, coding, form):
    tree = folder_tree(tmp_path / "speech", speakers=2, each=1)
    write(tree / unicodedata.normalize("NFD", "Zoë") / "a.wav", tone())
    text = unicodedata.normalize(form, TABLES[name]).replace("\n", "\r\n")
    (tree / "speakers.csv").write_bytes(text.encode(coding))
    found = survey_of(tree)
    genders = dict(zip(found.table["speaker"], found.table["gender"], strict=True))
    assert genders["speaker 0"] == "F" and genders["Zoë"] == "M"
    assert "names 2 speakers: 2 of the 3" in found.notes[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"speaker,gender\nspeaker 0,F\nspeaker 0,M\n", "contradict each other on 'speaker 0'"),
        ("speaker,gender\nZoë,F\n".encode("latin-1"), "save the table as UTF-8"),
        ("speaker,gender\nspeaker 0,F\n".encode("utf-16-le"), "save the table as UTF-8"),
        ("speaker,gender\nspeaker 0,F\n".encode("utf-32"), "save the table as UTF-8"),
        (b"name;gender\nx;F\n", r"column 'speaker'.*split at ';'.*'name', 'gender'"),
        (b"", "column 'speaker'.*nothing"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_in_one_sentence(tmp_path, data, says):
    tree = folder_tree(tmp_path / "speech", speakers=1, each=1)
    (tree / "speakers.csv").write_bytes(data)
    with pytest.raises(MiaError, match=rf"speakers\.csv: .*{says}"):
        survey_of(tree)


def test_a_pipe_in_the_place_of_a_table_is_refused_and_not_waited_for(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=1, each=1)
    os.mkfifo(tree / "speakers.csv")
    with pytest.raises(MiaError, match=r"speakers\.csv: is no file, where one should be"):
        survey_of(tree)


def test_a_table_that_names_nobody_is_said(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=1, each=1)
    (tree / "speakers.csv").write_text("speaker,gender\nsomebody else,F\n")
    assert "0 of the 1" in survey_of(tree).notes[0] and "somebody else" in survey_of(tree).notes[0]


def test_a_recording_that_no_index_of_voices_names_is_counted_and_said(tmp_path):
    root = voices_tree(tmp_path)
    index = root / "VOiCES_devkit" / "references" / "train_index.csv"
    lines = index.read_text().splitlines()
    index.write_text("\n".join([*lines[:5], *lines[8:]]) + "\n")
    write(root / "VOiCES_devkit" / "distant-16k" / "distractors" / "babb.wav", tone())
    found = open_corpus("voices:devkit", root).survey()
    assert [one.why for one in found.passed] == ["not_listed"] * 3 and len(found.table) == 125
    assert found.notes == ["3 recordings below distant-16k/speech are in no index"]

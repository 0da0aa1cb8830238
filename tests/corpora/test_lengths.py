"""A header's length is a hint: what is there is read, what is missing is named, and little is made of little."""

import struct

import numpy as np
import pytest
import soundfile
from trees import folder_tree, write

from mia_lib.corpora import open_corpus
from mia_lib.corpora.audio import read_audio
from mia_lib.corpora.found import readable
from mia_lib.fragments.cutting import make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

NOISE = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
NOISE[40_000:90_000] = 0  # which an encoder writes in few bytes
FORMATS = [name for name in soundfile.available_formats() if name not in ("RAW", "WVE", "HTK")]
SAY_NO_LENGTH = {"PAF", "PVF", "IRCAM", "SD2", "XI"}  # nothing in them tells how long they should be


def put(data, at, form, value):
    data[at : at + struct.calcsize(form)] = struct.pack(form, value)


def without_length(path, form, value):
    """Write a file of a streaming writer, who put `value` where the length belongs."""
    write(path, NOISE, format=form)
    data = bytearray(path.read_bytes())
    at = data.find({"AIFF": b"SSND"}.get(form, b"data"))
    if form == "WAV":
        put(data, 4, "<I", value), put(data, at + 4, "<I", value)
    elif form == "AIFF":
        put(data, 4, ">I", value), put(data, at + 4, ">I", value), put(data, data.find(b"COMM") + 10, ">I", value)
    elif form == "AU":
        put(data, 8, ">I", value)
    elif form == "CAF":
        put(data, at + 4, ">q", -1 if value else 0)
    elif form == "RF64":
        put(data, data.find(b"ds64") + 16, "<Q", (2**64 - 1) if value else 0)
    elif form == "FLAC":
        data[21] &= 0xF0
        put(data, 22, ">I", 0)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("value", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "CAF", "RF64", "FLAC"])
def test_a_streamed_file_is_read_whole(tmp_path, form, value):
    samples, rate = read_audio(without_length(tmp_path / f"x.{form.lower()}", form, value))
    assert (len(samples), rate) == (160_000, 16_000)
    np.testing.assert_allclose(samples, NOISE, atol=1e-4)


@pytest.mark.parametrize("value", [0x7FFFF000, 0x7FFFFFFF, 0x80000000])
def test_a_size_that_stands_for_none_is_no_promise(tmp_path, value):
    assert len(read_audio(without_length(tmp_path / "x.wav", "WAV", value))[0]) == 160_000


def test_an_mp3_that_does_not_say_its_length_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "x.mp3", NOISE)
    data = path.read_bytes()
    assert b"Xing" in data[:200]
    path.write_bytes(data[data.find(b"\xff\xf3", 4) :])
    samples, _ = read_audio(path)
    assert 0 <= len(samples) - 160_000 < 3_000
    assert abs(np.abs(samples[-5_000:-3_000]).mean() - 0.08) < 0.01  # sound, not filling


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_cut_in_half_is_named_as_cut(tmp_path, form):
    path = tmp_path / f"x.{form.lower()}"
    try:
        write(path, NOISE, format=form)
    except soundfile.LibsndfileError:
        write(path, NOISE, 44_100, format=form, subtype="PCM_16")
    whole = path.read_bytes()
    assert len(read_audio(path)[0]) == 160_000
    path.write_bytes(whole[: len(whole) // 2])
    if form in SAY_NO_LENGTH:
        assert 70_000 < len(read_audio(path)[0]) < 90_000
    else:
        with pytest.raises(MiaError, match="truncated"):
            read_audio(path)


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_an_ogg_file_that_ends_within_a_page_is_named_as_cut_and_one_with_a_tag_behind_it_is_whole(tmp_path, coding):
    path = write(tmp_path / "x.ogg", NOISE, format="OGG", subtype=coding)
    whole = path.read_bytes()
    last = whole.rfind(b"OggS")
    assert (
        whole[last + 5] == 4
    )  # the page that says it is the last, which libsndfile believes though half of it is gone
    for size in (last + 10, last + 27, last + 60, (last + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(MiaError, match="truncated"):
            read_audio(path)
    path.write_bytes(whole + b"TAG" + bytes(125))
    assert len(read_audio(path)[0]) == 160_000


@pytest.mark.parametrize(
    ("form", "less"), [("WAV", 1), ("WAV", 1_500), ("AIFF", 1_000), ("AU", 900), ("NIST", 1_000), ("MP3", 40)]
)
def test_a_length_that_is_off_by_a_frame_is_tolerated_and_counted(tmp_path, form, less):
    tree = folder_tree(tmp_path / "speech")
    path = tree / "speaker 0" / f"x.{form.lower()}"
    write(path, NOISE, format=form)
    path.write_bytes(path.read_bytes()[:-less])
    report = make_fragments(
        open_corpus(f"folder:{tree}"), Cache(tmp_path / "cache"), Settings(fragment_seconds=2.0), 0
    ).report
    assert (report["bad"], report["shorter"]) == (0, 1)


@pytest.mark.parametrize("form", FORMATS)
def test_files_of_every_format_that_is_read_are_found_in_small_and_capital_letters(tmp_path, form):
    assert f".{form.lower()}" in readable()
    (tmp_path / "one").mkdir()
    for name in (f"a.{form.lower()}", f"b.{form}"):
        (tmp_path / "one" / name).touch()
    assert len(open_corpus(f"folder:{tmp_path}").table()) == 2


def test_usual_endings_are_found():
    assert {".sph", ".rf64", ".voc", ".pvf", ".htk", ".aif", ".opus", ".mp3", ".snd", ".wav", ".w64"} <= readable()

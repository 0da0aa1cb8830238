"""Decoding goes on where it was stopped, and ends where it would have ended; what a system refuses for now is no fault."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from corpora.trees import folder_tree, tone, write

from mia_lib.corpora import audio, open_corpus
from mia_lib.corpora.base import utterances
from mia_lib.corpora.folder import FolderCorpus
from mia_lib.fragments.cutting import CHUNK, cut_chunk, make_fragments
from mia_lib.fragments.decoded import AUDIO, LINES, Decoded
from mia_lib.fragments.tally import Tally
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress
from mia_lib.support.settings import Settings

WHOLE = Settings(fragment_seconds=2.0, fragment_hop_seconds=2.0)
LENGTH = 32_000


@pytest.fixture
def corpus(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=12, each=4)
    (tree / "speaker 0/0.wav").write_bytes(b"")
    return open_corpus(f"folder:{tree}")


def fragments_of(corpus, root, **options):
    return make_fragments(corpus, Cache(root), WHOLE, 0, **options)


def same(one, other):
    np.testing.assert_array_equal(one.audio, other.audio)
    assert one.manifest.equals(other.manifest) and one.key == other.key and one.report == other.report


def chunks_of(corpus):
    rows = list(utterances(corpus.table()))
    return [cut_chunk(corpus, LENGTH, LENGTH, "pad", rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]


def add(folder, chunks):
    with progress("decode") as bar:
        return Decoded(folder, LENGTH).add(chunks, bar)


def equal(one: Tally, other: Tally) -> bool:
    marks = [
        (a.digest == b.digest) and np.array_equal(a.print, b.print) for a, b in zip(one.marks, other.marks, strict=True)
    ]
    parts = ("rows", "places", "rates", "counts", "fates", "bad_examples")
    return all(marks) and all(getattr(one, name) == getattr(other, name) for name in parts)


def test_what_was_decoded_is_read_back_as_it_was(tmp_path, corpus):
    chunks = chunks_of(corpus)
    tally = add(tmp_path, chunks)
    assert tally.counts["bad"] == 1 and tally.counts["utterances"] == 48
    again = Decoded(tmp_path, LENGTH)
    assert again.chunks == len(chunks) == 3 and equal(tally, again.tally)


SPOILT = {
    "a torn line": (LINES, lambda data: data[:-7], 2),
    "a line without its end": (LINES, lambda data: data[:-1], 2),
    "a flipped bit in the first line": (LINES, lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], 0),
    "no lines": (LINES, lambda data: b"", 0),
    "lines of another kind": (LINES, lambda data: b"[1, 2]\n" + data, 0),
    "audio that was cut": (AUDIO, lambda data: data[:-1], 2),
    "audio without a line": (AUDIO, lambda data: data + b"xyz", 3),
    "a flipped bit in the second chunk": (AUDIO, lambda data: flipped(data, len(data) // 2), 1),
    "no audio": (AUDIO, lambda data: b"", 0),
}


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("kind", SPOILT)
def test_of_damaged_chunks_those_before_the_damage_count(tmp_path, corpus, kind):
    chunks, (file, spoil, whole) = chunks_of(corpus), SPOILT[kind]
    tally = add(tmp_path, chunks)
    audio = (tmp_path / AUDIO).read_bytes()
    (tmp_path / file).write_bytes(spoil((tmp_path / file).read_bytes()))
    assert Decoded(tmp_path, LENGTH).chunks == whole
    assert equal(tally, add(tmp_path, chunks[whole:]))
    assert (tmp_path / AUDIO).read_bytes() == audio


def test_decoding_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been(tmp_path, corpus, monkeypatch):
    read, heard = FolderCorpus.read, []

    def stops(self, row):
        heard.append(row.utterance)
        if len(heard) == 40:
            raise KeyboardInterrupt
        return read(self, row)

    monkeypatch.setattr(FolderCorpus, "read", stops)
    with pytest.raises(KeyboardInterrupt):
        fragments_of(corpus, tmp_path / "cache", workers=1)
    again = fragments_of(corpus, tmp_path / "cache", workers=1)
    assert heard[40] == heard[2 * CHUNK]
    same(again, fragments_of(corpus, tmp_path / "other", workers=1))
    assert not list((tmp_path / "cache").glob("*.partial"))


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ESTALE])
def test_what_cannot_be_read_for_now_stops_the_run_and_is_not_kept(tmp_path, corpus, monkeypatch, number):
    def refused(path):
        if "speaker 5" in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path)

    opened = audio.open_stream
    monkeypatch.setattr(audio, "open_stream", refused)
    with pytest.raises(MiaError, match=rf"speaker 5.0\.wav: .*{os.strerror(number)}.*goes on from here") as caught:
        fragments_of(corpus, tmp_path / "cache", workers=1)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert fragments_of(corpus, tmp_path / "cache", workers=1).report["bad"] == 1


class Breaking:
    """A file of which the system cannot read more than `left` bytes."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def read(self, count=-1):
        if self.file.tell() >= self.left:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.file.read(count if count < 0 else min(count, self.left - self.file.tell()))

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize("form", ["WAV", "IRCAM", "MP3", "AU"])
def test_a_file_that_breaks_off_for_the_system_is_not_taken_for_one_that_was_cut(tmp_path, monkeypatch, form):
    opened, path = open, tmp_path / f"breaks.{form.lower()}"
    write(path, tone(), format=form)
    half = path.stat().st_size // 2
    short = tmp_path / f"short.{form.lower()}"
    short.write_bytes(path.read_bytes()[:half])  # what libsndfile sees of it
    kept = audio.open_stream
    monkeypatch.setattr(audio, "open_stream", lambda asked: kept(short if asked == path else asked))
    monkeypatch.setattr(
        "builtins.open",
        lambda file, *rest, **more: (
            Breaking(opened(file, *rest, **more), half) if file == path else opened(file, *rest, **more)
        ),
    )
    with pytest.raises(MiaError, match=rf"breaks\.{form.lower()}: cannot be read \(Input/output error\)$") as caught:
        audio.read_audio(path)
    assert caught.value.__context__.errno == errno.EIO  # which stops a run, and is not kept


def test_an_error_that_passes_while_a_file_is_read_leaves_its_sound_whole(tmp_path, monkeypatch):
    path, short = write(tmp_path / "a.wav", tone()), tmp_path / "short.wav"
    short.write_bytes(path.read_bytes()[:20_000])
    kept, asked = audio.open_stream, []
    monkeypatch.setattr(audio, "open_stream", lambda file: kept(path if asked else (asked.append(file) or short)))
    assert len(audio.read_audio(path)[0]) == len(tone())


@pytest.mark.parametrize("keeps", ["nothing", "size and time"])
def test_a_corpus_that_changes_while_it_is_read_is_noticed_and_not_kept(tmp_path, corpus, monkeypatch, keeps):
    read, changed = FolderCorpus.read, corpus.root / "speaker 7" / "2.wav"

    def changes(self, row):
        if row.utterance.startswith("speaker 11/"):
            before = changed.stat()
            write(changed, tone(hertz=400))
            if keeps == "size and time":  # another file in its place, as an archive that is unpacked again
                changed.replace(changed.with_suffix(".new"))
                changed.with_suffix(".new").replace(changed)
                os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
        return read(self, row)

    monkeypatch.setattr(FolderCorpus, "read", changes)
    with pytest.raises(MiaError, match=r"changed while they were read, speaker 7/2\.wav among them: give the same"):
        fragments_of(corpus, tmp_path / "cache", workers=1)
    monkeypatch.undo()
    same(fragments_of(corpus, tmp_path / "cache"), fragments_of(corpus, tmp_path / "other"))


def test_a_recording_that_may_be_read_now_is_read(tmp_path, corpus, monkeypatch):
    hidden = str(corpus.root / "speaker 5/0.wav")
    access, opened = os.access, open

    def refused(path, *rest, **options):
        if os.fspath(path) == hidden:
            raise PermissionError(13, "Permission denied", hidden)
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, "access", lambda path, mode: path != hidden and access(path, mode))
    monkeypatch.setattr("builtins.open", refused)
    before = fragments_of(corpus, tmp_path / "cache", workers=1, max_bad=0.1)
    assert before.report["bad"] == 2 and any("Permission denied" in reason for reason in before.report["bad_examples"])
    monkeypatch.undo()
    assert fragments_of(corpus, tmp_path / "cache", workers=1).report["bad"] == 1


SCRIPT = """
import sys, time
from mia_lib.corpora import open_corpus
from mia_lib.corpora.folder import FolderCorpus
from mia_lib.fragments.cutting import make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.settings import Settings

read = FolderCorpus.read
FolderCorpus.read = lambda self, row: (time.sleep(0.05), read(self, row))[1]
settings = Settings(fragment_seconds=2.0, fragment_hop_seconds=2.0)
make_fragments(open_corpus(sys.argv[1]), Cache(sys.argv[2]), settings, 0, workers=1)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX matter")
def test_a_killed_process_loses_no_more_than_a_chunk(tmp_path, corpus):
    command = [sys.executable, "-c", SCRIPT, corpus.name, str(tmp_path / "cache")]
    work = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.rglob(LINES)) and time.monotonic() < end:
        time.sleep(0.02)
    work.send_signal(signal.SIGKILL)
    work.wait()
    (scratch,) = (path.parent for path in tmp_path.rglob(LINES))
    assert Decoded(scratch, LENGTH).chunks >= 1
    same(fragments_of(corpus, tmp_path / "cache"), fragments_of(corpus, tmp_path / "other"))

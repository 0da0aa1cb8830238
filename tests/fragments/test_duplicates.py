"""A recording is what it sounds like, not where it lies: copies are found, kept once and named."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from corpora.trees import folder_tree, tone, voices_tree, write

from mia_lib.corpora import open_corpus
from mia_lib.corpora.audio import read_audio, resample, to_int16
from mia_lib.corpora.base import utterances
from mia_lib.corpora.folder import FolderCorpus
from mia_lib.fragments.cutting import make_fragments
from mia_lib.fragments.duplicates import SAME, correlation, mark, originals
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

WHOLE = Settings(fragment_seconds=2.0, fragment_hop_seconds=2.0)
CONTAINERS = {
    "wav at 44.1 kHz": ("WAV", 44_100, None),
    "wav at 8 kHz": ("WAV", 8_000, None),
    "telephone": ("WAV", 8_000, "ULAW"),
    "mp3": ("MP3", 16_000, None),
    "mp3 at 8 kHz": ("MP3", 8_000, None),
    "ogg": ("OGG", 16_000, None),
    "24 bit": ("FLAC", 16_000, "PCM_24"),
}


@pytest.fixture(scope="module")
def voices():
    """Sentences of two demo voices, float32 at 16 kHz."""
    corpus = open_corpus("demo:2x6")
    return [corpus.read(row)[0] for row in utterances(corpus.table())]


def copied(samples, container):
    kind, rate, subtype = CONTAINERS[container]
    file = io.BytesIO()
    soundfile.write(file, resample(samples, 16_000, rate), rate, format=kind, subtype=subtype)
    file.seek(0)
    heard, rate = soundfile.read(file, dtype="float32")
    return resample(heard, rate)


def found(signals, sources=None):
    sources = sources or [str(i) for i in range(len(signals))]
    marks = [mark(to_int16(signal)) for signal in signals]
    return list(originals(marks, sources, lambda pairs: [correlation(signals[a], signals[b]) > SAME for a, b in pairs]))


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_copy_in_another_container_or_at_another_rate_is_the_same_recording(voices, container):
    assert found([*voices, *(copied(voice, container) for voice in voices)]) == [*range(12), *range(12)]


def test_sentences_of_one_voice_are_different_recordings_even_cut_to_one_length(voices):
    shortest = min(map(len, voices))
    assert found([voice[:shortest] for voice in voices]) == list(range(12))


def test_tones_of_nearly_one_pitch_are_told_apart_by_their_waveforms():
    assert found([tone(2.5, 150 + i) for i in range(20)] + [0.5 * tone(2.5, 155)]) == [*range(20), 5]


def test_one_source_recorded_again_is_no_copy_unless_every_sample_is_equal(voices):
    again = copied(voices[0], "ogg")
    assert found([voices[0], again, again], ["one", "one", "one"]) == [0, 1, 1]


def fragments_of(tree, **options):
    return make_fragments(open_corpus(f"folder:{tree}"), Cache(tree.parent / "cache"), WHOLE, 0, **options)


def test_a_corpus_with_every_recording_twice_is_the_corpus_with_each_once(tmp_path):
    tree = folder_tree(tmp_path / "speech")
    once = fragments_of(tree)
    for path in sorted(tree.rglob("*.wav")):
        (path.parent / "copies").mkdir(exist_ok=True)
        (path.parent / "copies" / f"{path.stem} (1).wav").write_bytes(path.read_bytes())
        soundfile.write(path.with_suffix(".flac"), *read_audio(path))
    twice = fragments_of(tree)
    assert twice.report["duplicates"] == 64 and "0.flac" in " ".join(twice.report["duplicate_examples"])
    assert sorted(piece.tobytes() for piece in twice.audio) == sorted(piece.tobytes() for piece in once.audio)


def with_copies(tree, each, times):
    """Eight speakers with so many recordings of noise that swells in ways of its own, each in so many files."""
    random = np.random.default_rng(0)
    for speaker in range(8):
        for i in range(each):
            swell = np.repeat(random.uniform(0.001, 0.2, 40), 1000)
            samples = (swell * random.normal(size=40_000)).astype(np.float32)
            for copy in range(times):
                write(tree / f"speaker {speaker}" / f"{i} ({copy}).wav", samples)
    return tree


@pytest.mark.parametrize("stopped", [False, True])
def test_copies_take_no_place_of_those_that_max_utterances_leaves(tmp_path, monkeypatch, stopped):
    tree, settings = with_copies(tmp_path / "speech", each=6, times=2), replace(WHOLE, max_utterances=4)
    corpus, read, heard = open_corpus(f"folder:{tree}"), FolderCorpus.read, []

    def stops(self, row):
        heard.append(row.utterance)
        if stopped and len(heard) == 32 + 3:  # among those that were drawn in place of copies
            raise KeyboardInterrupt
        return read(self, row)

    monkeypatch.setattr(FolderCorpus, "read", stops)
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            make_fragments(corpus, Cache(tmp_path / "cache"), settings, 0, workers=1)
    fragments = make_fragments(corpus, Cache(tmp_path / "cache"), settings, 0, workers=1)
    assert fragments.manifest.groupby("speaker", observed=True)["source"].nunique().eq(4).all()
    assert len({piece.tobytes() for piece in fragments.audio}) == len(fragments.audio) == 32
    report = fragments.report
    assert report["duplicates"] > 0 and report["files_used"] == 32 and report["found"] == 96
    assert report["utterances"] == 32 + report["duplicates"] == report["found"] - report["files_not_drawn"]


def test_where_there_are_only_copies_there_is_nothing_to_put_in_their_place(tmp_path):
    corpus = open_corpus(f"folder:{with_copies(tmp_path / 'speech', each=4, times=3)}")
    report = make_fragments(corpus, Cache(tmp_path), replace(WHOLE, max_utterances=10), 0, workers=1).report
    assert report["files_used"] == 32 and report["files_not_drawn"] == 0


def test_copies_do_not_make_up_for_recordings_that_a_speaker_lacks(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=9)
    (tree / "speaker 0" / "3.wav").write_bytes((tree / "speaker 0" / "2.wav").read_bytes())
    assert fragments_of(tree).report["speakers_dropped_names"] == ["speaker 0"]


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_one_recording_under_two_speakers_is_refused_and_names_both(tmp_path, rate):
    tree = folder_tree(tmp_path / "speech")
    samples = read_audio(tree / "speaker 1" / "2.wav")[0]
    write(tree / "speaker 5" / "mine.wav", resample(samples, 16_000, rate), rate)
    for _ in range(2):  # from the cache too
        with pytest.raises(MiaError, match=r"speaker 5/mine\.wav of speaker 5 .*speaker 1/2\.wav of speaker 1"):
            fragments_of(tree)


def test_recordings_of_one_source_in_several_rooms_all_stay(tmp_path):
    corpus = open_corpus("voices:devkit", voices_tree(tmp_path))
    report = make_fragments(corpus, Cache(tmp_path / "cache"), WHOLE, 0).report
    assert report["duplicates"] == 0 and report["files_used"] == 128


def test_synthetic_corpora_are_as_they_were(tmp_path):
    report = make_fragments(open_corpus("demo-farfield:8x8"), Cache(tmp_path), replace(WHOLE), 0, workers=1).report
    assert report["duplicates"] == 0 and report["files_used"] == report["found"]


def test_noise_that_nobody_could_tell_apart_by_ear_stays_apart():
    noise = np.random.default_rng(0).normal(0, 0.1, (40, 40_000)).astype(np.float32)
    assert found(list(noise)) == list(range(40))

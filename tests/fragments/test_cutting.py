"""From recordings to fragments: every rule counted, every broken recording named, nothing computed twice."""

import os
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora.trees import folder_tree, librispeech_tree, tone, voices_tree, write

from mia_lib.corpora import Utterance, open_corpus
from mia_lib.corpora.audio import MAX_SECONDS, read_audio, resample, to_int16, to_mono
from mia_lib.fragments.choosing import choose
from mia_lib.fragments.cutting import cut_chunk, make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

WHOLE = Settings(fragment_seconds=2.0, fragment_hop_seconds=2.0)
RATE = 16_000


@pytest.fixture
def tree(tmp_path):
    return folder_tree(tmp_path / "speech")


def fragments_of(tree, settings=WHOLE, **options):
    return make_fragments(open_corpus(f"folder:{tree}"), Cache(tree.parent / "cache"), settings, 0, **options)


def test_fragments_are_memory_mapped_int16_with_a_manifest_beside_them(tree):
    fragments = fragments_of(tree)
    assert isinstance(fragments.audio, np.memmap) and not fragments.audio.flags.writeable
    assert fragments.audio.dtype == np.int16 and fragments.audio.shape == (32, 32_000)
    assert list(fragments.manifest)[:4] == ["utterance", "speaker", "source", "start"]
    assert fragments.report["seconds"] == 64 and fragments.report["speakers"] == 8
    row = fragments.manifest.iloc[9]
    original = read_audio(tree / row["utterance"])[0]
    np.testing.assert_array_equal(fragments.audio[9], to_int16(original[:32_000]))


def test_consecutive_fragments_do_not_overlap_and_the_remainder_is_dropped(tree):
    path = write(tree / "speaker 0" / "long.wav", tone(7.5) * np.linspace(0.1, 1, 120_000, dtype=np.float32))
    fragments = fragments_of(tree)
    mine = fragments.manifest["utterance"] == "speaker 0/long.wav"
    assert list(fragments.manifest["start"][mine]) == [0, 2, 4]
    expected = to_int16(read_audio(path)[0])[:96_000]
    np.testing.assert_array_equal(fragments.audio[mine.to_numpy()].ravel(), expected)


def test_overlapping_fragments_start_one_hop_apart(tree):
    path = write(tree / "speaker 0" / "long.wav", tone(4.0))
    fragments = fragments_of(tree, replace(WHOLE, fragment_hop_seconds=0.5))
    mine = (fragments.manifest["utterance"] == "speaker 0/long.wav").to_numpy()
    assert list(fragments.manifest["start"][mine]) == [0, 0.5, 1, 1.5, 2]
    np.testing.assert_array_equal(fragments.audio[mine][3], to_int16(read_audio(path)[0])[24_000:56_000])


def test_short_utterances_are_padded_by_repetition_or_dropped_and_counted(tree):
    write(tree / "speaker 0" / "short.wav", tone(1.5))
    write(tree / "speaker 0" / "shorter.wav", tone(0.5))
    padded = fragments_of(tree)
    assert (padded.report["padded"], padded.report["dropped_short"]) == (1, 1)
    mine = (padded.manifest["utterance"] == "speaker 0/short.wav").to_numpy()
    np.testing.assert_array_equal(padded.audio[mine][0][24_000:], padded.audio[mine][0][:8_000])
    dropped = fragments_of(tree, replace(WHOLE, short_utterances="drop"))
    assert (dropped.report["padded"], dropped.report["dropped_short"]) == (0, 2)
    assert len(dropped.audio) == len(padded.audio) - 1


def test_8_khz_and_stereo_are_brought_to_16_khz_mono_and_counted(tree):
    stereo = np.stack([tone(hertz=440, rate=8000), 3 * tone(hertz=440, rate=8000)], axis=1)
    write(tree / "speaker 0" / "phone.wav", stereo, rate=8000)
    fragments = fragments_of(tree)
    assert (fragments.report["resampled"], fragments.report["mixed_down"]) == (1, 1)
    mine = (fragments.manifest["utterance"] == "speaker 0/phone.wav").to_numpy()
    assert list(fragments.manifest["original_rate"][mine]) == [8000]
    spectrum = np.abs(np.fft.rfft(fragments.audio[mine][0].astype(float)))
    assert np.argmax(spectrum) * RATE / 32_000 == 440
    assert np.abs(fragments.audio[mine][0][100:-100]).max() == pytest.approx(0.2 * 32_768, rel=0.02)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_pitch_and_loudness(rate):
    heard = resample(tone(1.0, 440, rate), rate)
    assert len(heard) == pytest.approx(RATE, abs=1) and heard.dtype == np.float32
    np.testing.assert_allclose(heard[500:-500], tone(1.0, 440)[500 : len(heard) - 500], atol=2e-3)


def test_mixing_down_is_the_mean_of_the_channels():
    np.testing.assert_array_equal(to_mono(np.array([[1.0, 0.0], [0.5, -0.5]])), [0.5, 0.0])


def test_int16_samples_survive_and_loud_ones_are_clipped():
    whole = np.arange(-32_768, 32_768, dtype=np.int64)
    np.testing.assert_array_equal(to_int16((whole / 32_768).astype(np.float32)), whole)
    np.testing.assert_array_equal(to_int16(np.array([1.0, 7.5, -7.5, 0.4 / 32_768])), [32_767, 32_767, -32_768, 0])


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000)
    whole = write(path, noise).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


BROKEN = {
    "zero.wav": (lambda path: path.write_bytes(b""), "is empty"),
    "text.wav": (lambda path: path.write_text("I am text in disguise.\n" * 50), "not audio"),
    "text.mp3": (lambda path: path.write_text("I am text in disguise.\n" * 50), "not audio"),
    "nan.wav": (
        lambda path: write(path, np.where(np.arange(40_000) == 9, np.nan, tone()), subtype="FLOAT"),
        "not finite",
    ),
    "infinite.wav": (lambda path: write(path, np.full(40_000, np.inf), subtype="FLOAT"), "not finite"),
    "opposite.wav": (lambda path: write(path, np.full((40_000, 2), [np.inf, -np.inf]), subtype="FLOAT"), "not finite"),
    "header.wav": (lambda path: write(path, np.zeros(0)), "no samples"),
    "silence.flac": (lambda path: write(path, np.zeros(40_000)), "silence"),
    "cut.wav": (truncated, "truncated"),
    "cut.aiff": (truncated, "truncated"),
    "cut.flac": (truncated, "not audio|truncated"),
    "cut.ogg": (truncated, "truncated"),
    "cut.mp3": (truncated, "truncated"),
    "pipe.wav": (os.mkfifo, "is empty"),
    "device.wav": (lambda path: path.symlink_to("/dev/zero"), "is empty"),
    "dangling.wav": (lambda path: path.symlink_to("nowhere"), "missing"),
    "circle.wav": (lambda path: path.symlink_to("circle.wav"), "cannot be read"),
    "endless.wav": (lambda path: os.truncate(write(path, np.zeros(0)), 1 << 40), "silence"),
    "endless.mp3": (lambda path: path.touch() or os.truncate(path, 1 << 40), "not audio"),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_recording_is_named_in_one_sentence(tmp_path, name):
    spoil, says = BROKEN[name]
    spoil(tmp_path / name)
    with pytest.raises(MiaError, match=says) as caught:
        read_audio(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_long_recording_of_many_channels_takes_no_more_memory_than_one_channel(tmp_path):
    with soundfile.SoundFile(tmp_path / "wide.flac", "w", 48_000, 8) as file:
        for second in range(MAX_SECONDS + 1):
            file.write(np.outer(np.full(48_000, 0.1 + second / 1000, np.float32), np.arange(8) / 3.5))
    tracemalloc.start()
    try:
        (cut,) = cut_chunk(
            open_corpus(f"folder:{tmp_path}"), RATE, RATE, "pad", [Utterance("u", "s", "u", "wide.flac")]
        )
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert {"mixed_down", "capped"} <= set(cut.notes) and len(cut.pieces) == MAX_SECONDS
    assert np.abs(cut.pieces[60] / 32_768 - 0.16).max() < 0.01
    assert most < 5 * 4 * 48_000 * MAX_SECONDS  # all channels would be eight times a copy


def test_broken_recordings_are_listed_and_skipped_while_they_are_few(tree):
    for name in ("zero.wav", "text.wav"):
        BROKEN[name][0](tree / "speaker 0" / name)
    fragments = fragments_of(tree, max_bad=0.1)
    assert (fragments.report["utterances"], fragments.report["read"], fragments.report["bad"]) == (34, 32, 2)
    assert len(fragments.audio) == 32 and any("zero.wav" in reason for reason in fragments.report["bad_examples"])


def test_too_many_broken_recordings_stop_with_their_number_and_the_first(tree):
    for name in ("zero.wav", "text.wav"):
        BROKEN[name][0](tree / "speaker 0" / name)
    with pytest.raises(MiaError, match=r"2 of 34 recordings .*--max-bad.*text\.wav"):
        fragments_of(tree)


def test_nothing_but_broken_recordings_is_one_sentence(tmp_path):
    for speaker in range(8):
        for i in range(4):
            path = tmp_path / "speech" / str(speaker) / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    with pytest.raises(MiaError, match="32 of 32"):
        fragments_of(tmp_path / "speech")
    with pytest.raises(MiaError, match="at least 8 speakers"):
        fragments_of(tmp_path / "speech", max_bad=1.0)


def test_a_voices_index_that_names_a_missing_file_lists_it(tmp_path):
    root = voices_tree(tmp_path)
    corpus = open_corpus("voices:devkit", root)
    missing = corpus.table()["path"][5]
    (root / "VOiCES_devkit" / missing).unlink()
    fragments = make_fragments(corpus, Cache(tmp_path / "cache"), WHOLE, 0, workers=1)
    assert fragments.report["bad"] == 1
    assert missing in fragments.report["bad_examples"][0] and "missing" in fragments.report["bad_examples"][0]


def test_one_speaker_only_is_one_sentence(tmp_path):
    with pytest.raises(MiaError, match="at least 8 speakers with 4 usable utterances each, and this one has 1"):
        fragments_of(folder_tree(tmp_path / "speech", speakers=1, each=6))


def test_a_speaker_with_one_utterance_is_dropped_named_and_counted(tree):
    write(tree / "hermit" / "only.wav", tone())
    fragments = fragments_of(tree)
    assert fragments.report["speakers_dropped"] == 1 and fragments.report["speakers_dropped_names"] == ["hermit"]
    assert "hermit" not in set(fragments.manifest["speaker"])


def test_a_speaker_left_with_too_few_after_decoding_leaves_manifest_and_audio(tree):
    folder_tree(tree, speakers=9)
    before = fragments_of(tree)
    (tree / "speaker 3" / "2.wav").write_bytes(b"")
    after = fragments_of(tree)
    assert after.report["speakers_dropped_names"] == ["speaker 3"] and after.report["speakers"] == 8
    stay = (before.manifest["speaker"] != "speaker 3").to_numpy()
    np.testing.assert_array_equal(after.audio, before.audio[stay])
    assert list(after.manifest["utterance"]) == list(before.manifest["utterance"][stay])


def test_speakers_and_utterances_are_chosen_by_seed(tree):
    folder_tree(tree, speakers=12, each=6)
    table, settings = open_corpus(f"folder:{tree}").table(), replace(WHOLE, max_speakers=9, max_utterances=5)
    first, again, other = (choose(table, settings, seed).rows for seed in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)
    assert first["speaker"].nunique() == 9 and len(first) == 45


def test_the_number_of_utterances_counts_sources_and_keeps_all_their_recordings(tmp_path):
    table = open_corpus("voices:devkit", voices_tree(tmp_path, segments=6)).table()
    chosen = choose(table, replace(WHOLE, max_utterances=4), 0).rows
    assert chosen.groupby("speaker", observed=True)["source"].nunique().eq(4).all()
    assert chosen.groupby("source", observed=True).size().eq(4).all()


def test_the_cache_is_reused_and_left_when_a_file_changes(tree):
    cache, corpus = Cache(tree.parent / "cache"), open_corpus(f"folder:{tree}")
    keys = [make_fragments(corpus, cache, WHOLE, 0).key for _ in range(2)]
    write(tree / "speaker 1" / "1.wav", tone(hertz=999))
    os.utime(tree / "speaker 1" / "1.wav", ns=(0, time.time_ns() + 10**9))
    keys.append(make_fragments(corpus, cache, WHOLE, 0).key)
    assert keys[0] == keys[1] != keys[2]
    assert [timing["cached"] for timing in cache.timings] == [False, True, False]


@pytest.mark.skipif(os.name == "nt", reason="Windows notes no time of change")
def test_another_recording_of_the_same_size_and_modification_time_is_found(tree):
    cache, corpus, path = Cache(tree.parent / "cache"), open_corpus(f"folder:{tree}"), tree / "speaker 1" / "1.wav"
    keys, before = [make_fragments(corpus, cache, WHOLE, 0).key], path.stat()
    write(path, tone(hertz=999))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    keys.append(make_fragments(corpus, cache, WHOLE, 0).key)
    assert keys[0] != keys[1]


def test_worker_processes_and_this_process_agree(tmp_path):
    corpus = open_corpus("demo:8x4")
    alone = make_fragments(corpus, Cache(tmp_path / "alone"), WHOLE, 0, workers=1)
    shared = make_fragments(pickle.loads(pickle.dumps(corpus)), Cache(tmp_path / "shared"), WHOLE, 0, workers=2)
    np.testing.assert_array_equal(alone.audio, shared.audio)
    assert alone.manifest.equals(shared.manifest) and alone.key == shared.key


def test_librispeech_becomes_fragments_with_its_conditions(tmp_path):
    corpus = open_corpus("librispeech:dev-clean", librispeech_tree(tmp_path))
    fragments = make_fragments(corpus, Cache(tmp_path / "cache"), WHOLE, 0)
    assert len(fragments.audio) == 32 and set(fragments.manifest["gender"]) == {"F", "M"}


def test_workers_need_no_torch():
    code = "import sys, mia_lib.fragments, mia_lib.corpora as c; c.CORPORA.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(os.name == "nt", reason="signals to a process group are a POSIX matter")
def test_an_interrupt_ends_all_processes_without_a_worker_traceback(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        "from mia_lib.corpora import open_corpus\nfrom mia_lib.fragments import make_fragments\n"
        "from mia_lib.support.settings import Settings\nfrom mia_lib.support.cache import Cache\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        f"        make_fragments(open_corpus('demo'), Cache({str(tmp_path / 'cache')!r}), Settings(), 0, workers=2)\n"
        "    except KeyboardInterrupt:\n        print('interrupted')\n"
    )
    work = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size for path in tmp_path.rglob("audio.i16")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(work.pid, signal.SIGINT)
    out, errors = work.communicate(timeout=120)
    assert out.strip() == "interrupted" and "Traceback" not in errors
    with pytest.raises(ProcessLookupError):  # once the last process of the group is gone
        for _ in range(50):
            os.killpg(work.pid, 0)
            time.sleep(0.1)


def test_real_speech_decodes_without_a_bad_file(tmp_path):
    root = Path(os.environ.get("MIA_DATA_ROOT") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "speechocean762").is_dir():
        pytest.skip("real speech is not at ../shared/data: set MIA_DATA_ROOT to the folder that holds speechocean762")
    settings = replace(WHOLE, max_speakers=8, max_utterances=4)
    corpus = open_corpus(f"folder:{root / 'speechocean762'}")
    fragments = make_fragments(corpus, Cache(tmp_path), settings, 0)
    assert fragments.report["bad"] == 0 and fragments.report["read"] == 32
    assert set(fragments.manifest["gender"]) <= {"F", "M"}

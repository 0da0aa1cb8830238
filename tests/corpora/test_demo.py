"""The synthetic corpora: the same by seed, whatever is spoken before, and in the promised conditions."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mia_lib.corpora import Utterance, open_corpus
from mia_lib.corpora.base import COLUMNS, utterances
from mia_lib.corpora.demo import speak, voice_of
from mia_lib.corpora.synthesis.distractors import DISTRACTORS
from mia_lib.corpora.synthesis.espeak import Delivery, synthesiser
from mia_lib.corpora.synthesis.rooms import DEGREES, ROOMS, impulse_responses
from mia_lib.corpora.synthesis.sentences import draw_sentence
from mia_lib.support.errors import UsageError


def row(name: str) -> Utterance:
    return Utterance(name, name[:4], name, name)


@pytest.mark.parametrize("name", ["demo", "demo-farfield"])
def test_same_seed_same_sound_and_another_seed_another(name):
    first = next(utterances(open_corpus(name).table()))
    once, _ = open_corpus(name, seed=3).read(first)
    again, _ = pickle.loads(pickle.dumps(open_corpus(name, seed=3))).read(first)
    other, _ = open_corpus(name, seed=4).read(first)
    np.testing.assert_array_equal(once, again)
    assert len(other) != len(once) or not np.array_equal(other, once)


def test_an_utterance_does_not_depend_on_what_was_spoken_before():
    alone = {(speaker, index): speak(0, speaker, index) for speaker in range(6) for index in range(2)}
    random = np.random.default_rng(0)
    for i in random.permutation(48):
        speak(0, 10 + random.integers(60), random.integers(30))
        speaker, index = i % 6, i // 6 % 2
        np.testing.assert_array_equal(speak(0, speaker, index), alone[speaker, index])


def test_speakers_have_distinct_voices():
    voices = [voice_of(0, speaker) for speaker in range(80)]
    assert len({voice.text for voice in voices}) == 80
    assert {voice.gender for voice in voices} == {"F", "M"}
    assert len({voice.accent for voice in voices}) > 1
    sounds = [synthesiser().say("The same words.", v.accent, v.text, Delivery()) for v in voices[:6]]
    assert len({sound.tobytes() for sound in sounds}) == 6


def test_utterances_last_a_few_seconds_and_vary():
    clips = [speak(0, speaker, index) for speaker in (1, 30) for index in range(8)]
    seconds = np.array([len(clip) / 16_000 for clip in clips])
    assert seconds.min() > 2.0 and seconds.max() < 7.0 and seconds.std() > 0.2
    random = np.random.default_rng(0)
    assert len({draw_sentence(random) for _ in range(500)}) > 495


def test_session_effects_vary_the_level_between_utterances():
    corpus = open_corpus("demo")
    levels = [np.sqrt(np.mean(corpus.read(row(f"0000-{i:03d}"))[0] ** 2)) for i in range(6)]
    assert max(levels) / min(levels) > 1.3


def test_the_default_demo_has_eighty_speakers_with_thirty_utterances():
    table = open_corpus("demo").table()
    assert tuple(table.columns) == COLUMNS
    assert table["utterance"].is_unique and (table["source"].astype("str") == table["utterance"]).all()
    assert table.groupby("speaker", observed=True).size().eq(30).all() and table["speaker"].nunique() == 80
    assert set(table["gender"]) == {"F", "M"}


def test_the_size_of_a_demo_can_be_given_and_a_wrong_one_is_refused():
    assert len(open_corpus("demo:3x5").table()) == 15
    with pytest.raises(UsageError, match="60x30"):
        open_corpus("demo:many")


def test_far_field_factors_are_balanced_within_each_speaker():
    table = open_corpus("demo-farfield:4x28").table()
    levels = {"room": set(ROOMS), "mic": set("1234"), "distractor": set(DISTRACTORS), "degrees": set(DEGREES)}
    for factor, expected in levels.items():
        assert set(table[factor]) == expected
        counts = table.groupby(["speaker", factor], observed=True).size()
        assert counts.nunique() == 1, f"{factor} is not balanced"


def test_two_far_field_recordings_share_a_source_but_not_their_room():
    table = open_corpus("demo-farfield:4x28").table()
    rooms = table.groupby("source", observed=True)["room"].agg(["size", "nunique"])
    assert (rooms["size"] == 2).all() and (rooms["nunique"] == 2).all()


def test_a_louder_direct_path_reaches_the_microphone_in_front_of_the_loudspeaker():
    for room in ROOMS:
        responses = impulse_responses(room)
        front, back = (np.sum(responses[0][DEGREES.index(angle)] ** 2) for angle in (0, 180))
        assert front > 1.5 * back, f"turning the loudspeaker away changes nothing in {room}"


@pytest.mark.parametrize("name", [name for name, make in DISTRACTORS.items() if make])
def test_distractors_fill_the_asked_length_and_differ_by_draw(name):
    voices = [speak(0, 100_000, index) for index in range(5)]
    sounds = [DISTRACTORS[name](40_000, voices, np.random.default_rng(seed)) for seed in (0, 1)]
    for sound in sounds:
        assert sound.shape == (40_000,) and np.isfinite(sound).all() and np.std(sound) > 0
    assert not np.array_equal(*sounds)


def test_a_distractor_changes_the_recording_only_beside_the_speech():
    corpus = open_corpus("demo-farfield")
    table = corpus.table().iloc[:30]
    names = {level: next(utterances(table[table["distractor"] == level])) for level in DISTRACTORS}
    for level, utterance in names.items():
        samples, rate = corpus.read(utterance)
        assert rate == 16_000 and samples.dtype == np.float32 and np.isfinite(samples).all(), level


def test_the_dry_sound_is_the_sentence_that_all_recordings_of_a_source_replay():
    corpus = open_corpus("demo-farfield", seed=3)
    np.testing.assert_array_equal(corpus.played("0001-002"), speak(3, 1, 2))
    assert open_corpus("demo").played("0001-002") is None


def test_threads_that_speak_at_once_say_what_each_says_alone():
    alone = [speak(3, speaker, 0) for speaker in range(6)]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda speaker: speak(3, speaker, 0), range(6)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)

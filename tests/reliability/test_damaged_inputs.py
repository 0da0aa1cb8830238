"""A small part of the fuzzing (`fuzz.py`) in every run of the tests: damage ends in sound or one sentence, and is counted."""

import soundfile
from reliability.fuzz import FAULTS, hear, look, outcomes, report
from reliability.hostile_audio import MUTATIONS, mutated, seeds
from reliability.hostile_tables import tree

SEEDS = seeds()


def test_there_is_a_whole_file_of_every_container_that_libsndfile_writes(tmp_path, monkeypatch):
    assert {one.form for one in SEEDS} == set(soundfile.available_formats()) - {"RAW"}
    monkeypatch.setattr("reliability.fuzz.mutated", lambda seed, number: ("none", seed))
    for seed in SEEDS:
        assert hear(tmp_path, seed, 0).fate == "decoded", seed[:2]


def test_damage_follows_from_its_number_and_is_of_every_kind():
    found = {mutated(SEEDS[0], number)[0] for number in range(200)}
    assert found == {*MUTATIONS} and mutated(SEEDS[0], 7) == mutated(SEEDS[0], 7)


def test_damaged_recordings_end_in_sound_or_one_sentence(tmp_path):
    found = [hear(tmp_path, SEEDS[number % len(SEEDS)], number) for number in range(5_000_000, 5_000_400)]
    assert [one for one in found if one.fate in FAULTS] == []
    assert {one.fate for one in found} == {"decoded", "bad"}


def test_damaged_tables_end_in_a_survey_or_one_sentence(tmp_path):
    root = tree(tmp_path)
    found = [look(root, number) for number in range(5_000_000, 5_000_120)]
    assert [one for one in found if one.fate in FAULTS] == []
    assert {one.fate for one in found} == {"read", "bad"}


def test_workers_tell_what_became_of_everything(tmp_path, capsys):
    tasks = [("audio", 1), ("table", 2)]
    assert report(outcomes(tasks, SEEDS[:3], 1, tmp_path))
    assert "all" in capsys.readouterr().out

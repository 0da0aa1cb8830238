"""A report tells exactly which recordings a run did without, and why, and names no folder of the machine."""

from mia_lib.reporting.facts import facts, left_out

LOST = {
    "bad": 2,
    "bad_examples": ["/home/me/speech/s1/a.wav: truncated, the recording is shorter", "s2/b.wav: not audio (no: none)"],
    "passed_over_examples": ["s3/c.m4a: sound in a format that is not read: convert it"],
    "duplicate_examples": ["s4/d.wav of s4 is the recording s4/e.wav of s4"],
    "files_duplicate": 1,
    "files_ending": 1,
}
TOLD = {
    "speech/s1/a.wav": "truncated, the recording is shorter",
    "s2/b.wav": "not audio (no: none)",
    "s3/c.m4a": "sound in a format that is not read: convert it",
    "s4/d.wav of s4 is the recording s4/e.wav of s4": "kept once",
}


def test_every_recording_that_is_not_used_is_named_with_its_reason():
    assert facts({"data": LOST})["Recordings that are not used"] == TOLD


def test_those_beyond_the_listed_ones_are_counted():
    assert left_out(LOST | {"bad": 52}) == TOLD | {"and 50 more": "counted above"}


def test_where_nothing_was_lost_nothing_is_said():
    assert "Recordings that are not used" not in facts({"data": {"bad": 0, "bad_examples": []}})

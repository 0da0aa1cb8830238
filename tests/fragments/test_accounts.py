"""Everything that was there is accounted for, and the sum is right."""

import os
from collections import Counter

import numpy as np
import pytest
from corpora.trees import folder_tree, tone, write

from mia_lib.corpora import open_corpus
from mia_lib.fragments.accounts import fates_by_ending
from mia_lib.fragments.cutting import make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

WHOLE = Settings(fragment_seconds=2.0, fragment_hop_seconds=2.0)


def fragments_of(tree, settings=WHOLE, **options):
    return make_fragments(open_corpus(f"folder:{tree}"), Cache(tree.parent / "cache"), settings, 0, **options)


def untidy(root):
    """A folder with something of each kind; returns it and what should become of its 53 entries."""
    tree = folder_tree(root / "speech", speakers=9)
    here = tree / "speaker 0"
    for name in ("a.m4a", "b.M4A", "c.wma"):
        (here / name).write_bytes(b"sound")
    write(tree / "lost.wav", tone(hertz=700))
    (tree / "read me.txt").write_text("about")
    (here / "notes.txt").write_text("about")
    (here / "._0.wav").write_bytes(b"of the Finder")
    (here / "bad.flac").write_text("not sound")
    write(here / "short.wav", tone(0.4))
    (here / "copy.wav").write_bytes((here / "0.wav").read_bytes())
    (here / "loop").symlink_to("..")
    (tree / "speaker 8" / "3.wav").unlink()
    paused = np.concatenate([np.zeros(64_000, np.float32), tone(1.0, 900)])
    write(tree / "speaker 1" / "silent.wav", paused)
    phases = np.stack([tone(3.0, 444), -tone(3.0, 444)], axis=1)
    write(tree / "speaker 1" / "phases.wav", phases)
    return tree, {
        **dict(used=32, few=3, ending=3, root=1, other=2, hidden=1, linked=1, bad=2, short=1, silent=1, duplicate=1),
    }


def test_every_file_has_one_fate_and_the_sum_is_what_was_found(tmp_path):
    tree, expected = untidy(tmp_path)
    report = fragments_of(tree, max_bad=0.5).report
    assert {fate: report[f"files_{fate}"] for fate in expected} == expected
    assert report["found"] == sum(expected.values()) == sum(row["files"] for row in report["accounts"])
    there = sum(len(files) for _, _, files in os.walk(tree)) + 1  # and the link
    assert report["found"] == there
    endings = Counter()
    for row in report["accounts"]:
        endings[row["ending"], row["fate"]] += row["files"]
    assert endings[".m4a", "ending"] == 2 and endings[".wma", "ending"] == 1
    assert fates_by_ending(report)[".flac"] == {"cannot be used": 1}
    assert [row["fate"] for row in report["accounts"] if row["speaker"] == "speaker 8"] == ["few"]
    assert "phases.wav" in " ".join(report["bad_examples"])


def test_what_was_not_drawn_is_counted(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=9, each=5)
    report = fragments_of(tree, Settings(fragment_seconds=2.0, max_speakers=8, max_utterances=4)).report
    assert (report["found"], report["files_used"], report["files_not_drawn"]) == (45, 32, 13)


def test_a_silent_fragment_is_left_out_and_the_others_keep_their_places(tmp_path):
    tree = folder_tree(tmp_path / "speech")
    samples = np.concatenate([tone(2.0, 500), np.zeros(32_000, np.float32), tone(2.0, 600)])
    write(tree / "speaker 0" / "pause.wav", samples)
    fragments = fragments_of(tree)
    mine = fragments.manifest["utterance"] == "speaker 0/pause.wav"
    assert list(fragments.manifest["start"][mine]) == [0, 4] and fragments.report["silent_fragments"] == 1
    assert np.abs(fragments.audio).max(1).min() > 1


def test_endings_that_are_not_read_count_as_lost_and_the_way_out_is_said(tmp_path):
    tree = folder_tree(tmp_path / "speech", speakers=9)
    for i in range(4):
        (tree / "speaker 0" / f"{i}.wav").rename(tree / "speaker 0" / f"{i}.m4a")
    with pytest.raises(MiaError, match=r"4 of 36 recordings .*--max-bad.* 4 of \.m4a .*ffmpeg"):
        fragments_of(tree)
    report = fragments_of(tree, max_bad=0.2).report
    assert report["speakers"] == 8 and report["files_ending"] == 4
    assert any("0.m4a: sound in a format" in example for example in report["passed_over_examples"])


def test_losses_before_and_after_decoding_are_one_sum(tmp_path):
    tree = folder_tree(tmp_path / "speech", each=5)
    (tree / "speaker 0" / "x.m4a").write_bytes(b"sound")
    (tree / "speaker 0" / "x.wav").write_bytes(b"")
    with pytest.raises(MiaError, match=r"1 of 41 .*beside 1 of 42 that were passed over"):
        fragments_of(tree, max_bad=0.04)
    assert fragments_of(tree, max_bad=2 / 42).report["bad"] == 1


def test_only_endings_that_are_not_read_are_named_with_their_number(tmp_path):
    (tmp_path / "speech" / "one").mkdir(parents=True)
    (tmp_path / "speech" / "one" / "a.m4a").write_bytes(b"sound")
    with pytest.raises(MiaError, match=r"no audio .*1 of \.m4a .*ffmpeg"):
        fragments_of(tmp_path / "speech")

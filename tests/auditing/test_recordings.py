"""Evidence from recordings: which side each is on, what is lost, what the model's outputs mean, and who may not be where."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.signal import resample_poly
from voices import bands, folder, voice, write

from mia_lib.auditing.blind import STATISTICS
from mia_lib.auditing.recordings import evidence_of_recordings
from mia_lib.auditing.report import judge
from mia_lib.support.errors import MiaError, UsageError

EIGHT = [f"s{i}" for i in range(8)]


def softmax(waves):
    z = np.exp(bands(waves) - bands(waves).max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def sides(root, others=range(3)):
    return folder(root / "in"), folder(root / "out", others, range(3, 6))


def heard(members, others=None, model=bands, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evidence_of_recordings(model, members, others, **({"seconds": 0.5} | options))


def test_two_folders_become_rows_of_fragments(tmp_path):
    evidence = heard(*sides(tmp_path), classes=EIGHT)
    assert evidence.answers.shape == (36, 8) and evidence.kind == "logits" and evidence.found == 18
    assert (evidence.member[:18] == 1).all() and (evidence.member[18:] == 0).all()
    assert (evidence.label == [int(name[1:]) for name in evidence.speaker]).all()
    assert len(set(evidence.recording)) == 18 and set(np.unique(evidence.recording, return_counts=True)[1]) == {2}
    assert evidence.blind.shape == (36, len(STATISTICS)) and np.isfinite(evidence.blind).all()
    wave = np.round(voice(0, 0)[:8000] * 32768).clip(-32768, 32767) / 32768
    np.testing.assert_allclose(evidence.answers[0], bands(wave[None])[0], atol=0.01)


def test_one_table_says_the_same_as_two_folders(tmp_path):
    inside, outside = sides(tmp_path)
    rows = [
        (path, path.parent.name, side)
        for side, root in ((1, inside), (0, outside))
        for path in sorted(root.rglob("*.wav"))
    ]
    table = pd.DataFrame(rows, columns=["path", "speaker", "member"])
    relative = table.assign(path=[path.relative_to(tmp_path) for path in table["path"]])
    relative.to_csv(tmp_path / "list.csv", index=False, sep=";")
    folders, listed, frame = heard(inside, outside), heard(tmp_path / "list.csv"), heard(table)
    for one in (listed, frame):
        np.testing.assert_array_equal(one.answers, folders.answers)
        assert (one.member == folders.member).all() and (one.speaker == folders.speaker).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,speaker\na.wav,s0\n", r"needs the columns path, speaker, member, and has no member"),
        ("speaker,member\ns0,1\n", r"has no path"),
        ("path,member\na.wav,1\n", r"needs a column 'speaker'"),
        ("path,speaker,member\na.wav,s0,maybe\n", r"member of a\.wav must be 1 or 0, not 'maybe'"),
        ("path,speaker,member\na.wav,,1\n", r"recording 1 has no speaker"),
        ("path,speaker,member\n", r"lists no recording|needs"),
        ("path,speaker,member\na.wav,s0,1\n./a.wav,s0,0\n", r"lists \./a\.wav twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, text, says):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(MiaError, match=rf"list\.csv.*({says})"):
        heard(tmp_path / "list.csv")


def test_a_table_beside_a_folder_is_refused_and_so_is_one_side_alone(tmp_path):
    inside, outside = sides(tmp_path)
    (tmp_path / "list.csv").write_text("path,speaker,member\n")
    with pytest.raises(UsageError, match="leave --non-members out"):
        heard(tmp_path / "list.csv", outside)
    with pytest.raises(UsageError, match="say --non-members too"):
        heard(inside)


@pytest.mark.parametrize("rate", [16_000, 48_000], ids=["the same samples", "the same sound at another rate"])
def test_a_recording_on_both_sides_is_an_error_that_names_both_files(tmp_path, rate):
    inside, outside = sides(tmp_path)
    samples = resample_poly(voice(1, 2), rate // 16_000, 1) if rate > 16_000 else voice(1, 2)
    write(outside / "s1" / "again.wav", samples, rate)
    with pytest.raises(
        MiaError, match=r"on both sides, as the member .*in/s1/2\.wav and the non-member .*out/s1/again\.wav"
    ):
        heard(inside, outside)


def test_a_copy_on_one_side_is_left_out_and_listed(tmp_path):
    inside, outside = sides(tmp_path)
    write(inside / "s1" / "again.wav", voice(1, 2))
    evidence = heard(inside, outside)
    [(path, reason)] = evidence.lost.itertuples(index=False)
    assert path.endswith("in/s1/again.wav") and reason.endswith("in/s1/2.wav") and "a copy of" in reason
    assert len(set(evidence.recording)) == 18 and evidence.found == 19


def test_a_recording_under_two_speakers_is_refused(tmp_path):
    inside, outside = sides(tmp_path)
    write(inside / "s2" / "again.wav", voice(1, 2))
    with pytest.raises(MiaError, match=r"under two speakers, as .*s1/2\.wav of s1 and .*s2/again\.wav of s2"):
        heard(inside, outside)


def test_a_speaker_on_both_sides_is_refused_under_the_protocol_speaker(tmp_path):
    with pytest.raises(
        MiaError, match=r"under the protocol 'speaker' nobody may be on both sides, and 's0' and 2 others"
    ):
        heard(*sides(tmp_path), protocol="speaker")


@pytest.mark.parametrize(("others", "protocol"), [(range(3), "utterance"), (range(3, 6), "speaker")])
def test_the_protocol_is_read_off_the_speakers(tmp_path, others, protocol):
    assert heard(*sides(tmp_path, others)).protocol == protocol


def test_what_cannot_be_read_is_listed_and_counted_against_max_bad(tmp_path):
    inside, outside = sides(tmp_path)
    (inside / "s0" / "broken.wav").write_bytes(b"RIFF")
    (inside / "s0" / "phone.m4a").write_bytes(b"x")
    write(inside / "s0" / "short.wav", voice(0, 9, 0.2))
    write(inside / "s0" / "silent.wav", np.zeros(8000))
    with pytest.raises(
        MiaError, match=r"3 of 22 recordings cannot be used, more than the 10%.*the first is .*broken\.wav"
    ):
        heard(inside, outside, max_bad=0.1)
    evidence = heard(inside, outside, max_bad=0.2)
    reasons = {path.rpartition("/")[2]: reason for path, reason in evidence.lost.itertuples(index=False)}
    assert evidence.found == 22 and set(reasons) == {"broken.wav", "phone.m4a", "short.wav", "silent.wav"}
    assert "0.2 s" in reasons["short.wav"] and "silence" in reasons["silent.wav"] and "ffmpeg" in reasons["phone.m4a"]


def test_a_side_without_a_usable_recording_is_said(tmp_path):
    inside, outside = folder(tmp_path / "in"), folder(tmp_path / "out", numbers=range(3, 5), seconds=0.2)
    with pytest.raises(MiaError, match=r"no non-member is left that can be used: it lasts 0\.2 s"):
        heard(inside, outside)


def test_classes_are_read_from_names_or_a_table(tmp_path):
    inside, outside = sides(tmp_path, [0, 7])
    (tmp_path / "names.txt").write_text("\n".join(reversed(EIGHT)) + "\n", encoding="utf-8-sig")
    (tmp_path / "some.csv").write_text("speaker;index\ns0;7\ns1;6\ns2;5\n")
    names, some = (
        heard(inside, outside, classes=tmp_path / "names.txt"),
        heard(inside, outside, classes=tmp_path / "some.csv"),
    )
    assert (names.label == [7 - int(name[1:]) for name in names.speaker]).all()
    assert (some.label == [{"s0": 7, "s1": 6, "s2": 5}.get(name, -1) for name in some.speaker]).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s0\ns1\ns2\n", r"gives 8 numbers for a recording, and .*classes\.txt names 3 classes"),
        ("\n".join([*EIGHT[:2], *"abcdef"]), r"classes\.txt: names no class for 's2', of whom there are members"),
        ("s0\ns1\ns1\n", r"classes\.txt: 's1' is there twice"),
        ("s0\n\ns1\n", r"classes\.txt: class 1 has no name"),
        ("index,speaker\n0,s0\n0,s1\n", r"classes\.txt: class 0 is both 's0' and 's1'"),
        ("index,speaker\none,s0\n", r"classes\.txt: an index must be a whole number from 0 on, not 'one'"),
        ("index,speaker\n0,s0\n1,s1\n99,s2\n", r"gives 8 numbers"),
        ("", r"classes\.txt: names no class"),
    ],
)
def test_classes_that_do_not_fit_are_one_sentence(tmp_path, text, says):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(MiaError, match=says):
        heard(*sides(tmp_path), classes=tmp_path / "classes.txt")


@pytest.mark.parametrize(
    ("model", "classes", "kind"),
    [
        (softmax, EIGHT, "posteriors"),
        (bands, EIGHT, "logits"),
        (bands, None, "embeddings"),
        (lambda waves: bands(waves) / np.linalg.norm(bands(waves), axis=1, keepdims=True), None, "embeddings"),
    ],
    ids=["posteriors", "logits", "embeddings", "of length one"],
)
def test_what_a_model_gives_is_guessed_and_said_in_one_line(tmp_path, model, classes, kind):
    with pytest.warns(UserWarning, match=f"taken for {kind}, since .*: --gives says otherwise"):
        evidence = evidence_of_recordings(model, *sides(tmp_path), classes=classes, seconds=0.5)
    assert evidence.kind == kind and (kind != "embeddings" or (evidence.label == -1).all())


def test_a_pipe_in_the_place_of_the_names_of_classes_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "classes.txt")
    with pytest.raises(MiaError, match=r"classes\.txt: is no file"):
        heard(tmp_path, tmp_path, classes=tmp_path / "classes.txt")


def test_what_a_model_gives_can_be_said_and_is_checked(tmp_path):
    inside, outside = sides(tmp_path)
    assert heard(inside, outside, gives="logits", model=softmax).kind == "logits"
    with pytest.raises(UsageError, match="--gives posteriors"):
        heard(inside, outside, gives="posteriors")


def test_a_model_with_classes_is_asked_about_altered_versions_for_attacks_on_labels(tmp_path):
    inside, outside = sides(tmp_path)
    evidence = heard(inside, outside, classes=EIGHT, copies=3)
    assert evidence.copies.shape == (3, *evidence.answers.shape)
    np.testing.assert_allclose(evidence.copies[2], evidence.answers - np.log(4), atol=0.05)  # the third is half as loud
    assert judge(evidence, draws=20, attacks=["label_only"]).about["attacks"].keys() == {"label_only"}
    assert heard(inside, outside, classes=EIGHT, copies=0).copies is None
    assert heard(inside, outside, gives="embeddings").copies is None
    with pytest.raises(UsageError, match="--copies must be from 0 to 12, not 13"):
        heard(inside, outside, copies=13)


def test_recordings_that_nobody_trained_on_become_the_population(tmp_path):
    inside, outside = sides(tmp_path)
    known = folder(tmp_path / "known", range(8), range(6, 8))
    evidence = heard(inside, outside, classes=EIGHT, population=known, copies=0)
    assert evidence.population.sum() == (evidence.member == -1).sum() == 8 * 2 * 2
    assert "quantile" in judge(evidence, draws=20, attacks=["quantile", "loss"]).about["attacks"]
    write(known / "s1" / "again.wav", voice(1, 2))
    with pytest.raises(
        MiaError, match=r"as the member .*in/s1/2\.wav and one of the population, .*known/s1/again\.wav"
    ):
        heard(inside, outside, classes=EIGHT, population=known)


def test_an_unexposed_model_answers_the_same_rows(tmp_path):
    inside, outside = sides(tmp_path)
    evidence = heard(inside, outside, control_model=lambda waves: -bands(waves))
    np.testing.assert_array_equal(evidence.control, -evidence.answers)

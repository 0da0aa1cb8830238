"""Stages are computed once, verified when read, and never half written."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mia_lib.support.cache import LEFT_OVER, LOCKS, Cache, content
from mia_lib.support.errors import MiaError


def builder(text="result", calls=None):
    def build(folder, scratch):
        if calls is not None:
            calls.append(text)
        (folder / "value.txt").write_text(text)

    return build


def test_a_finished_stage_is_read_not_computed(tmp_path):
    calls = []
    for _ in range(2):
        folder = Cache(tmp_path).stage("s", {"a": 1}, builder(calls=calls))
    assert calls == ["result"] and (folder / "value.txt").read_text() == "result"


def test_other_parameters_and_other_makers_are_other_stages(tmp_path):
    looked_up = type("LiRA", (), {"__module__": "mia_lib.attacks.lira"})
    cache = Cache(tmp_path)
    folders = [cache.stage("s", {"a": a}, builder(), uses) for a in (1, 2) for uses in ((), [looked_up])]
    assert len(set(folders)) == 4


def test_a_stage_is_found_once_it_is_finished_and_while_it_is_intact(tmp_path):
    cache = Cache(tmp_path)
    assert cache.find("s", {}, [builder]) is None
    folder = cache.stage("s", {}, builder())
    assert Cache(tmp_path).find("s", {}, [builder]) == folder
    (folder / "value.txt").write_text("rotten")
    assert Cache(tmp_path).find("s", {}, [builder]) is None


def test_content_is_that_of_the_files_whatever_made_them(tmp_path):
    def two(folder, scratch):
        builder()(folder, scratch)
        (folder / "time.txt").write_text("now")

    cache = Cache(tmp_path)
    one, same, more = (cache.stage("s", {"n": n}, build) for n, build in enumerate((builder(), builder(), two)))
    assert content(one) == content(same) != content(more)
    assert content(one) == content(more, "value.txt") != content(more, "time.txt")


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_a_damaged_stage_is_computed_again_with_a_warning(tmp_path, damage):
    folder = Cache(tmp_path).stage("s", {}, builder())
    if damage == "change":
        (folder / "value.txt").write_text("rotten")
    elif damage == "remove":
        (folder / "value.txt").unlink()
    else:
        (folder / "manifest.json").write_text(json.dumps([]))
    with pytest.warns(UserWarning, match="damaged"):
        again = Cache(tmp_path).stage("s", {}, builder("fresh"))
    assert (again / "value.txt").read_text() == "fresh"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_stage_that_cannot_be_read_now_is_named_and_kept(tmp_path, monkeypatch, number):
    Cache(tmp_path).stage("s", {}, builder())

    def refused(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("mia_lib.support.cache.file_digest", refused)
    with pytest.raises(MiaError, match=rf"cannot read stage s-.*{os.strerror(number)}.*value\.txt"):
        Cache(tmp_path).stage("s", {}, builder("fresh"))
    with pytest.raises(MiaError, match="cannot read"):
        Cache(tmp_path).find("s", {}, [builder])
    monkeypatch.undo()
    assert (Cache(tmp_path).stage("s", {}, builder("fresh")) / "value.txt").read_text() == "result"


def test_an_interrupted_stage_leaves_its_scratch_and_nothing_that_looks_finished(tmp_path):
    def interrupted(folder, scratch):
        (folder / "half.txt").write_text("half")
        (scratch / "checkpoint").write_text("progress")
        raise KeyboardInterrupt

    def resumed(folder, scratch):
        (folder / "value.txt").write_text((scratch / "checkpoint").read_text())

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path).stage("s", {}, interrupted)
    assert not list(tmp_path.rglob("half.txt"))
    folder = Cache(tmp_path).stage("s", {}, resumed)
    assert (folder / "value.txt").read_text() == "progress"
    assert {p.name for p in tmp_path.iterdir()} == {folder.name, LOCKS}


def make_slow(cache, name):
    script = [sys.executable, str(Path(__file__).with_name("stage_maker.py")), str(cache), name]
    return subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(found, seconds=30):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_of_two_processes_that_want_a_stage_one_makes_it_and_the_other_waits(tmp_path):
    first = make_slow(tmp_path, "first")
    wait_for(lambda: list(tmp_path.glob("*.partial/scratch/checkpoint")))
    second = make_slow(tmp_path, "second")
    answers = [process.communicate(timeout=60) for process in (first, second)]
    assert answers == [("first False\n", ""), ("first True\n", "")]
    assert not list(tmp_path.glob("*.partial"))


def test_a_killed_maker_holds_nobody_up(tmp_path):
    first = make_slow(tmp_path, "first")
    wait_for(lambda: list(tmp_path.glob("*.partial/scratch/checkpoint")))
    first.kill()
    first.communicate()
    assert make_slow(tmp_path, "second").communicate(timeout=60) == ("second False\n", "")


def aged(folder, *newer):
    for path in (folder, *folder.rglob("*")):
        if path not in newer:
            os.utime(path, (time.time() - 2 * LEFT_OVER,) * 2)


def left_over(root):
    folder = root / "s-0123.partial"
    (folder / "scratch").mkdir(parents=True)
    (folder / "scratch/checkpoint").write_text("progress")
    aged(folder)
    return folder


def test_what_was_left_behind_is_removed_after_a_day(tmp_path):
    folder = left_over(tmp_path)
    Cache(tmp_path)
    assert not folder.exists()


def test_what_is_left_beside_a_stage_that_is_there_is_removed_at_once(tmp_path):
    stage = Cache(tmp_path).stage("s", {}, lambda folder, scratch: None)
    begun = tmp_path / f"{stage.name}.partial"  # its maker was killed before it had cleared up
    (begun / "scratch").mkdir(parents=True)
    (begun / "scratch/checkpoint").write_text("progress")
    Cache(tmp_path)
    assert not begun.exists() and stage.exists()


def test_what_others_left_behind_is_theirs(tmp_path, monkeypatch):
    folder = left_over(tmp_path)
    monkeypatch.setattr("mia_lib.support.leftovers.os.getuid", lambda: folder.stat().st_uid + 1)
    Cache(tmp_path)
    assert folder.exists()


def test_a_failure_outside_the_cache_names_its_own_path(tmp_path):
    def full(folder, scratch):
        raise OSError(28, "No space left on device", "/elsewhere/file")

    with pytest.raises(MiaError, match=r"stage s-.* cannot be made: No space left on device: /elsewhere/file$"):
        Cache(tmp_path / "cache").stage("s", {}, full)


def test_a_stage_that_takes_longer_than_a_day_is_not_removed_while_somebody_makes_it(tmp_path):
    folder = left_over(tmp_path)
    (tmp_path / LOCKS).mkdir()
    with FileLock(tmp_path / LOCKS / "s-0123.lock"):
        Cache(tmp_path)
        assert folder.exists()


def test_a_stage_that_takes_longer_than_a_day_keeps_its_checkpoint_when_it_is_interrupted(tmp_path):
    folder = left_over(tmp_path)
    os.utime(folder / "scratch/checkpoint")
    Cache(tmp_path)
    assert (folder / "scratch/checkpoint").read_text() == "progress"


def test_a_failed_rename_is_not_taken_for_success(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr("mia_lib.support.cache.os.rename", refused)
    cache = Cache(tmp_path)
    with pytest.raises(MiaError, match=r"cannot write stage s-.*not empty"):
        cache.stage("s", {}, builder())
    assert cache.find("s", {}, [builder]) is None and cache.timings == []
    monkeypatch.undo()
    assert (cache.stage("s", {}, builder()) / "value.txt").read_text() == "result"


def test_a_full_disk_is_one_sentence(tmp_path):
    def full(folder, scratch):
        raise OSError(28, "No space left on device")

    with pytest.raises(MiaError, match=r"cannot write stage s-.*No space left"):
        Cache(tmp_path).stage("s", {}, full)


@pytest.mark.parametrize("work", ["stage", "working"])
def test_a_full_disk_that_safetensors_tells_of_is_one_sentence(tmp_path, work):
    def full(*_):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    cache = Cache(tmp_path)
    with pytest.raises(MiaError, match=r"^cannot write stage s-\w+ under .*: \[Errno 28\] No space left on device$"):
        if work == "stage":
            cache.stage("s", {}, full)
        else:
            with cache.working("s", {}, [full]):
                full()


def test_a_stages_time_is_its_own_without_that_of_the_stages_it_needs(tmp_path, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("mia_lib.support.cache.time.monotonic", lambda: next(clock))
    cache = Cache(tmp_path)

    def outer(folder, scratch):
        cache.stage("inner", {"part": 1}, builder())
        cache.stage("inner", {"part": 2}, builder())
        builder()(folder, scratch)

    cache.stage("outer", {}, outer)
    cache.stage("after", {}, builder())
    assert [(t["stage"], t["seconds"]) for t in cache.timings] == [
        ("inner", 1),
        ("inner", 1),
        ("outer", 3),
        ("after", 1),
    ]

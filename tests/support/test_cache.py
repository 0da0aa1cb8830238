"""Stages are computed once, verified when read, and never half written."""

import json
import sys

import pytest

from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError

CODE = ["mia_lib.errors"]


def builder(text="result", calls=None):
    def build(folder, scratch):
        if calls is not None:
            calls.append(text)
        (folder / "value.txt").write_text(text)

    return build


def test_a_finished_stage_is_read_not_computed(tmp_path):
    calls = []
    for _ in range(2):
        folder = Cache(tmp_path).stage("s", {"a": 1}, CODE, builder(calls=calls))
    assert calls == ["result"] and (folder / "value.txt").read_text() == "result"


def test_other_parameters_and_other_code_are_other_stages(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "changing_module.py"
    module.write_text("x = 1\n")
    cache = Cache(tmp_path / "cache")
    first = cache.stage("s", {"a": 1}, ["changing_module"], builder())
    assert cache.stage("s", {"a": 2}, ["changing_module"], builder()) != first
    module.write_text("x = 22222\n")
    del sys.modules["changing_module"]
    import linecache

    linecache.clearcache()
    assert cache.stage("s", {"a": 1}, ["changing_module"], builder()) != first


@pytest.mark.parametrize("damage", ["change", "remove", "manifest"])
def test_a_damaged_stage_is_computed_again_with_a_warning(tmp_path, damage):
    folder = Cache(tmp_path).stage("s", {}, CODE, builder())
    if damage == "change":
        (folder / "value.txt").write_text("rotten")
    elif damage == "remove":
        (folder / "value.txt").unlink()
    else:
        (folder / "manifest.json").write_text(json.dumps([]))
    with pytest.warns(UserWarning, match="damaged"):
        again = Cache(tmp_path).stage("s", {}, CODE, builder("fresh"))
    assert (again / "value.txt").read_text() == "fresh"


def test_an_interrupted_stage_leaves_its_scratch_and_nothing_that_looks_finished(tmp_path):
    def interrupted(folder, scratch):
        (folder / "half.txt").write_text("half")
        (scratch / "checkpoint").write_text("progress")
        raise KeyboardInterrupt

    def resumed(folder, scratch):
        (folder / "value.txt").write_text((scratch / "checkpoint").read_text())

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path).stage("s", {}, CODE, interrupted)
    assert not list(tmp_path.rglob("half.txt"))
    folder = Cache(tmp_path).stage("s", {}, CODE, resumed)
    assert (folder / "value.txt").read_text() == "progress"
    assert [p.name for p in tmp_path.iterdir()] == [folder.name]


def test_the_first_of_two_processes_wins_and_the_other_reads_its_result(tmp_path):
    def while_another_finishes(folder, scratch):
        (folder / "value.txt").write_text("second")
        Cache(tmp_path).stage("s", {}, CODE, builder("first"))

    folder = Cache(tmp_path).stage("s", {}, CODE, while_another_finishes)
    assert (folder / "value.txt").read_text() == "first"


def test_a_full_disk_is_one_sentence(tmp_path):
    def full(folder, scratch):
        raise OSError(28, "No space left on device")

    with pytest.raises(MiaError, match=r"cannot write stage s-.*No space left"):
        Cache(tmp_path).stage("s", {}, CODE, full)


def test_a_stages_time_is_its_own_without_that_of_the_stages_it_needs(tmp_path, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("mia_lib.support.cache.time.monotonic", lambda: next(clock))
    cache = Cache(tmp_path)

    def outer(folder, scratch):
        cache.stage("inner", {"part": 1}, CODE, builder())
        cache.stage("inner", {"part": 2}, CODE, builder())
        builder()(folder, scratch)

    cache.stage("outer", {}, CODE, outer)
    cache.stage("after", {}, CODE, builder())
    assert [(t["stage"], t["seconds"]) for t in cache.timings] == [
        ("inner", 1),
        ("inner", 1),
        ("outer", 3),
        ("after", 1),
    ]

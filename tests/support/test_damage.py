"""Whatever happens to a kept stage is found when it is read, said in one line, and mended."""

import io
import json
import os
import random
import shutil
import stat
import time

import pytest

from mia_lib.support.cache import LOCKS, MANIFEST, Cache, content
from mia_lib.support.console import Console
from mia_lib.support.errors import MiaError

DATA = bytes(range(256)) * 8


def build(folder, scratch):
    (folder / "values.bin").write_bytes(DATA)
    (folder / "other.bin").write_bytes(DATA[::-1])


def flip(path, place=None):
    data = bytearray(path.read_bytes())
    place = random.Random(len(data)).randrange(len(data)) if place is None else place
    data[place] ^= 1
    path.write_bytes(data)


def rewrite(change):
    def spoil(stage):
        about = json.loads((stage / MANIFEST).read_text())
        (stage / MANIFEST).write_text(json.dumps(change(about)))

    return spoil


def in_place(make):
    def spoil(stage):
        (stage / "values.bin").unlink()
        make(stage / "values.bin")

    return spoil


def instead(make):
    def spoil(stage):
        shutil.move(stage, stage.with_name("elsewhere"))
        make(stage)

    return spoil


def swapped(stage):
    other = Cache(stage.parent).stage("s", {"a": 2}, lambda folder, scratch: (folder / "values.bin").write_bytes(b"2"))
    third = stage.with_name("third")
    for source, target in ((stage, third), (other, stage), (third, other)):
        source.rename(target)


DAMAGE = {
    "a flipped bit": lambda stage: flip(stage / "values.bin"),
    "a cut": lambda stage: os.truncate(stage / "values.bin", 100),
    "emptied": lambda stage: os.truncate(stage / "values.bin", 0),
    "appended": lambda stage: (stage / "values.bin").write_bytes(DATA + b"x"),
    "zeros": lambda stage: (stage / "values.bin").write_bytes(bytes(len(DATA))),
    "garbage": lambda stage: (stage / "values.bin").write_bytes(random.Random(0).randbytes(len(DATA))),
    "a missing file": lambda stage: (stage / "values.bin").unlink(),
    "files exchanged": lambda stage: os.replace(stage / "other.bin", stage / "values.bin"),
    "a folder for a file": in_place(lambda path: path.mkdir()),
    "a pipe for a file": in_place(lambda path: os.mkfifo(path)),
    "a link to nowhere for a file": in_place(lambda path: path.symlink_to("nowhere")),
    "a pipe for the manifest": lambda stage: ((stage / MANIFEST).unlink(), os.mkfifo(stage / MANIFEST)),
    "no manifest": lambda stage: (stage / MANIFEST).unlink(),
    "an empty manifest": lambda stage: (stage / MANIFEST).write_text(""),
    "half a manifest": lambda stage: os.truncate(stage / MANIFEST, 60),
    "a flipped bit in the manifest": lambda stage: flip(stage / MANIFEST, 120),
    "a binary manifest": lambda stage: (stage / MANIFEST).write_bytes(b"\xff\x00" * 50),
    "a manifest of another kind": rewrite(lambda about: [about]),
    "a nested manifest": lambda stage: (stage / MANIFEST).write_text("[" * 100_000),
    "an entry gone": rewrite(lambda about: about["files"].pop("values.bin") and about),
    "all entries gone": rewrite(lambda about: about | {"files": {}}),
    "other parameters": rewrite(lambda about: about | {"params": {"a": 9}}),
    "an empty folder": instead(lambda stage: stage.mkdir()),
    "a file for the folder": instead(lambda stage: stage.write_text("")),
    "a link to nowhere for the folder": instead(lambda stage: stage.symlink_to("nowhere")),
    "swapped folders": swapped,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_said_and_mended(tmp_path, kind):
    stage = Cache(tmp_path).stage("s", {"a": 1}, build)
    before = content(stage)
    DAMAGE[kind](stage)
    with pytest.warns(UserWarning, match=rf"^stage {stage.name} was damaged and is computed again$"):
        cache = Cache(tmp_path)
        assert cache.stage("s", {"a": 1}, build) == stage
    assert not cache.timings[0]["cached"] and content(stage) == before and (stage / "values.bin").read_bytes() == DATA
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("place", ["", "scratch", "folder"])
def test_what_is_left_of_an_attempt_and_is_no_folder_is_no_obstacle(tmp_path, place):
    begun = Cache(tmp_path).stage("s", {}, build).with_suffix(".partial")
    shutil.rmtree(begun.with_suffix(""))
    (begun / place).parent.mkdir(exist_ok=True)
    (begun / place).touch()
    assert (Cache(tmp_path).stage("s", {}, build) / "values.bin").read_bytes() == DATA
    assert not begun.exists()


def test_damage_is_one_line_of_the_runner(tmp_path):
    stage = Cache(tmp_path).stage("s", {"a": 1}, build)
    flip(stage / "values.bin")
    stream = io.StringIO()
    with Console(stream).follow():
        Cache(tmp_path).stage("s", {"a": 1}, build)
    assert stream.getvalue().strip() == f"stage {stage.name} was damaged and is computed again"


def test_a_stage_that_was_removed_meanwhile_is_made_again(tmp_path):
    cache = Cache(tmp_path)
    for gone in (cache.stage("s", {}, build), tmp_path):
        shutil.rmtree(gone)
        assert cache.find("s", {}, [build]) is None
        assert (cache.stage("s", {}, build) / "values.bin").read_bytes() == DATA


def test_all_files_of_a_stage_can_be_read_by_whom_its_manifest_can(tmp_path):
    def private(folder, scratch):
        build(folder, scratch)
        (folder / "values.bin").chmod(0o600)

    stage = Cache(tmp_path).stage("s", {}, private)
    assert len({stat.S_IMODE(path.stat().st_mode) for path in stage.iterdir()}) == 1


def test_who_rests_on_a_stage_is_noted_before_it_is_made_or_read(tmp_path):
    journal = tmp_path / "uses.txt"

    def noted(folder, scratch):
        assert journal.read_text().startswith("s-")
        build(folder, scratch)

    for _ in range(2):
        cache = Cache(tmp_path / "cache")
        cache.journal = journal
        for _ in range(2):
            stage = cache.stage("s", {}, noted)
    assert journal.read_text().split() == [stage.name] * 2


@pytest.fixture
def stage(tmp_path):
    return Cache(tmp_path).stage("s", {}, build)


def test_what_nobody_needs_goes_whole(tmp_path, stage):
    (tmp_path / f"{stage.name}.partial/scratch").mkdir(parents=True)
    assert Cache(tmp_path).discard(stage.name, time.time() + 9)
    assert [path.name for path in tmp_path.iterdir()] == [LOCKS]


def test_what_was_used_since_stays(tmp_path, stage):
    os.utime(stage / MANIFEST, (0, 0))
    then = time.time() - 1
    assert Cache(tmp_path).find("s", {}, [build]) == stage
    assert not Cache(tmp_path).discard(stage.name, then) and stage.exists()


def test_what_is_being_made_stays(tmp_path, stage):
    cache = Cache(tmp_path)
    with cache._locked(stage.name):
        assert not Cache(tmp_path).discard(stage.name, time.time() + 9) and stage.exists()


def test_a_cache_that_can_only_be_read_is_enough(tmp_path, stage, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    for name in ("os.utime", "os.rename", "FileLock.__enter__", "Path.mkdir"):
        monkeypatch.setattr(f"mia_lib.support.cache.{name}", refused)
    with pytest.raises(MiaError, match="cannot write"):
        Cache(tmp_path / "missing")
    monkeypatch.setattr("mia_lib.support.cache.Path.mkdir", lambda *_, **__: None)
    cache = Cache(tmp_path)
    cache.journal = tmp_path / "missing/uses.txt"
    assert cache.stage("s", {}, build) == stage and cache.find("s", {}, [build]) == stage

"""A cache that machines share: what one has made another takes, verified; and its faults cost work, never numbers."""

import os
import zipfile

import fsspec
import pytest

from mia_lib.support import shared
from mia_lib.support.cache import Cache, content
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.shared import SharedCache, ready


def build(folder, scratch):
    (folder / "value.txt").write_text("made")
    build.made += 1


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    build.made = 0
    monkeypatch.setattr(shared, "FRESH", -1.0)  # every question lists anew
    shared._at.cache_clear()
    yield
    shared._at.cache_clear()


@pytest.fixture(params=["folder", "memory"])
def address(request, tmp_path, monkeypatch):
    """An address that this process's caches share; what lies there is read by fsspec alone."""
    where = str(tmp_path / "shared") if request.param == "folder" else f"memory://{tmp_path.name}"
    monkeypatch.setenv(shared.VARIABLE, ready(where))
    return where


def stored(address, name=None):
    """The files system and the paths of the archives there."""
    files, root = fsspec.core.url_to_fs(address)
    return files, sorted(files.ls(root, detail=False))


def test_what_one_machine_has_made_another_takes(address, tmp_path):
    one, other = Cache(tmp_path / "one"), Cache(tmp_path / "other")
    made, taken = one.stage("s", {}, build), other.stage("s", {}, build)
    assert build.made == 1 and content(made) == content(taken) and taken.parent == tmp_path / "other"
    assert one.timings[0]["cached"] is False and other.timings[0]["cached"] is True
    assert Cache(tmp_path / "third").find("s", {}, [build]).name == made.name  # also where it is only looked for
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == [".locks", made.name]
    assert (taken / "manifest.json").stat().st_mode == (taken / "value.txt").stat().st_mode


def test_a_stage_that_nobody_has_is_not_found(address, tmp_path):
    assert Cache(tmp_path / "one").find("s", {}, [build]) is None


def test_what_was_damaged_here_comes_from_there(address, tmp_path):
    folder = Cache(tmp_path / "one").stage("s", {}, build)
    (folder / "value.txt").write_text("rotten")
    with pytest.warns(UserWarning, match="damaged"):
        again = Cache(tmp_path / "one").stage("s", {}, build)
    assert (again / "value.txt").read_text() == "made" and build.made == 1


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped", "other", "outside", "packed", "empty"])
def test_what_is_damaged_there_is_made_here_and_put_right(address, tmp_path, damage):
    Cache(tmp_path / "one").stage("s", {}, build)
    files, (place,) = stored(address)
    whole = files.cat_file(place)
    if damage in ("other", "outside", "packed"):
        way = zipfile.ZIP_DEFLATED if damage == "packed" else zipfile.ZIP_STORED
        with files.open(place, "wb") as file, zipfile.ZipFile(file, "w", way) as archive:
            archive.writestr("../value.txt" if damage == "outside" else "value.txt", "made" * 100)
            archive.writestr("manifest.json", "{}")
    else:
        ways = {"cut": whole[: len(whole) // 2], "garbage": b"no archive", "empty": b""}
        files.pipe_file(place, ways.get(damage, whole.replace(b"made", b"mode")))
    folder = Cache(tmp_path / "other").stage("s", {}, build)
    assert (folder / "value.txt").read_text() == "made" and build.made == 2
    assert not (tmp_path / "value.txt").exists() and not (tmp_path / "other" / "value.txt").exists()
    assert Cache(tmp_path / "third").find("s", {}, [build])  # the whole one has taken its place


def test_a_shared_cache_that_is_lost_is_told_once_and_done_without(address, tmp_path, monkeypatch):
    cache = Cache(tmp_path / "one")

    def lost(*args, **options):
        raise OSError(5, "Input/output error", "/mnt/elsewhere")

    files = cache._shared.files
    monkeypatch.setattr(files, "open", lost)
    monkeypatch.setattr(files, "ls", lost)
    with pytest.warns(UserWarning, match="cannot be used any more, the work goes on without it: Input/output") as told:
        for number in range(3):
            cache.stage("s", {"number": number}, build)
            cache.find("other", {"number": number}, [build])
    assert build.made == 3 and len(told) == 1


def test_an_address_of_no_known_kind_is_refused():
    with pytest.raises(UsageError, match=r"--cache nowhere://x: Protocol not known: nowhere"):
        ready("nowhere://x")


def test_an_address_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MiaError, match=r"cannot use the shared cache .*/file"):
        ready(str(tmp_path / "file"))
    if hasattr(os, "getuid") and os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(MiaError, match="Permission denied"):
            ready(str(tmp_path / "closed"))


def test_a_folder_means_the_same_from_every_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ready("mine") == str(tmp_path / "mine") and (tmp_path / "mine").is_dir()
    assert ready("memory://x") == "memory://x" and not list((tmp_path / "mine").iterdir())


def test_nothing_is_shared_unless_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv(shared.VARIABLE, raising=False)
    assert Cache(tmp_path)._shared is None


def test_an_archive_is_listed_under_its_stage(tmp_path, address):
    folder = Cache(tmp_path / "one").stage("s", {}, build)
    there = SharedCache(shared.absolute(address))
    assert there.has(folder.name) and not there.has("s") and len(stored(address)[1]) == 1

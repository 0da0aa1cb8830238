"""Small files are seen whole or not at all."""

import json
import os

import pytest

from mia_lib.support.files import read_json, sealed, unsealed, write_atomically


def test_a_reader_sees_the_old_text_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, seen, replace = tmp_path / "a.json", [], os.replace
    write_atomically(path, "old")

    def watched(source, target):
        seen.append((path.read_text(), source.read_text()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_atomically(path, "new \N{SNOWMAN}")
    assert seen == [("old", "new \N{SNOWMAN}")] and path.read_text(encoding="utf-8") == "new \N{SNOWMAN}"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", [None, "", "{", "\xff"])
def test_what_cannot_be_read_is_the_default(tmp_path, text):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    assert read_json(path, {"x": 1}) == {"x": 1}
    path.write_text(json.dumps([1]))
    assert read_json(path, []) == [1]


@pytest.mark.parametrize("value", [[], None, 3, "word", True])
def test_json_of_another_kind_is_the_default(tmp_path, value):
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "a.json", {"x": 1}) == {"x": 1}


def test_what_is_sealed_is_read_as_it_was_written_or_not_at_all():
    about = {"a": [1, 2.5, None], "b": {"c": "\N{SNOWMAN}"}}
    text = sealed(about)
    assert unsealed(text) == about
    others = [text.replace("2.5", "2.6"), text[:-1], "", "[]", "null", "3", "{}", json.dumps(about), "[" * 100_000]
    for other in others:
        with pytest.raises(ValueError):
            unsealed(other)


def test_a_full_disk_names_the_file_and_leaves_no_half_one(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "a.json", "new")
    assert caught.value.filename == str(tmp_path / "a.json") and list(tmp_path.iterdir()) == []

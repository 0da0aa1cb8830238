"""A working folder that keeps Python from its work is named, with what to do about it."""

import os
import sys
from types import ModuleType

import pytest

from mia_lib import cli
from mia_lib.series import runner
from mia_lib.support.surroundings import in_the_way


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that somebody is in")
def test_a_working_folder_that_is_gone_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(["list"]) == 1
    assert capsys.readouterr().err.startswith("mia_lib: the folder in which this was started is gone")
    os.chdir(tmp_path)


@pytest.mark.parametrize("file", ["soundfile.py", "soundfile/__init__.py"])
def test_a_file_that_is_taken_for_a_package_is_named(tmp_path, monkeypatch, capsys, file):
    def fail(*_, **options):
        raise AttributeError("module 'soundfile' has no attribute 'read'")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run_series", fail)
    assert in_the_way() == ""
    module = ModuleType("soundfile")
    module.__file__ = str(tmp_path / file)
    monkeypatch.setitem(sys.modules, "soundfile", module)
    assert cli.main(["run"]) == 1
    assert f"{tmp_path / file.partition('/')[0]} is taken for the package" in capsys.readouterr().err

"""What others can do without, and takes seconds, is not imported; and is there for whoever wants it afterwards."""

import importlib
import subprocess
import sys

import pytest

from mia_lib.support.imports import without


def test_a_module_is_absent_in_the_block_only(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with without("this"), pytest.raises(ImportError):
        importlib.import_module("this")
    with without("json"):  # which is loaded already
        import json
    assert json.dumps(1) == "1" and "this" not in sys.modules


def test_a_run_does_not_build_what_no_notebook_asks():
    code = "import sys, mia_lib.series.runner; print('rfc3987_syntax' in sys.modules, 'papermill' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["False", "True"]

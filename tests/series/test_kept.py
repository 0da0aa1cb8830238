"""What is kept is known by the runs that rest on it, and pruning takes only what none needs."""

import os
import shutil
import time

import pytest
from filelock import FileLock

from mia_lib import cli
from mia_lib.series import kept
from mia_lib.series.workplace import LOCK, USES, in_progress
from mia_lib.support.cache import MANIFEST, Cache
from mia_lib.support.errors import MiaError

DAY = 86_400


def build(folder, scratch):
    (folder / "value.bin").write_bytes(bytes(1000))


def stage(outputs, name, run=None, notebook="01_a", days=0.0):
    """A stage of so many days on which a notebook of a run rests."""
    cache = Cache(outputs / "cache")
    if run:
        (outputs / run / "parts" / notebook).mkdir(parents=True, exist_ok=True)
        cache.journal = outputs / run / "parts" / notebook / kept.USES
    made = cache.stage(name, {"of": name}, build)
    os.utime(made / MANIFEST, (time.time() - DAY * days - 5,) * 2)
    return made


@pytest.fixture
def outputs(tmp_path):
    stage(tmp_path, "shared", "one")
    stage(tmp_path, "shared", "two")
    stage(tmp_path, "model", "one", "02_b")
    stage(tmp_path, "lonely", days=2)
    (tmp_path / "cache/lost-0123456789abcdef.partial/scratch").mkdir(parents=True)
    return tmp_path


def names(outputs):
    return {path.name.rpartition("-")[0] for path in (outputs / "cache").iterdir() if path.name[0] != "."}


def test_the_table_shows_what_is_kept_by_run_age_and_size(outputs, capsys):
    assert cli.main(["cache", "--outputs", str(outputs)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][1:3] == ["4", "stages,"] and names(outputs) == {"shared", "model", "lonely", "lost"}
    rows = {line[0].rstrip(","): line for line in lines[2:6]}
    assert rows["shared"][-2:] == ["one,", "two"] and rows["model"][-1] == "one" and rows["lost"][-1] == "none"
    assert rows["lonely"][1:] == ["1", "1.2", "kB", "2", "d", "ago", "none"]
    assert ["No", "run", "rests", "on", "1", "stages,", "1.2", "kB:", "--prune", "removes", "them"] in lines


def test_pruning_removes_what_no_run_rests_on(outputs, capsys):
    assert cli.main(["cache", "--prune", "--outputs", str(outputs)]) == 0
    assert names(outputs) == {"shared", "model", "lost"}
    assert capsys.readouterr().out.splitlines()[-1] == "Removed 1 stages, 1.2 kB"
    shutil.rmtree(outputs / "one")
    assert [gone.name.rpartition("-")[0] for gone in kept.prune(outputs)] == ["model"]
    shutil.rmtree(outputs / "two")
    kept.prune(outputs)
    assert names(outputs) == {"lost"} and kept.prune(outputs) == []


def test_while_a_run_is_in_progress_what_was_used_within_a_day_stays(outputs):
    stage(outputs, "recent", days=0.5)
    (outputs / "three").mkdir()
    with FileLock(outputs / "three" / LOCK):
        assert in_progress(outputs / "three") and not in_progress(outputs / "one")
        kept.prune(outputs)
        assert names(outputs) == {"shared", "model", "recent", "lost"}
    kept.prune(outputs)
    assert names(outputs) == {"shared", "model", "lost"}


def test_what_is_asked_for_while_it_is_pruned_stays(outputs, monkeypatch):
    listed = kept.stages

    def asked_for_meanwhile(*given):
        found = listed(*given)
        assert Cache(outputs / "cache").find("lonely", {"of": "lonely"}, [build])
        return found

    monkeypatch.setattr(kept, "stages", asked_for_meanwhile)
    assert kept.prune(outputs) == [] and "lonely" in names(outputs)


def test_what_a_killed_runner_has_made_stays(outputs):
    (outputs / "four").mkdir()
    cache = Cache(outputs / "cache")
    cache.journal = outputs / "four" / kept.USES
    cache.stage("fragments", {}, build)
    kept.prune(outputs)
    assert "fragments" in names(outputs)


def test_what_is_no_stage_is_not_touched(outputs):
    for name in ("holiday", "pictures-2024"):
        (outputs / "cache" / name).mkdir()
    kept.prune(outputs)
    assert {"holiday", "pictures-2024"} <= {path.name for path in (outputs / "cache").iterdir()}
    (outputs / "elsewhere/cache/some-0123456789abcdef").mkdir(parents=True)
    with pytest.raises(MiaError, match="no cache"):
        kept.prune(outputs / "elsewhere")


def test_a_run_that_does_not_say_what_it_rests_on_is_named(outputs):
    (outputs / "old/parts/01_a").mkdir(parents=True)
    assert any(line.startswith("old does not say what it rests on") for line in kept.overview(str(outputs)))


def test_where_there_is_no_cache_nothing_is_made(tmp_path, capsys):
    for options in ([], ["--prune"]):
        assert cli.main(["cache", "--outputs", str(tmp_path / "none"), *options]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(MiaError, match="no cache"):
        kept.prune(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1300, "1.3 kB"), (45e6, "45 MB"), (1.6e9, "1.6 GB")]
)
def test_sizes_are_said_as_people_do(count, words):
    assert kept.size(count) == words


@pytest.mark.parametrize(("seconds", "words"), [(5, "now"), (90, "2 min ago"), (7300, "2 h ago"), (3 * DAY, "3 d ago")])
def test_ages_are_said_in_their_largest_unit(seconds, words):
    assert kept.ago(seconds) == words


def test_what_a_run_of_a_sweep_rests_on_is_kept(outputs, capsys):
    stage(outputs, "swept", "sweep-a/demo-s0")
    assert "swept" not in {gone.kind for gone in kept.prune(outputs)} and "swept" in names(outputs)
    assert cli.main(["cache", "--outputs", str(outputs)]) == 0
    assert "sweep-a/demo-s0" in capsys.readouterr().out


def test_a_pipe_in_the_place_of_a_journal_is_named_and_nothing_is_removed(outputs):
    before, pipe = names(outputs), outputs / "run" / USES
    pipe.parent.mkdir(exist_ok=True)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    with pytest.raises(MiaError, match=r"uses\.txt: is no file, where one should be"):
        list(kept.pruned(str(outputs)))
    assert names(outputs) == before

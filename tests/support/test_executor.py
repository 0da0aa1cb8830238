"""One interface, whoever carries out: results in order, a worker that dies costs its task only, arrays are stored once."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.support import progress, shipping
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.executor import TRIES, VARIABLE, Here, WorkerDied, each
from mia_lib.support.executors import chosen, make_executor
from mia_lib.support.progress import Relay, Stopped, Team, within
from mia_lib.support.shipping import LARGE, Store, packed, unpacked
from mia_lib.support.workers import Workers


@pytest.fixture(scope="module")
def two():
    return Workers(2)


def square(number):
    return number * number


def own_process(_):
    return os.getpid()


def cores_inside(_):
    return torch.get_num_threads(), os.environ.get(VARIABLE)


def die_until(task):
    """Ends its process so many times, then answers."""
    folder, times = task
    tries = len(list(Path(folder).iterdir()))
    if tries < times:
        (Path(folder) / str(tries)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return tries


def refuse(number):
    if number == 1:
        raise MiaError("one is refused")
    return number


def total(task):
    features, start = task
    return float(features.sum()) + start, str(features.dtype), type(features).__name__


def test_results_come_in_the_order_of_the_tasks_from_other_processes(two):
    assert each(two, square, range(5)) == [0, 1, 4, 9, 16]
    assert os.getpid() not in each(two, own_process, range(2))
    assert each(Here(2), square, range(5)) == [0, 1, 4, 9, 16] and each(two, square, []) == []


def test_a_worker_uses_one_core_and_trains_itself_what_its_task_trains(two, monkeypatch):
    monkeypatch.setenv(VARIABLE, "workers:2")
    assert each(two, cores_inside, range(2)) == [(1, None)] * 2


def test_a_worker_that_dies_costs_its_task_which_is_tried_again(two, tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    with pytest.warns(UserWarning, match=r"SIGKILL.*tried again"):
        found = each(two, die_until, [(tmp_path / "a", TRIES - 1), (tmp_path / "b", 0)])
    assert found == [TRIES - 1, 0]
    assert each(two, square, range(3)) == [0, 1, 4]  # it goes on afterwards


@pytest.mark.filterwarnings("ignore:a worker process ended")
def test_after_three_deaths_there_is_one_sentence(two, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(
        WorkerDied, match=r"^a worker process ended unexpectedly, 3 times over the same part: .*SIGKILL"
    ):
        each(two, die_until, [(tmp_path / "a", 99)])
    assert len(list((tmp_path / "a").iterdir())) == TRIES


def test_what_a_task_raises_is_raised_and_no_worker_is_lost(two):
    for executor in (two, Here(2)):
        with pytest.raises(MiaError, match="one is refused"):
            each(executor, refuse, range(3))
    assert each(two, square, range(3)) == [0, 1, 4]


def test_large_arrays_are_written_once_and_arrive_as_they_were(two, monkeypatch):
    saved, save = [], np.save
    monkeypatch.setattr(np, "save", lambda path, array: saved.append(array.shape) or save(path, array))
    tensor = torch.ones(LARGE // 4 + 1)
    array = np.full(LARGE // 2, 2, dtype=np.float16)
    found = each(two, total, [(tensor, 0), (tensor, 1), (array, 0), (torch.ones(3), 0)])
    assert sorted(saved) == sorted([(LARGE // 4 + 1,), (LARGE // 2,)])
    assert found[0] == (LARGE // 4 + 1, "torch.float32", "Tensor") and found[1][0] == LARGE // 4 + 2
    assert found[2][1:] == ("float16", "memmap") and found[3] == (3.0, "torch.float32", "Tensor")


def test_a_part_of_an_array_is_another_array_and_objects_travel_whole():
    kept = {}
    store = Store(lambda array: kept.setdefault(len(kept), array) is None or len(kept) - 1)
    whole = np.arange(LARGE, dtype=np.int64)
    task = (whole, whole[1:], whole, np.array(["x", None] * LARGE, dtype=object)[:4])
    back = unpacked(packed(task, store), kept.__getitem__)
    assert (
        len(kept) == 2 and (back[1] == whole[1:]).all() and back[2] is back[0] and back[3].tolist() == ["x", None] * 2
    )


def test_sixteen_bit_brain_floats_travel_inside(monkeypatch):
    monkeypatch.setattr(shipping, "LARGE", 1)
    store = Store(lambda array: pytest.fail("numpy has no such type"))
    assert unpacked(packed(torch.ones(2, dtype=torch.bfloat16), store), None).tolist() == [1.0, 1.0]


def test_progress_of_a_worker_is_the_teams(tmp_path, monkeypatch):
    monkeypatch.setenv(progress.FILE_VARIABLE, str(tmp_path / "mine.jsonl"))
    path = tmp_path / "worker.jsonl"
    line = '{"label": "train", "state": "running", "done": %d, "total": 9, "note": "n", "seconds": 1}\n'
    team = Team(1)
    with within(team):
        relay = Relay(path)
        relay.pass_on()  # nothing is there yet
        path.write_text(line % 2 + "garbage\n" + (line % 5)[:-9], encoding="utf-8")
        relay.pass_on()
        assert team._counts["train"].done == 2 and team._counts["train"].totals == [9]
        with open(path, "a", encoding="utf-8") as file:
            file.write((line % 5)[-9:])
        relay.pass_on()
        assert team._counts["train"].done == 5
        team.stop()
        with pytest.raises(Stopped):
            relay.pass_on()
        relay.close()


def test_the_environment_names_the_executor(monkeypatch):
    assert isinstance(make_executor(""), Here) and isinstance(make_executor("workers:3"), Workers)
    monkeypatch.setenv(VARIABLE, "workers:3")
    assert chosen() is make_executor("workers:3")
    for name in ("workers", "workers:0", "workers:two", "slurm"):
        with pytest.raises(UsageError, match=f"MIA_EXECUTOR='{name}' names no executor"):
            make_executor(name)

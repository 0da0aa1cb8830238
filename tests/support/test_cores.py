"""Tasks side by side: results in order, one core each, one bar, and an end for all when one fails."""

import json
import threading
import time

import pytest
import torch

from mia_lib.support import limits
from mia_lib.support.cores import side_by_side
from mia_lib.support.progress import FILE_VARIABLE, progress


def test_results_come_in_the_order_of_the_tasks():
    def slowest_first(task):
        time.sleep(0.02 * (4 - task))
        return task**2

    assert side_by_side(slowest_first, range(4), workers=4) == [0, 1, 4, 9]
    assert side_by_side(slowest_first, [], workers=2) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_operations_within_a_task_use_one_core_and_those_after_it_as_many_as_before(workers):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert side_by_side(lambda task: torch.get_num_threads(), range(3), workers=workers) == [1, 1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_tiny_numbers_count_as_zero_on_every_thread():
    torch.set_flush_denormal(True)
    tiny = torch.tensor([1e-39])
    assert side_by_side(lambda task: (tiny * 0.5).item(), range(4), workers=2) == [0.0] * 4


def concurrency(**options):
    """The largest number of tasks that ran at the same time."""
    running, most, lock = [], [], threading.Lock()

    def task(number):
        with lock:
            running.append(number)
            most.append(len(running))
        time.sleep(0.02)
        running.remove(number)

    side_by_side(task, range(6), **options)
    return max(most)


def test_no_more_tasks_at_a_time_than_cores_or_than_is_asked_for(monkeypatch):
    monkeypatch.setattr(limits, "cores", lambda: 3)
    assert concurrency() == 3 and concurrency(most=2) == 2 and concurrency(workers=1) == 1


def test_the_first_error_ends_the_others_and_is_the_one_raised():
    ended = []

    def task(number):
        with progress("work", 10_000) as bar:
            for _ in range(10_000):
                if number == 1:
                    raise ValueError("the second")
                bar.update()
                time.sleep(0.001)
        ended.append(number)

    with pytest.raises(ValueError, match="the second"):
        side_by_side(task, range(8), workers=2)
    assert not ended


def test_an_interrupt_ends_all_tasks(monkeypatch):
    ended, begun = [], threading.Event()

    def task(number):
        begun.set()
        with progress("work", 10_000) as bar:
            for _ in range(10_000):
                bar.update()
                time.sleep(0.001)
        ended.append(number)

    def interrupted(futures, timeout, return_when):
        begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr("mia_lib.support.cores.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        side_by_side(task, range(4), workers=2)
    assert not ended and not [t for t in threading.enumerate() if t.name.startswith("part")]


def test_a_task_that_has_tasks_does_them_itself():
    names = side_by_side(
        lambda _: side_by_side(lambda _: threading.current_thread().name, range(2)), range(2), workers=2
    )
    assert all(one == other for one, other in names)


def test_bars_of_one_label_are_shown_as_one(tmp_path, monkeypatch):
    file = tmp_path / "progress"
    monkeypatch.setenv(FILE_VARIABLE, str(file))

    def task(size):
        with progress("train 5 models", size, "step") as bar:
            for _ in range(size):
                bar.update(note=f"loss {size}")

    side_by_side(task, [10, 20], workers=2)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["state"] for line in lines if line["state"] != "running"] == ["done"]
    assert lines[-1]["done"] == lines[-1]["total"] == 30 and lines[-1]["label"] == "train 5 models"

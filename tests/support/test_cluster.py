"""Ray: two real nodes on one machine; results are the local ones bit for bit, and a node that dies costs its tasks only."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from defenses.noisy_voices import toy

from mia_lib.defenses.base import make_defense
from mia_lib.support.cluster import OnRay
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.executor import TRIES, VARIABLE, WorkerDied, each
from mia_lib.training import parts
from mia_lib.training.parts import train_in_parts

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")


def square(number):
    return number * number


def refuse(number):
    raise MiaError(f"{number} is refused")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path):
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def slowly(task):
    path, seconds = task
    with open(path, "a") as file:
        file.write(f"{ray.get_runtime_context().get_node_id()}\n")
    time.sleep(seconds)
    return square(seconds)


def weights(models):
    return [tensor.numpy().tobytes() for tensor in models.network.state_dict().values()]


def test_results_come_in_the_order_of_the_tasks(nodes):
    executor = OnRay(nodes.address)
    assert executor.count >= 2 and executor.nodes >= 2
    assert each(executor, square, range(5)) == [0, 1, 4, 9, 16]


def test_a_stack_trained_on_nodes_has_the_bits_of_one_trained_here(nodes, monkeypatch):
    monkeypatch.setattr(parts, "PART", 1)
    job = replace(toy(epochs=1), dtype=torch.float32)
    for name in ("none", "distillation:4"):
        alone = weights(train_in_parts(make_defense(name), job, 1))
        monkeypatch.setenv(VARIABLE, f"ray:{nodes.address}")
        assert weights(train_in_parts(make_defense(name), job)) == alone


def test_what_a_task_raises_is_raised(nodes):
    with pytest.raises(MiaError, match="7 is refused"):
        each(OnRay(nodes.address), refuse, [7])


def test_a_worker_that_dies_costs_its_task_which_is_tried_again(nodes, tmp_path):
    assert each(OnRay(nodes.address), die_once, [str(tmp_path / "died")]) == ["done"]
    with pytest.raises(WorkerDied, match=f"ended unexpectedly, {TRIES} times over the same part"):
        each(OnRay(nodes.address), die, [0])


def test_a_node_that_differs_is_refused_by_name(nodes):
    executor = OnRay(nodes.address)
    executor.wanted = executor.wanted | {"torch": "0.1"}
    with pytest.raises(MiaError, match=r"node .* of the Ray cluster differs in torch: .*, here 0\.1"):
        each(executor, square, [1])


def test_a_node_killed_in_the_middle_costs_its_tasks_only(nodes, tmp_path):
    node = nodes.add_node(num_cpus=1)
    place, killed = tmp_path / "log", threading.Event()

    def kill():
        while not place.exists() or node.node_id not in place.read_text():
            time.sleep(0.1)
        nodes.remove_node(node, allow_graceful=False)
        killed.set()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    assert each(OnRay(nodes.address), slowly, [(str(place), 3)] * 6) == [9] * 6
    thread.join(30)
    assert killed.is_set() and place.read_text().count("\n") > 6


def test_without_ray_one_is_told_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"Ray is not installed: `pip install mia-lib\[cluster\]`"):
        OnRay()


def test_where_there_is_no_cluster_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(MiaError, match=r"^cannot join a Ray cluster at 127\.0\.0\.1:1: .*refused"):
        _ = OnRay("127.0.0.1:1").joined

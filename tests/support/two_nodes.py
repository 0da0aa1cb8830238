"""A Ray cluster of two real nodes on this machine."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")  # Ray does not bear a second cluster in one process
def nodes():
    """Two nodes with a processor each, which find the tasks of tests; the first is the one that this process is on."""
    ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    from ray.cluster_utils import Cluster

    before, tests = os.environ.get("PYTHONPATH", ""), Path(__file__).parents[1]
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, (tests, tests / "support", tests / "series")), before])
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    ray.init(made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ["PYTHONPATH"] = before

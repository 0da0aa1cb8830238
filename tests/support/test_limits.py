"""Cores and memory are those of the job, wherever its limit is set."""

import os
import resource
import subprocess
import sys

import psutil
import pytest

from mia_lib.support import limits
from mia_lib.support.parallel import ordered_map

GB = 2**30


class Machine:
    """Files that say in which control group a process is, and what its limits are."""

    def __init__(self, root, kind, own, mounted="/"):
        self.place = root / "with a space"
        options = "rw,memory,cpu,cpuacct" if kind == "cgroup" else "rw,nsdelegate"
        names = "4:memory,cpu,cpuacct" if kind == "cgroup" else "0:"
        place = str(self.place).replace(" ", "\\040")
        (root / "cgroup").write_text(f"7:pids:/elsewhere\n{names}:{own}\n", encoding="utf-8")
        (root / "mountinfo").write_text(
            f"21 1 0:19 / /proc rw - proc proc rw\n31 21 0:29 {mounted} {place} rw shared:5 - {kind} {kind} {options}\n",
            encoding="utf-8",
        )

    def write(self, group, **files):
        folder = self.place / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(f"{text}\n", encoding="utf-8")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a machine of one kind; nothing but its groups limits memory."""

    def make(*args):
        monkeypatch.setattr(limits, "PROC", tmp_path)
        monkeypatch.delenv(limits.CORES_VARIABLE, raising=False)
        monkeypatch.setattr(limits, "_left_of_ulimits", lambda: [])
        monkeypatch.setattr(psutil, "virtual_memory", lambda: type("memory", (), {"available": 500 * GB}))
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
        return Machine(tmp_path, *args)

    return make


def test_a_job_has_what_is_left_of_its_own_limit_and_files_kept_for_readers_can_be_given_up(machine):
    job = machine("cgroup2", "/slurm/job_7/step")
    job.write(
        "slurm/job_7/step", memory__max=8 * GB, memory__current=3 * GB, memory__stat=f"anon 1\ninactive_file {GB}"
    )
    assert limits.memory() == 6 * GB
    both = f"active_file {GB}\ninactive_file {GB}\ntotal_active_file 0"  # files that are read again and again: features
    job.write("slurm/job_7/step", memory__stat=both)
    assert limits.memory() == 7 * GB


@pytest.mark.parametrize("where", ["", "slurm", "slurm/job_7", "slurm/job_7/step"])
def test_the_smallest_limit_of_all_groups_around_counts(machine, where):
    job = machine("cgroup2", "/slurm/job_7/step")
    for group in ("slurm/job_7/step", "slurm/job_7", "slurm"):
        job.write(group, memory__max="max", memory__current=5, cpu__max="max 100000")
    assert (limits.memory(), limits.cores()) == (500 * GB, 64)
    job.write(where, memory__max=4 * GB, memory__current=GB, cpu__max="300000 100000")
    assert (limits.memory(), limits.cores()) == (3 * GB, 3)


def test_the_first_version_of_control_groups_counts_as_well(machine):
    job = machine("cgroup", "/pbs/9")
    job.write("pbs/9", memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=GB, cpu__cfs_quota_us=-1)
    job.write("pbs", memory__limit_in_bytes=2 * GB, memory__usage_in_bytes=GB)
    job.write("pbs", cpu__cfs_quota_us=150000, cpu__cfs_period_us=100000)
    assert (limits.memory(), limits.cores()) == (GB, 1)


@pytest.mark.parametrize("own", ["/docker/abc", "/docker/abc/inner", "/seen/from/elsewhere"])
def test_a_container_sees_its_own_group_as_the_root(machine, own):
    machine("cgroup", own, "/docker/abc").write("", memory__limit_in_bytes=GB, memory__usage_in_bytes=0)
    assert limits.memory() == GB


def test_memory_that_is_spent_is_nothing_not_less(machine):
    machine("cgroup2", "/").write("", memory__max=GB, memory__current=2 * GB)
    assert limits.memory() == 0


@pytest.mark.parametrize("quota", ["50000 100000", "100000 100000", "199999 100000"])
def test_one_core_means_one_worker_which_is_this_process(machine, quota):
    machine("cgroup2", "/").write("", cpu__max=quota)
    assert list(ordered_map(lambda task: (task, os.getpid()), [1, 2])) == [(1, os.getpid()), (2, os.getpid())]


def test_a_process_bound_to_one_core_has_one(machine, monkeypatch):
    machine("cgroup2", "/")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert limits.cores() == 1


def test_where_the_system_tells_nothing_the_machine_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(limits, "PROC", tmp_path)
    assert limits.groups("memory") == [] and 0 < limits.memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_shells_own_limit_counts(kind):
    def limit():
        resource.setrlimit(getattr(resource, kind), (GB, GB))

    code = "from mia_lib.support import limits; print(limits.memory())"
    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limit, capture_output=True, encoding="utf-8")
    assert 0 < int(done.stdout) < GB


def test_torch_starts_no_more_threads_than_there_are_cores(monkeypatch):
    import torch

    from mia_lib.support.device import choose_device

    before = torch.get_num_threads()
    monkeypatch.setattr(limits, "cores", lambda: 1)
    try:
        choose_device("cpu")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_processor_time_counts_processes_that_have_ended():
    before = limits.core_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    assert limits.core_seconds() > before + 0.05

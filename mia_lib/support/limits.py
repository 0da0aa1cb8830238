"""What this process may use of the machine: cores and memory of the job, which batch systems and containers make smaller."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

PROC = Path("/proc/self")
CORES_VARIABLE = "MIA_CORES"
"""Environment variable with the number of cores to use at most."""


def _mounts(proc: Path) -> Iterator[tuple[set[str], str, Path]]:
    """Mounted hierarchies of control groups: their controllers (none: version 2), which group is mounted, and where."""
    for line in (proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = [*after.split(" "), "", ""][:3]
        if kind in ("cgroup", "cgroup2"):
            root, place = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), f) for f in before.split(" ")[3:5])
            yield set(options.split(",")) if kind == "cgroup" else set(), root, Path(place)


def groups(controller: str, proc: Path | None = None) -> list[Path]:
    """Folders of the control groups that this process is in, its own first, then those around it, of either version."""
    proc, found = proc or PROC, []
    try:
        lines = (proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        own = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
        for controllers, root, place in _mounts(proc):
            path = own.get(controller if controllers else "")
            if path is None or (controllers and controller not in controllers):
                continue
            below = os.path.relpath(path, root) if path.startswith(root) else "."  # elsewhere: seen from outside
            folder = place if ".." in below.split("/") else place / below
            found += [one for one in (folder, *folder.parents) if one == place or place in one.parents]
    except (OSError, ValueError, IndexError):
        pass  # not Linux, or /proc is hidden
    return found


def number(path: Path, position: int = 0) -> int | None:
    """One whole number of a control group's file; None where there is no such limit."""
    try:
        word = path.read_text(encoding="utf-8").split()[position]
        return None if word in ("max", "-1") else int(word)
    except (OSError, ValueError, IndexError):
        return None


def _counted(path: Path, name: str) -> int | None:
    """The number beside a name in a file of such lines."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return None


def cores() -> int:
    """Cores that this process may keep busy: those it is bound to, no more than the quota of any group around it, and than
    CORES_VARIABLE says."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(CORES_VARIABLE, "")
    if asked.isdecimal() and int(asked):
        allowed = min(allowed, int(asked))
    for group in groups("cpu"):
        new, old = group / "cpu.max", group / "cpu.cfs_quota_us"
        quota = number(new) or number(old)
        period = number(new, 1) or number(group / "cpu.cfs_period_us")
        if quota and period:
            allowed = min(allowed, quota // period)
    return max(1, allowed)


def core_seconds() -> float:
    """Processor time that this process, and those that it started and saw end, have taken so far."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _room(group: Path) -> int | None:
    """Bytes up to a group's limit; what is kept of files for the next reader, read lately or long ago, can be given up."""
    new = [limit for limit in (number(group / "memory.max"), number(group / "memory.high")) if limit is not None]
    limit = min(new) if new else number(group / "memory.limit_in_bytes")
    used = number(group / "memory.current") or number(group / "memory.usage_in_bytes") or 0
    stat, names = group / "memory.stat", ("inactive_file", "active_file")
    kept = sum(_counted(stat, f"total_{name}") or _counted(stat, name) or 0 for name in names)
    return None if limit is None else limit - max(0, used - kept)


def _left_of_ulimits() -> Iterator[int]:
    """Bytes that `ulimit -v` and `ulimit -d` leave this process."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    used = psutil.Process().memory_info()
    for kind, taken in (("RLIMIT_AS", used.vms), ("RLIMIT_DATA", getattr(used, "data", 0))):
        limit = resource.getrlimit(getattr(resource, kind))[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - taken


def memory() -> int:
    """Bytes that this process can still have: of the machine, of every group around it, and of its own limits."""
    rooms = (_room(group) for group in groups("memory"))
    left = [psutil.virtual_memory().available, *_left_of_ulimits(), *(room for room in rooms if room is not None)]
    return max(0, min(left))


def killed_for_memory() -> int | None:
    """How many processes the kernel has killed so far for want of memory: in this process's group where that is counted,
    else on the machine; None where it does not tell."""
    for group in groups("memory"):
        for name in ("memory.events", "memory.oom_control"):
            if (count := _counted(group / name, "oom_kill")) is not None:
                return count
    return _counted(Path("/proc/vmstat"), "oom_kill")

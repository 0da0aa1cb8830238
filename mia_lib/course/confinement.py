"""Walls around the process of a submission, put up from within before any of its code runs; none can be taken down again.

Landlock (Linux 5.13 or later, ctypes) lets the process read Python and its packages and nothing else, and write nowhere; with
newer kernels it also keeps it from TCP and from sending signals. Seccomp lets it start threads and no process. Limits of the
system cap memory, files and processor time. A hook of Python refuses sockets, other processes and signals everywhere, and
files where Landlock is missing. The hook alone stops accidents and simple tries, not somebody who knows Python's inside: the
grader says which walls stand.
"""

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CREATE, ADD, RESTRICT = 444, 445, 446
READ, READ_FOLDER = 1 << 0 | 1 << 2, 1 << 0 | 1 << 2 | 1 << 3  # execute and read files; and list folders
SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/dev/null",
    "/dev/zero", "/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip
REFUSED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "pty.",
    "signal.pthread_kill", "os.startfile", "os.setxattr", "os.ptrace", "gc.get_objects", "gc.get_ref",
)  # fmt: skip
CHANGING = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.removexattr", "shutil.", "tempfile.", "ctypes.",
)  # fmt: skip


def readable(hidden: Iterable[str], project: Path = PROJECT) -> list[str]:
    """Python, its packages and what they need of the system: folders without those that are hidden, and files.

    project: where this package lies. If that is no folder of installed packages, only what is named below it may be read (an
    environment in `.venv`), since the history of a repository holds all of its files.
    """
    secret = [Path(path).resolve() for path in hidden]
    roots = {
        Path(path).resolve() for path in [*sys.path, sys.prefix, sys.base_prefix, sys.exec_prefix, *SYSTEM] if path
    }
    never = {Path.home(), Path("/"), Path.cwd()}
    if project.name not in ("site-packages", "dist-packages"):
        never.add(project)
    found = []
    for root in roots - never:
        beside = [] if project in root.parents else list(never & {project})
        if root.exists():
            found += [str(path) for path in _without(root, [*secret, *beside])]
    return found


def _without(root: Path, secret: list[Path]) -> Iterator[Path]:
    """A path, or what lies in it beside what is secret."""
    if any(root == path or path in root.parents for path in secret):
        return
    if any(root in path.parents for path in secret):
        for child in sorted(root.iterdir()):
            yield from _without(child.resolve(), secret)
    else:
        yield root


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_version() -> int:
    """Which Landlock the kernel has; 0: none."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return max(0, libc.syscall(CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    except (OSError, AttributeError, TypeError):
        return 0


def landlock(paths: Iterable[str]) -> bool:
    """Let this process and its children read what lies under some paths, and no other file; whether the kernel can do it."""
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    files = (1 << 13) - 1 | (version >= 2) << 13 | (version >= 3) << 14 | (version >= 5) << 15
    rules = _Rules(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    handle = libc.syscall(CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if handle < 0:
        return False
    for path in paths:
        with contextlib.suppress(OSError):
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = _Beneath(READ_FOLDER if os.path.isdir(path) else READ, parent)
            libc.syscall(ADD, handle, 1, ctypes.byref(rule), ctypes.c_uint32(0))
            os.close(parent)
    libc.prctl(38, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))  # no new privileges
    done = libc.syscall(RESTRICT, handle, ctypes.c_uint32(0)) == 0
    os.close(handle)
    return done


CALLS = {"x86_64": (0xC000003E, 56, (57, 58)), "aarch64": (0xC00000B7, 220, ())}
"""For a machine: its name among kernels, the number of `clone`, and those of calls that always make a process."""
CLONE3, THREAD, FOREIGN = 435, 0x10000, 0x40000000


def seccomp() -> bool:
    """Let this process start threads, and no further process (a filter of system calls); whether the kernel can do it."""
    if platform.machine() not in CALLS or sys.platform != "linux":
        return False
    kernel, clone, forks = CALLS[platform.machine()]
    load, equal, above, flag, end = 0x20, 0x15, 0x35, 0x45, 0x06
    refuse, unknown, allow = 0x50001, 0x50026, 0x7FFF0000  # EPERM; ENOSYS, after which `clone3` becomes `clone`; fine
    steps: list[tuple[int, int, int | None, int | None]] = [  # operation, operand, answer if so, answer if not
        (load, 4, None, None), (equal, kernel, None, refuse), (load, 0, None, None), (above, FOREIGN, refuse, None),
        (equal, CLONE3, unknown, None), *((equal, fork, refuse, None) for fork in forks), (equal, clone, None, allow),
        (load, 16, None, None), (flag, THREAD, allow, refuse),
    ]  # fmt: skip
    ends = (refuse, unknown, allow)
    code = b"".join(
        struct.pack(
            "HBBI", operation, *(0 if at is None else len(steps) + ends.index(at) - place - 1 for at in (so, no)), k
        )
        for place, (operation, k, so, no) in enumerate(steps)
    ) + b"".join(struct.pack("HBBI", end, 0, 0, answer) for answer in ends)
    held = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held)))
    libc, none = ctypes.CDLL(None), ctypes.c_ulong(0)
    libc.prctl(38, ctypes.c_ulong(1), none, none, none)  # no new privileges
    return libc.prctl(22, ctypes.c_ulong(2), ctypes.c_ulong(ctypes.addressof(program)), none, none) == 0


def limit(memory: int, seconds: int) -> bool:
    """Cap the memory (bytes) and processor time of this process, and let it write no file; whether the system can do it."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    wanted = {"RLIMIT_AS": memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 128}
    for name, value in wanted.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))
    return True


def hook(files: Iterable[str] | None) -> None:
    """Refuse sockets, other processes and signals from now on; with `files` also writing, and reading anything else."""
    allowed = None if files is None else tuple(os.path.join(path, "") for path in files)
    single = frozenset(files or ())

    def guard(event: str, arguments: tuple) -> None:
        if event.startswith(REFUSED):
            raise PermissionError(f"{event} is not allowed while a submission is graded")
        if allowed is None:
            return
        if event.startswith(CHANGING):
            raise PermissionError(f"{event} is not allowed while a submission is graded")
        if event in ("open", "os.listdir", "os.scandir") and arguments and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            writes = event == "open" and (set(arguments[1] or "") & set("wax+") or (arguments[2] or 0) & 3)
            if writes or not (path in single or (path + os.sep).startswith(allowed)):
                raise PermissionError(f"{path} is out of reach while a submission is graded")

    sys.addaudithook(guard)


def confine(hidden: list[str], memory: int, seconds: int) -> list[str]:
    """Put all walls up; returns the names of those that stand."""
    files = readable(hidden)
    limited = limit(memory, seconds)
    kernel, alone = landlock(files), seccomp()
    hook(None if kernel else files)
    return [*["limits"] * limited, *["landlock"] * kernel, *["seccomp"] * alone, "hook"]

"""The process of a submission: it runs the cells of one notebook behind walls, then answers calls of its functions.

Started by `sandbox.py`. It knows no test: arguments come in frames, answers go out in frames, and the judge on the other side
says what they are worth. Whatever its cells write to the pipe can be a wrong answer and nothing more.
"""

import contextlib
import os
import re
import signal
import sys
import traceback
from types import CodeType
from typing import Any

from mia_lib.course.confinement import confine
from mia_lib.course.frames import BadFrame, answered, pack, read_frame


class TooLong(BaseException):
    """A cell or a call took more time than it has."""


def _pipes() -> tuple[Any, int]:
    """What was standard input, to read, and standard output, to write; cells find both, and standard error, shut."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    return source, sink


def _send(sink: int, message: Any) -> None:
    data = pack(message)
    while data:
        data = data[os.write(sink, data) :]


@contextlib.contextmanager
def _within(seconds: float):
    """Raise TooLong in what runs here after so much processor time, where the system has alarms: others who use the machine
    cost a student nothing. Whoever sleeps or catches it is stopped by the judge."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def over(*_):
        raise TooLong

    signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _fault(error: BaseException) -> dict:
    """What went wrong: the kind of error, its message, and the line of the submission."""
    if isinstance(error, TooLong):
        return {"error": "timeout", "message": ""}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<cell")]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    try:
        message = (error.msg if isinstance(error, SyntaxError) else str(error))[:300]
    except Exception:
        message = ""
    return {"error": type(error).__name__[:80], "message": message, "line": line or 0}


def _caught(seconds: float, action) -> dict:
    """What an action gives, or what went wrong in it, whatever that is."""
    try:
        with _within(seconds):
            return {"value": action()}
    except BaseException as error:
        return _fault(error)


def _compiled(source: str, name: str) -> CodeType:
    """A cell as Python; where it is none, lines of IPython's own (`%magic`, `!command`, `help?`) become nothing, and what is
    timed or captured is run."""
    try:
        return compile(source, name, "exec")
    except SyntaxError:
        timed = re.match(r"\s*%%(time|timeit|capture|prun)\b", source)
        if source.lstrip().startswith("%%") and not timed:
            return compile("", name, "exec")
        other = re.sub(r"(?m)^(\s*)([%!?].*|[\w.]+\?{1,2}\s*)$", r"\1pass", source)
        if other == source:
            raise
        return compile(other, name, "exec")


def _run(order: dict, namespace: dict, sink: int) -> None:
    """Run all cells; one that fails does not stop those after it. The judge hears which cell is next."""
    for number, source in enumerate(order["cells"]):
        _send(sink, {"cell": number})

        def action(source=source, number=number):
            exec(_compiled(source, f"<cell {number}>"), namespace)

        found = _caught(order["seconds"], action)
        if "error" in found:
            _send(sink, {"cell": number, **found})
    _send(sink, {"names": [name for name in order["functions"] if callable(namespace.get(name))]})


def main() -> None:
    """Serve one submission until the judge hangs up."""
    source, sink = _pipes()
    order = read_frame(source.read)
    walls = confine(order["hidden"], order["memory"], order["cpu"])
    os.dup2(0, 2)
    for name in [name for name in sys.modules if name.startswith("mia_lib") and "frames" not in name]:
        del sys.modules[name]
    namespace: dict[str, Any] = {"__name__": "__main__", "display": print}
    exec(order["set_up"], namespace)
    _send(sink, {"walls": walls})
    _run(order, namespace, sink)
    while True:
        try:
            call = read_frame(source.read)
        except EOFError:
            return
        found = _caught(order["seconds"], lambda call=call: answered(namespace[call["function"]], call["arguments"]))
        try:
            _send(sink, found.get("value", found))
        except (BadFrame, TypeError, ValueError, MemoryError, RecursionError) as error:
            _send(sink, {"error": "answer", "message": str(error)[:300], "line": 0})


if __name__ == "__main__":
    main()

"""What a person sees while a series runs: a line per finished stage, and in a terminal a live line of what goes on.

Nothing here stops the work: what cannot be shown is escaped, and where nobody reads any more it goes on in silence.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from mia_lib.support.progress import FILE_VARIABLE, duration

INDENT = " " * 6


COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters by which a name could command a terminal, or turn round what stands beside it."""


def plain(text: str) -> str:
    """A text with whatever names it holds, characters that command a terminal as escapes."""
    return COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def describe(line: dict) -> str:
    """The state of a running stage in a few words: label, how far, and its latest note."""
    done, total = line.get("done", 0), line.get("total")
    return "  ".join(
        str(part) for part in (line["label"], f"{done}/{total}" if total else "", line.get("note")) if part
    )


def write(text: str, stream) -> bool:
    """Print to a stream, characters that it does not know as escapes; False where it is closed, full or missing.

    What such a stream still holds would fail once more when Python ends, and change its exit status: it goes nowhere.
    """
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except (OSError, ValueError, AttributeError):
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return False
    return True


def _shows_a_live_line(stream) -> bool:
    """Whether a stream is a terminal that takes escape sequences, and nobody asked it to be plain."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    except (ValueError, AttributeError):  # closed, or there is none
        return False


class Console:
    """Prints lines, and follows the progress file of the work between `follow`'s start and end.

    stream: where to print; a terminal gets the live line, anything else plain lines only.
    """

    def __init__(self, stream=None):
        self.stream = sys.stdout if stream is None else stream
        self.live = _shows_a_live_line(self.stream)
        self._turn = threading.Lock()
        self._going_on: dict[str, str] = {}  # what each work that is followed does at present

    def _write(self, text: str) -> None:
        with self._turn:
            if self.stream is not None and not write(text, self.stream):
                self.stream, self.live = None, False

    def say(self, text: str) -> None:
        """Print one line, in place of the live one."""
        text = plain(text)
        self._write(f"\r\x1b[K{text}\n" if self.live else f"{text}\n")

    @contextmanager
    def follow(self):
        """Show what this process and those that it starts report (see `mia_lib.progress`) while the block runs."""
        with self.following() as path:
            os.environ[FILE_VARIABLE] = str(path)
            try:
                yield
            finally:
                os.environ.pop(FILE_VARIABLE, None)

    @contextmanager
    def following(self, name: str = ""):
        """Show what is reported to the file that the block is given. name: said before it, where several are followed."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mia-", ignore_cleanup_errors=True))
                path = Path(folder) / "progress.jsonl"
                path.touch()
                file = stack.enter_context(open(path, encoding="utf-8", errors="replace"))
            except OSError:  # the temporary folder is full, or there is none
                path, file = Path(os.devnull), stack.enter_context(open(os.devnull, encoding="utf-8"))
            stop = threading.Event()
            thread = threading.Thread(target=self._tail, args=(file, stop, name), daemon=True)
            thread.start()
            try:
                yield path
            finally:
                stop.set()
                thread.join()

    def _tail(self, file: TextIO, stop: threading.Event, name: str) -> None:
        started, text, ending = time.monotonic(), "", False
        while not ending:
            ending = stop.wait(0.2)  # what was reported before the end is still shown
            for line in self._new_lines(file):
                text = plain(describe(line))
                if line["state"] != "running":
                    self._stage_ended(line, name)
                    text = ""
            self._going_on[name] = f"{name} {duration(time.monotonic() - started)}  {text}".strip()
            self._show()
        del self._going_on[name]
        self._show()

    def _show(self) -> None:
        """What all do at present, in the live line."""
        if self.live:
            width, text = shutil.get_terminal_size().columns - 1, "   ".join(self._going_on.copy().values())
            self._write(f"\r\x1b[K{INDENT}{text}"[: width + 4] if text else "\r\x1b[K")

    def _stage_ended(self, line: dict, name: str) -> None:
        seconds, failed, before = line["seconds"], line["state"] == "failed", f"{name:>4}  " if name else INDENT
        if line["state"] == "told":
            self.say(f"{before}{line['label']}")
        if failed or seconds >= 0.5:
            self.say(f"{before}{line['label']:<44} {'failed after ' if failed else ''}{duration(seconds)}")

    @staticmethod
    def _new_lines(file):
        """The complete JSON lines added to the file since the last call; what is not one of ours is passed over."""
        while True:
            start, text = file.tell(), file.readline()
            if not text.endswith("\n"):
                file.seek(start)
                return
            try:
                line = json.loads(text)
                line["label"], line["state"], line["seconds"] + 0
            except (ValueError, KeyError, TypeError):
                continue
            yield line

"""What a person sees while a series runs: a line per finished stage, and in a terminal a live line of what goes on."""

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from mia_lib.support.progress import FILE_VARIABLE, duration

INDENT = " " * 6


def describe(line: dict) -> str:
    """The state of a running stage in a few words: label, how far, and its latest note."""
    done, total = line.get("done", 0), line.get("total")
    return "  ".join(
        str(part) for part in (line["label"], f"{done}/{total}" if total else "", line.get("note")) if part
    )


class Console:
    """Prints lines, and follows the progress file of the work between `follow`'s start and end.

    stream: where to print; a terminal gets the live line, anything else plain lines only.
    """

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()

    def say(self, text: str) -> None:
        """Print one line, in place of the live one."""
        print(f"\r\x1b[K{text}" if self.live else text, file=self.stream, flush=True)

    @contextmanager
    def follow(self):
        """Show what this process and the kernels it starts report (see `mia_lib.progress`) while the block runs."""
        with tempfile.TemporaryDirectory(prefix="mia-") as folder:
            path = Path(folder) / "progress.jsonl"
            path.touch()
            stop = threading.Event()
            thread = threading.Thread(target=self._tail, args=(path, stop), daemon=True)
            thread.start()
            os.environ[FILE_VARIABLE] = str(path)
            try:
                yield
            finally:
                del os.environ[FILE_VARIABLE]
                stop.set()
                thread.join()

    def _tail(self, path: Path, stop: threading.Event) -> None:
        started, text = time.monotonic(), ""
        with open(path) as file:
            ending = False
            while not ending:
                ending = stop.wait(0.2)  # what was reported before the end is still shown
                for line in self._new_lines(file):
                    text = describe(line)
                    if line["state"] != "running":
                        self._stage_ended(line)
                        text = ""
                if self.live:
                    elapsed = duration(time.monotonic() - started)
                    width = shutil.get_terminal_size().columns - 1
                    print(f"\r\x1b[K{INDENT}{elapsed}  {text}"[: width + 4], end="", file=self.stream, flush=True)
        if self.live:
            print("\r\x1b[K", end="", file=self.stream, flush=True)

    def _stage_ended(self, line: dict) -> None:
        seconds, failed = line["seconds"], line["state"] == "failed"
        if failed or seconds >= 0.5:
            self.say(f"{INDENT}{line['label']:<44} {'failed after ' if failed else ''}{duration(seconds)}")

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

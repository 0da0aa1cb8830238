"""What people see never stops the work, whatever it is written to."""

import io
import os
import tempfile
import time

import pytest

from mia_lib.support.console import Console, write
from mia_lib.support.progress import FILE_VARIABLE, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def byte_stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", r"Ren\xe9e \u2603"), ("latin-1", "Renée \\u2603"), ("utf-8", "Renée ☃")]
)
def test_a_console_that_cannot_show_a_character_gets_an_escape(encoding, shown):
    stream = byte_stream(encoding)
    Console(stream).say("Renée ☃")
    assert stream.buffer.getvalue().decode(encoding) == f"{shown}\n"


def test_a_name_that_is_not_utf_8_can_be_said():
    stream = byte_stream("utf-8")
    Console(stream).say(os.fsdecode(b"Ren\xe9e"))
    assert stream.buffer.getvalue() == b"Ren\\udce9e\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("\x1b]0;mine\x07", r"\x1b]0;mine\x07"), ("a\u202ecba", r"a\u202ecba"), ("a\0b\rc", r"a\x00b\rc")],
)
def test_a_name_commands_no_terminal_and_turns_nothing_round(name, shown):
    stream = byte_stream("utf-8")
    Console(stream).say(f"speaker {name}")
    assert stream.buffer.getvalue().decode() == f"speaker {shown}\n"


def closed():
    stream = byte_stream("utf-8")
    stream.close()
    return stream


def piped_to_nobody():
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8")


def full():
    return open("/dev/full", "w", encoding="utf-8")


@pytest.mark.parametrize("make", [closed, piped_to_nobody, full], ids=lambda make: make.__name__)
def test_output_that_nobody_takes_is_left_out(make):
    stream = make()
    console = Console(stream)
    with console.follow():
        console.say("one")
        console.say("two")
    assert not write("three", stream) or not stream.closed
    stream.close()  # nothing is left in it that could fail when Python ends


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_a_terminal_that_is_to_be_plain_gets_no_escape_sequences(monkeypatch, variable, value):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Console(Terminal()).live
    monkeypatch.setenv(variable, value)
    stream = Terminal()
    with Console(stream).follow():
        Console(stream).say("a line")
    assert stream.getvalue() == "a line\n"


def test_work_goes_on_without_progress_where_the_temporary_folder_takes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with Console(io.StringIO()).follow(), progress("train", 2) as bar:
        bar.update()
    assert FILE_VARIABLE not in os.environ


@pytest.mark.parametrize("place", ["/dev/full", "/nowhere/progress.jsonl"])
def test_progress_that_cannot_be_written_is_left_out(monkeypatch, place):
    monkeypatch.setenv(FILE_VARIABLE, place)
    with progress("train", 2) as bar:
        bar._reported -= 1
        bar.update()


@pytest.mark.parametrize("make", [closed, piped_to_nobody, full, lambda: None])
def test_a_bar_that_cannot_be_shown_is_left_out(monkeypatch, make):
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stderr", make())
    with progress("train", 3) as bar:
        if bar._tqdm is not None:
            bar._tqdm.delay, bar._tqdm.mininterval = 0, 0
            bar._tqdm.start_t -= 10
        for _ in range(3):
            bar.update(note="loss")
            time.sleep(0.01)
    assert bar.done == 3

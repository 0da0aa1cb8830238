"""The command line: `python -m mia_lib`. Exit status 0: done, 1: failed, 2: bad usage, 130: interrupted."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from mia_lib.series.request import PARAMETERS, Request
from mia_lib.support.console import Console, write
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.settings import PROFILES

ABOUT = """\
Can someone who only queries a speaker-identification model tell whose voice it was trained on?
This runs the notebooks that measure it, and writes a report with every number and figure.

  python -m mia_lib run                                 everything, on synthetic speech, in minutes
  python -m mia_lib run --profile smoke                 the same in small, to see that it works
  python -m mia_lib run --corpus folder:my/recordings   your speech: one folder per speaker
  python -m mia_lib run --only 04 --set n_shadows=8     one notebook, one setting changed
  python -m mia_lib list                                corpora, models, attacks, notebooks, settings

A run leaves outputs/<run-id>/: index.html (the report), results.csv, run.json, the figures and the
executed notebooks. The same command run again continues where it stopped."""

LONGEST_WORD = 300  # letters shown of a word of an error message
EPILOG = "Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted. `python -m mia_lib run --help` has the options."


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of printing its usage and exiting."""

    def error(self, message: str):
        raise UsageError(message)


def build_parser() -> Parser:
    """The parser of all commands; importing nothing that takes time."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m mia_lib", description=ABOUT, epilog=EPILOG, formatter_class=raw, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="{run,list}")
    run = commands.add_parser(
        "run",
        help="execute the notebooks and write the report",
        description="Execute the notebooks in order into outputs/<run-id>/. Run again, it continues where it stopped.",
        epilog="Names and defaults of corpora and settings: `python -m mia_lib list`.",
        allow_abbrev=False,
    )
    _add_run_options(run)
    names = commands.add_parser(
        "list",
        help="print every name that can be used",
        description="Print the corpora, features, models, attacks, protocols, profiles, notebooks and settings.",
        allow_abbrev=False,
    )
    names.add_argument("section", nargs="?", help="only this section, e.g. `settings`")
    for command in (run, names):
        command.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return parser


def _add_run_options(run: Parser) -> None:
    add = run.add_argument
    add("--profile", default=Request.profile, help=f"size of the experiment: {', '.join(PROFILES)} (standard)")
    add(
        "--corpus",
        default=Request.corpus,
        help="a corpus name, such as demo, librispeech:dev-clean or folder:PATH (demo)",
    )
    add("--seed", type=int, default=Request.seed, help="seed of everything that is drawn (0)")
    add("--device", default=Request.device, help="auto, cpu, cuda or cuda:N (auto)")
    add("--outputs", default=Request.outputs, metavar="DIR", help="where runs and the cache are kept (outputs)")
    add("--run-id", metavar="NAME", help="name of the run's folder (made from corpus, profile and seed)")
    add("--only", metavar="NN,NN", help="only the notebooks with these numbers, e.g. 04,07")
    add("--set", nargs="+", action="extend", default=[], metavar="name=value", help="change settings of the profile")
    add("--data-root", metavar="DIR", help="folder of local corpora (the variable MIA_DATA_ROOT, or data)")
    add("--download", action="store_true", help="fetch the corpus if it is missing and can be fetched")
    add(
        "--max-bad",
        type=float,
        default=Request.max_bad,
        metavar="SHARE",
        help="tolerated share of unreadable recordings (0.05)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit status. Errors are one line on standard error."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        _interrupt_when_asked_to_end()
        arguments = build_parser().parse_args(argv)
        if not arguments.command:
            raise UsageError("say what to do: run or list (`python -m mia_lib --help` explains)")
        run_command(arguments) if arguments.command == "run" else list_command(arguments)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command continues where this stopped", 130)
    except Exception as error:
        if "--debug" in argv:
            write(traceback.format_exc(), sys.stderr)
        if isinstance(error, OSError) and error.filename is not None:
            error = MiaError(f"{error.strerror}: {os.fsdecode(error.filename)}")
        if isinstance(error, MiaError):
            return _fail(str(error), 2 if isinstance(error, UsageError) else 1)
        return _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)
    finally:
        write("", sys.stdout)  # help may still wait to be printed
    return 0


def _fail(message: str, status: int) -> int:
    write(f"mia_lib: {' '.join(map(_shortened, message.split()))}\n", sys.stderr)
    return status


def _shortened(word: str) -> str:
    """A word of a message; the middle of an endless one, such as a path of thousands of letters, is left out."""
    return word if len(word) <= LONGEST_WORD else f"{word[: LONGEST_WORD // 2]}…{word[-LONGEST_WORD // 2 :]}"


def _interrupt_when_asked_to_end() -> None:
    """Being asked to end, also by a terminal that closes, is handled as Ctrl-C is: kernels are shut down and the run can be
    continued. Under nohup a terminal may close."""
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows

    def interrupt(*_):
        if hang_up:
            signal.signal(hang_up, signal.SIG_IGN)  # it often comes twice
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if hang_up and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signal.signal(hang_up, interrupt)


def run_command(arguments: argparse.Namespace) -> None:
    """`run`: hand the options to the runner."""
    settings = {}
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment!r} is not of the form name=value")
        settings[name.strip()] = value.strip()
    for name in ("run_id", "outputs", "data_root"):
        if getattr(arguments, name) == "":
            raise UsageError(f"--{name.replace('_', '-')} must name a folder: leave it out for the usual one")
    from mia_lib.series.runner import run_series

    given = {name: value for name, value in vars(arguments).items() if name in PARAMETERS and value is not None}
    run_series(Request(**given, settings=settings), only=arguments.only, download=arguments.download)


def list_command(arguments: argparse.Namespace) -> None:
    """`list`: print the sections that hold something, or one of them."""
    from mia_lib.series.listing import sections

    known, console = sections(), Console()
    if arguments.section not in (None, *known):
        raise UsageError(f"unknown section {arguments.section!r}: choose one of {', '.join(known)}")
    for title, entries in known.items():
        if arguments.section in (None, title):
            width = max(map(len, entries)) + 2
            console.say(
                "\n".join([title, *(f"  {name:<{width}}{text}".rstrip() for name, text in entries.items()), ""])
            )

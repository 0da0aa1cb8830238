"""The command line: `python -m mia_lib`. Exit status 0: done, 1: failed, 2: bad usage, 3: a model leaks, 130: interrupted."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from mia_lib.auditing import command as auditing
from mia_lib.course import command as coursework
from mia_lib.series.request import PARAMETERS, Request
from mia_lib.support.console import Console, plain, write
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.options import add_executor_options, executor_of
from mia_lib.support.settings import PROFILES
from mia_lib.support.surroundings import check_here, in_the_way

ABOUT = """\
Can someone who only queries a speaker-identification model tell whose voice it was trained on?
This runs the notebooks that measure it, and leaves report, tables and figures in outputs/<run-id>/.

  python -m mia_lib run                                 everything, on synthetic speech, in minutes
  python -m mia_lib run --profile smoke                 the same in small, to see that it works
  python -m mia_lib run --corpus folder:my/recordings   your speech: one folder per speaker
  python -m mia_lib sweep --seeds 0-4                   the same over five seeds: what holds in all of them
  python -m mia_lib audit --signals answers.npz         a model of your own, by its saved answers
"""

LONGEST_WORD = 300  # letters shown of a word of an error message
EPILOG = "Exit status: 0 done, 1 failed, 2 bad usage, 3 a --fail-if holds, 130 interrupted. `run --help`: options."


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of printing its usage and exiting."""

    def error(self, message: str):
        raise UsageError(message)


def build_parser() -> Parser:
    """The parser of all commands; importing nothing that takes time."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m mia_lib", description=ABOUT, epilog=EPILOG, formatter_class=raw, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="execute the notebooks and write the report",
        description="Execute the notebooks in order into outputs/<run-id>/. Run again, it continues where it stopped.",
        epilog="Names and defaults of corpora and settings: `python -m mia_lib list`.",
        allow_abbrev=False,
    )
    _add_run_options(run)
    sweep = commands.add_parser(
        "sweep",
        help="the same on several corpora and seeds",
        description="Run every combination of corpora and seeds into outputs/<sweep-id>/, and compare them there.",
        epilog="A YAML file says what a command line cannot: parameters that all runs share, `seeds`, and `runs`, a list of "
        "mappings with the parameters of some runs each.",
        allow_abbrev=False,
    )
    _add_sweep_options(sweep)
    audit = commands.add_parser(
        "audit",
        help="attack a model of your own, by its answers",
        usage=auditing.USAGE,
        description=auditing.ABOUT,
        epilog=auditing.EPILOG,
        formatter_class=lambda prog: raw(prog, max_help_position=26, width=110),
        allow_abbrev=False,
    )
    auditing.add_options(audit)
    names = commands.add_parser(
        "list",
        help="print every name that can be used",
        description="Print the corpora, features, models, attacks, protocols, profiles, notebooks and settings.",
        allow_abbrev=False,
    )
    names.add_argument("section", nargs="?", help="only this section, e.g. `settings`")
    kept = commands.add_parser(
        "cache",
        help="show what is kept, and remove what no run needs",
        description="Show the stages that are kept in DIR/cache: their size, when they were last used, and by which runs.",
        allow_abbrev=False,
    )
    _add_outputs(kept)
    kept.add_argument("--prune", action="store_true", help="remove the stages that no run in DIR rests on")
    course = commands.add_parser(
        "course",
        help="exercises for you or a class: release, grade, a quiz",
        description=coursework.COURSE,
        allow_abbrev=False,
    )
    challenge = commands.add_parser(
        "challenge", help="make and score a competition", description=coursework.CHALLENGE, allow_abbrev=False
    )
    tasks = [*coursework.add_course(course), *coursework.add_challenge(challenge)]
    for command in (run, sweep, audit, names, kept, *tasks):
        command.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    return parser


def _add_run_options(run: Parser) -> None:
    add = run.add_argument
    add(
        "--corpus",
        default=Request.corpus,
        help="a corpus name, such as demo, librispeech:dev-clean or folder:PATH (demo)",
    )
    add("--seed", type=int, default=Request.seed, help="seed of everything that is drawn (0)")
    add("--run-id", metavar="NAME", help="name of the run's folder (made from corpus, profile and seed)")
    _add_shared_options(run)


def _add_sweep_options(sweep: Parser) -> None:
    add = sweep.add_argument
    add("file", nargs="?", metavar="FILE.yaml", help="a sweep in a file, in place of --corpus, --seeds and --set")
    add("--corpus", action="append", metavar="CORPUS", help="a corpus name; may be given several times (demo)")
    add("--seeds", metavar="LIST", help="seeds, such as 0-4 or 0,3,7 (0-2)")
    add("--sweep-id", default="", metavar="NAME", help="name of the sweep's folder (made from what is asked)")
    _add_shared_options(sweep)


def _add_shared_options(command: Parser) -> None:
    """What a run and every run of a sweep are asked alike."""
    add = command.add_argument
    add("--profile", default=Request.profile, help=f"size of the experiment: {', '.join(PROFILES)} (standard)")
    add("--device", default=Request.device, help="auto, cpu, cuda or cuda:N (auto)")
    _add_outputs(command)
    add("--only", metavar="NN,NN", help="only the notebooks with these numbers, e.g. 04,07")
    add("--set", nargs="+", action="extend", default=[], metavar="name=value", help="change settings of the profile")
    add("--data-root", metavar="DIR", help="folder of local corpora (the variable MIA_DATA_ROOT, or data)")
    add("--download", action="store_true", help="fetch the corpus if it is missing and can be fetched")
    add_executor_options(add)
    add("--cache", default="", metavar="ADDRESS", help="share what is kept with other machines: DIR or s3://… (not)")
    bad = "tolerated share of unreadable recordings (0.05)"
    add("--max-bad", type=float, default=Request.max_bad, metavar="SHARE", help=bad)


def _add_outputs(command: Parser) -> None:
    text = "where runs and the cache are kept (outputs)"
    command.add_argument("--outputs", default=Request.outputs, metavar="DIR", help=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit status. Errors are one line on standard error."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        _interrupt_when_asked_to_end()
        check_here()
        arguments = build_parser().parse_args(argv)
        if not arguments.command:
            raise UsageError(
                "say what to do: run, sweep, audit, course, challenge, list or cache (`python -m mia_lib --help` explains)"
            )
        arguments.typed = ["python", "-m", "mia_lib", *argv]
        return COMMANDS[arguments.command](arguments) or 0
    except KeyboardInterrupt:
        return _fail("interrupted; the same command continues where this stopped", 130)
    except Exception as error:
        if "--debug" in argv:
            write(traceback.format_exc(), sys.stderr)
        if isinstance(error, OSError) and error.filename is not None:
            error = MiaError(f"{error.strerror}: {os.fsdecode(error.filename)}")
        if isinstance(error, MiaError):
            return _fail(str(error), 2 if isinstance(error, UsageError) else 1)
        if path := in_the_way():
            return _fail(
                f"{path} is taken for the package of its name, which it is not: call it otherwise ({error})", 1
            )
        return _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 1)
    finally:
        write("", sys.stdout)  # help may still wait to be printed


def _fail(message: str, status: int) -> int:
    write(f"mia_lib: {plain(' '.join(map(_shortened, message.split())))}\n", sys.stderr)
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


def settings_of(assignments: Sequence[str]) -> dict[str, str]:
    """Settings from words of the form name=value."""
    settings = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment!r} is not of the form name=value")
        settings[name.strip()] = value.strip()
    return settings


def _refuse_empty(arguments: argparse.Namespace) -> None:
    """A folder that an option names must have a name."""
    for name in ("run_id", "outputs", "data_root"):
        if getattr(arguments, name, None) == "":
            raise UsageError(f"--{name.replace('_', '-')} must name a folder: leave it out for the usual one")


def run_command(arguments: argparse.Namespace) -> None:
    """`run`: hand the options to the runner."""
    _refuse_empty(arguments)
    executor = executor_of(arguments)
    settings = settings_of(arguments.set)
    from mia_lib.series.runner import run_series

    given = {name: value for name, value in vars(arguments).items() if name in PARAMETERS and value is not None}
    more = dict(only=arguments.only, download=arguments.download, executor=executor, cache=arguments.cache)
    run_series(Request(**given, settings=settings), **more)


def sweep_command(arguments: argparse.Namespace) -> None:
    """`sweep`: a file or options as a sweep."""
    _refuse_empty(arguments)
    executor = executor_of(arguments)
    from mia_lib.series.sweep import of_options, read_sweep, run_sweep

    if arguments.file is not None:
        if arguments.corpus or arguments.seeds or arguments.set or arguments.only or arguments.sweep_id:
            options = "--corpus, --seeds, --set, --only and --sweep-id"
            raise UsageError(f"a sweep is described by a file or by {options}, not by both")
        sweep = read_sweep(Path(arguments.file), arguments.outputs)
    else:
        shared = ("profile", "device", "outputs", "data_root", "max_bad")
        given = {name: value for name in shared if (value := getattr(arguments, name)) is not None}
        given["settings"] = settings_of(arguments.set)
        corpora, seeds = arguments.corpus or [Request.corpus], arguments.seeds or "0-2"
        sweep = of_options(corpora, seeds, given, arguments.only, arguments.sweep_id)
    run_sweep(sweep, download=arguments.download, executor=executor, cache=arguments.cache)


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


def cache_command(arguments: argparse.Namespace) -> None:
    """`cache`: show what is kept, or remove what no run rests on."""
    from mia_lib.series import kept

    for line in kept.pruned(arguments.outputs) if arguments.prune else kept.overview(arguments.outputs):
        Console().say(line)


def audit_command(arguments: argparse.Namespace) -> int:
    """`audit`: judge what is named; the exit status says whether a condition holds."""
    _refuse_empty(arguments)
    return auditing.run(arguments)


def challenge_command(arguments: argparse.Namespace) -> None:
    """`challenge`: with the settings that are given as words."""
    _refuse_empty(arguments)
    arguments.settings = settings_of(getattr(arguments, "set", []))
    coursework.run_challenge(arguments)


COMMANDS = {
    "run": run_command,
    "sweep": sweep_command,
    "audit": audit_command,
    "course": coursework.run_course,
    "challenge": challenge_command,
    "list": list_command,
    "cache": cache_command,
}

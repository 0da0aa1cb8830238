"""The command line: exit statuses, one clear line on standard error, and help that is quick and complete."""

import signal
import subprocess
import sys

import pytest

from mia_lib import cli
from mia_lib.series import listing, runner
from mia_lib.series.request import Request
from mia_lib.support.errors import MiaError


@pytest.fixture
def request_of(monkeypatch):
    """Run a command line without running the series; returns what the runner would have been asked for."""

    def ask(*argv):
        asked = {}
        monkeypatch.setattr(runner, "run_series", lambda request, **options: asked.update(options, request=request))
        assert cli.main(["run", *argv]) == 0
        return asked

    return ask


def test_defaults_are_the_published_ones(request_of):
    published = dict(
        corpus="demo",
        profile="standard",
        seed=0,
        device="auto",
        outputs="outputs",
        run_id="",
        data_root="",
        max_bad=0.05,
        settings={},
    )
    others = {"only": None, "download": False, "executor": "", "cache": ""}
    assert request_of() == {"request": Request(**published), **others}


def test_options_reach_the_request(request_of):
    argv = ["--profile", "smoke", "--seed", "3", "--run-id", "mine", "--data-root", "there", "--max-bad", "0.5"]
    asked = request_of(*argv, "--download", "--set", "epochs=3", "--cache", "s3://bucket/kept")
    expected = Request(profile="smoke", seed=3, run_id="mine", data_root="there", max_bad=0.5, settings={"epochs": "3"})
    assert asked["request"] == expected and asked["download"] and asked["cache"] == "s3://bucket/kept"


@pytest.mark.parametrize(
    ("argv", "executor"),
    [(["--workers", "3"], "workers:3"), (["--ray"], "ray"), (["--ray", "ray://host:10001"], "ray:ray://host:10001")],
)
def test_who_carries_out_is_asked_for_by_two_options(request_of, argv, executor):
    assert request_of(*argv)["executor"] == executor


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--workers", "0"], "--workers must be from 1 to 1024, not 0"),
        (["--workers", "two"], "invalid int value"),
        (["--workers", "2", "--ray"], "--workers and --ray are two ways: choose one"),
    ],
)
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_who_carries_out_is_one_or_the_other(capsys, command, argv, says):
    assert cli.main([command, *argv]) == 2
    assert says in capsys.readouterr().err


def test_set_takes_several_values_and_may_be_repeated(request_of):
    asked = request_of("--set", "epochs=3", "model=a=b", "--only", "04,07", "--set", "hop=128")
    assert asked["request"].settings == {"epochs": "3", "model": "a=b", "hop": "128"} and asked["only"] == "04,07"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (MiaError("the folder\nis empty"), 1, "mia_lib: the folder is empty\n"),
        (MiaError("no folder a\x1b[2Jb\u202ec"), 1, "mia_lib: no folder a\\x1b[2Jb\\u202ec\n"),
        (ZeroDivisionError("by zero"), 1, "mia_lib: unexpected ZeroDivisionError: by zero (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, "mia_lib: interrupted; the same command continues where this stopped\n"),
    ],
)
def test_failures_are_one_line_with_their_status(error, status, line, monkeypatch, capsys):
    def fail(*_, **options):
        raise error

    monkeypatch.setattr(runner, "run_series", fail)
    assert cli.main(["run"]) == status
    assert capsys.readouterr().err == line


def test_an_error_of_the_system_names_the_path(monkeypatch, capsys):
    def fail(*_, **options):
        raise OSError(28, "No space left on device", "/there/run.json")

    monkeypatch.setattr(runner, "run_series", fail)
    assert cli.main(["run"]) == 1
    assert capsys.readouterr().err == "mia_lib: No space left on device: /there/run.json\n"


@pytest.mark.parametrize(("before", "after"), [(signal.SIG_DFL, "interrupt"), (signal.SIG_IGN, "SIG_IGN")])
def test_a_terminal_may_close_under_nohup_and_else_interrupts(before, after):
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, before)
        cli.main(["list", "nonsense"])
        handler = signal.getsignal(signal.SIGHUP)
        assert getattr(handler, "__name__", None) == after or getattr(handler, "name", None) == after
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("output", ["| head -1", "> /dev/full", ">&-", "| head -1 2>&-"])
@pytest.mark.parametrize("command", ["list protocols", "run --help"])
def test_output_that_nobody_takes_ends_quietly_and_well(command, output):
    line = f"{{ {sys.executable} -m mia_lib {command}; echo $? >&3; }} {output}"
    shell = f"exec 3>&1; ({line}) >/dev/null"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == "0\n" and "Error" not in done.stderr and "Exception" not in done.stderr


def test_debug_shows_the_traceback(monkeypatch, capsys):
    def fail(*_, **options):
        raise MiaError("the folder is empty")

    monkeypatch.setattr(runner, "run_series", fail)
    assert cli.main(["run", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["run", "--help"],
        ["audit", "--help"],
        ["list", "--help"],
        ["cache", "--help"],
        ["course", "grade", "--help"],
        ["challenge", "--help"],
    ],
    ids=" ".join,
)
def test_help_loads_nothing_slow_and_exits_0(argv):
    code = (
        "import sys, mia_lib.cli as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "slow = {'torch', 'pandas', 'papermill', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_help_fits_one_screen(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 26 and max(map(len, lines)) <= 110


def test_list_prints_every_section_and_every_name(capsys):
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("corpora", "demo", "mfcc", "paper_mfcc", "top3_network", "utterance", "smoke", "n_shadows"):
        assert f"{name}" in out


def test_list_of_one_section_prints_only_that(capsys):
    assert cli.main(["list", "protocols"]) == 0
    out = capsys.readouterr().out
    assert "utterance" in out and "n_shadows" not in out


def test_list_shows_type_default_and_meaning_of_settings():
    assert " ".join(listing.settings()["n_shadows"].split()) == "int = 2 shadow models per target"


def test_list_leaves_out_sections_that_hold_nothing(monkeypatch):
    monkeypatch.setattr(listing, "PROTOCOLS", {})
    assert "protocols" not in listing.sections()

"""`mia-lib audit`: from a command line to evidence, to a report, to files and an exit status."""

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mia_lib.auditing import inputs
from mia_lib.support.console import INDENT, Console
from mia_lib.support.errors import UsageError
from mia_lib.support.files import check_writable

if TYPE_CHECKING:
    from mia_lib.auditing.evidence import Evidence
    from mia_lib.auditing.report import Report

LEAKS = 3
"""Exit status where a --fail-if holds."""
USAGE = "python -m mia_lib audit (--signals FILE | --model NAME | --train NAME | coins) [options]"
ABOUT = """\
Audit somebody's speaker model: can its answers tell who, or which recording, it was trained on?

  python -m mia_lib audit --signals answers.npz                          answers that were saved
  python -m mia_lib audit --model m.onnx --members in --non-members out  a model, and a folder per speaker of each side
  python -m mia_lib audit --train my.code:train --members data           a recipe: reference models are trained by coins
  python -m mia_lib audit coins --members data --to coins.csv            draws who is a member of your next training run

Saved signals are .npz, .parquet or .csv: one row a recording or fragment, with logits, posteriors or embeddings (in
tables logits_0, logits_1 ...), label (class of its speaker, -1 if none) and member (1, 0, -1 not audited); where
known speaker, recording, population, blind; in .npz also reference_logits [K, N, C] with reference_member [K, N],
copies [Q, N, C] and control [N, C]. A module:function takes waveforms, float32 [B, T] in [-1, 1] at 16 kHz, and gives
answers [B, C]; that of --train takes recordings, a list of float32 [T], classes and a seed, and gives such a one."""
RISK = "Nothing is unpickled; but TorchScript and module:function run the code of whoever made them."
EPILOG = RISK + "\nExit status: 0 done, 1 failed, 2 bad usage, 3 a --fail-if holds."


def add_options(command: argparse.ArgumentParser) -> None:
    """The options of `audit`, in groups: what is audited, how, and what comes out."""
    what = command.add_argument_group("what is audited")
    what.add_argument("--signals", metavar="FILE", help="saved answers of a model: .npz, .parquet or .csv")
    how = command.add_argument_group("how")
    inputs.add_options(command, what, how)
    how.add_argument(
        "--protocol", metavar="NAME", help="utterance or speaker (guessed: do the two sides share speakers?)"
    )
    how.add_argument("--seed", type=int, default=0, help="seed of folds, controls and intervals (0)")
    out = command.add_argument_group("what comes out")
    out.add_argument("--outputs", default="outputs", metavar="DIR", help="where audits are kept (outputs)")
    out.add_argument("--run-id", metavar="NAME", help="name of the audit's folder (made from what is audited)")
    out.add_argument("--fail-if", action="append", default=[], metavar="CONDITION",
                     help='exit 3 where it holds: "auc > 0.6", "loss.auc > 0.6"; may be given several times')  # fmt: skip
    out.add_argument("--no-audio", action="store_true", help="no sound in the page, and no paths of recordings")
    out.add_argument(
        "--anonymous", action="store_true", help="numbers in place of the names of speakers and recordings"
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audit`; returns the exit status. Raises UsageError or MiaError, before anything is written if it can."""
    from mia_lib.auditing.gate import condition
    from mia_lib.auditing.identity import data_hash
    from mia_lib.auditing.report import check_free, judge

    conditions = [condition(text) for text in arguments.fail_if]
    if not 0 <= arguments.seed < 2**32 // 1000:
        raise UsageError(f"the seed must be from 0 to {2**32 // 1000 - 1}, not {arguments.seed}")
    check_run_id(arguments.run_id)
    console = Console()
    if arguments.task == inputs.COINS:
        inputs.draw(arguments, console)
        return 0
    check_writable(Path(arguments.outputs))
    evidence = read(arguments, console)
    for line in described(evidence):
        console.say(line)
    data = data_hash(evidence)
    folder = Path(arguments.outputs) / (arguments.run_id or f"audit-{slug(evidence.name)}-s{arguments.seed}-{data[:8]}")
    check_free(folder, data)
    shown = dict(anonymous=arguments.anonymous, audio=not arguments.no_audio)
    report = judge(evidence, seed=arguments.seed, fail_if=conditions, command=shlex.join(arguments.typed), **shown)
    report.save(folder)
    return say(report, folder, conditions, console)


def read(arguments: argparse.Namespace, console: Console) -> "Evidence":
    """The evidence that a command line names."""
    from mia_lib.auditing.coins import drawn_by_coins
    from mia_lib.auditing.saved import read_signals

    if arguments.signals:
        inputs.refuse_beside_signals(arguments)
        found = read_signals(arguments.signals, arguments.protocol)
        return drawn_by_coins(found) if arguments.coins else found
    if arguments.model is None and arguments.train is None:
        given = "--signals FILE, --model NAME or --train NAME"
        raise UsageError(f"say what to audit: {given} (`python -m mia_lib audit --help` explains)")
    return inputs.evidence(arguments, console)


def described(evidence: "Evidence") -> list[str]:
    """What is audited, and by which protocol, in two lines."""
    members, others = (int((evidence.member == side).sum()) for side in (1, 0))
    n, width = evidence.answers.shape
    references = 0 if evidence.reference_answers is None else len(evidence.reference_answers)
    beside = f", {references} reference models" if references else ""
    shared = bool(set(evidence.speaker[evidence.member == 1]) & set(evidence.speaker[evidence.member == 0]))
    why = "the two sides share speakers" if shared else "no speaker is on both sides"
    why = why if evidence.speakers_known else "who speaks is not known"
    axis = "dimensions" if evidence.kind == "embeddings" else "classes"
    return [
        f"Audit of {evidence.name}: {evidence.kind} of {n:,} rows and {width:,} {axis}{beside}; "
        f"{members:,} members, {others:,} non-members",
        f"{INDENT}protocol {evidence.protocol}: {why}",
    ]


def say(report: "Report", folder: Path, conditions: list, console: Console) -> int:
    """Print what was found, most important first; returns the exit status."""
    for sentence in report.about["findings"]:
        console.say(f"{INDENT}{sentence}")
    if report.about["not_run"]:
        console.say(f"{INDENT}{len(report.about['not_run'])} attacks were not run: audit.json says what they lack")
    held = [one for one in conditions if one.holds(report.results)]
    for one in conditions:
        console.say(f"{INDENT}{one.said(report.results)}")
    console.say(f"Audit: {folder}")
    return LEAKS if held else 0


def slug(name: str) -> str:
    """A name as part of a folder's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem).strip("-")[:60] or "model"


def check_run_id(name: str | None) -> None:
    """Raise UsageError for a name that cannot be a folder's."""
    if name is not None and (not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or name.lower() == "cache"):
        raise UsageError(f"--run-id {name!r} cannot name a folder: use letters, digits, '.', '-', '_' (not 'cache')")

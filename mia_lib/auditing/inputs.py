"""What the command line says of a model and recordings: options of `audit` beside saved signals, and evidence from them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mia_lib.support.console import INDENT, Console
from mia_lib.support.errors import UsageError
from mia_lib.support.options import add_executor_options, executor_of

if TYPE_CHECKING:
    from mia_lib.auditing.evidence import Evidence

COINS = "coins"
"""The word after `audit` that asks for a draw in place of an audit."""
ASKED = (
    "classes",
    "gives",
    "seconds",
    "max_bad",
    "seconds_per_call",
    "device",
    "control_model",
    "copies",
    "population",
    "models",
)
"""Options about a model that is asked, beside which recordings it is asked about."""


def add_options(command: argparse.ArgumentParser, what: argparse._ArgumentGroup, how: argparse._ArgumentGroup) -> None:
    """Add the options: `what` is audited, and `how`. Those that were not given are None."""
    command.add_argument("task", nargs="?", choices=[COINS], metavar=COINS, help=argparse.SUPPRESS)
    add = what.add_argument
    add(
        "--model",
        metavar="NAME",
        help="FILE.onnx[:OUTPUT], an exported program, TorchScript, module:function or an encoder",
    )
    add(
        "--train",
        metavar="NAME",
        help="module:function that trains: reference models, and without --model the audited one",
    )
    add("--models", type=int, metavar="K", help="reference models of --train (16)")
    add(
        "--members",
        metavar="DIR",
        help="recordings trained on, a folder per speaker; or a CSV of path, speaker, member",
    )
    add("--non-members", metavar="DIR", help="recordings not trained on")
    add("--classes", metavar="FILE", help="which output is which speaker: a name per line, or a CSV of index, speaker")
    add("--gives", metavar="KIND", help="logits, posteriors or embeddings (guessed, and said)")
    add("--control-model", metavar="NAME", help="a model that trained on none of the recordings: a negative control")
    add("--population", metavar="DIR", help="recordings that nobody trained on and an attacker knows")
    add("--coins", action="store_true", help="membership was drawn by independent fair coins: bounds of epsilon")
    add = how.add_argument
    add("--seconds", type=float, metavar="S", help="fragments that the model is asked about (3; 0: whole recordings)")
    add("--copies", type=int, metavar="N", help="altered versions of each that a model with classes is asked about (4)")
    add("--max-bad", type=float, metavar="SHARE", help="tolerated share of recordings without an answer (0.05)")
    add("--seconds-per-call", type=float, metavar="S", help="time limit of one answer (60)")
    add("--device", metavar="NAME", help="cpu, cuda or cuda:N (cpu)")
    add_executor_options(add)
    add("--to", metavar="FILE", help=argparse.SUPPRESS)


def evidence(arguments: argparse.Namespace, console: Console) -> "Evidence":
    """Evidence of the model, and of the recipe, that a command line names. Raises UsageError for options that do not go
    together."""
    executor = executor_of(arguments)
    if arguments.train is None and executor:
        raise UsageError("--workers and --ray say who trains: they go with --train")
    options = {name: value for name in ASKED if (value := getattr(arguments, name)) is not None}
    if arguments.device is not None:
        from mia_lib.support.device import choose_device

        options["device"] = str(choose_device(arguments.device))
    options |= dict(protocol=arguments.protocol, coins=arguments.coins, seed=arguments.seed, outputs=arguments.outputs)
    from mia_lib.auditing.sound import evidence_of_sound

    with console.follow():
        found = evidence_of_sound(
            arguments.model,
            arguments.members or None,
            arguments.non_members,
            train=arguments.train,
            executor=executor or None,
            **options,
        )
    for line in left_out(found):
        console.say(line)
    return found


def left_out(evidence: "Evidence") -> list[str]:
    """A line about recordings that are not in the audit, none where all are."""
    if evidence.lost is None or evidence.lost.empty:
        return []
    path, reason = evidence.lost[["path", "reason"]].iloc[0]
    return [f"{INDENT}{len(evidence.lost)} of {evidence.found} recordings are left out; the first is {path}: {reason}"]


def refuse_beside_signals(arguments: argparse.Namespace) -> None:
    """Raise UsageError for an option that saved signals leave nothing to do."""
    given = ("model", "train", "members", "non_members", *ASKED, "workers", "ray")
    if unused := [name for name in given if getattr(arguments, name) is not None]:
        raise UsageError(
            f"--{unused[0].replace('_', '-')} is about a model that is asked, and --signals are its answers already"
        )


def draw(arguments: argparse.Namespace, console: Console) -> None:
    """`audit coins`: draw who is a member of the next training run, and write it down."""
    from mia_lib.auditing.coins import check_free, draw_coins, write_coins

    if not arguments.members:
        raise UsageError("say what to draw for: audit coins --members DIR --to FILE.csv")
    if arguments.signals or arguments.non_members or arguments.model or arguments.train:
        raise UsageError("audit coins takes --members, --to and --seed alone")
    target = Path(arguments.to or "coins.csv")
    check_free(target)
    with console.follow():
        drawn, lost = draw_coins(arguments.members, arguments.seed)
    write_coins(drawn, target)
    if len(lost):
        first = lost.iloc[0]
        console.say(f"{INDENT}{len(lost)} recordings are left out; the first is {first['path']}: {first['reason']}")
    console.say(
        f"Coins: {target}: train on the {drawn['member'].sum()} of {len(drawn)} recordings whose member is 1, and on no other"
    )

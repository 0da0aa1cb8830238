"""Evidence from somebody's model and recordings of both sides."""

import os
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd

from mia_lib.auditing.altered import COPIES, affordable, altered_answers, check_copies
from mia_lib.auditing.asking import TRIED, Asked, answers, try_out
from mia_lib.auditing.blind import sound_statistics
from mia_lib.auditing.classes import Classes, check_gives, check_width, kind_of, labels, read_classes
from mia_lib.auditing.coins import check_coins
from mia_lib.auditing.columns import PROTOCOLS, on_both_sides
from mia_lib.auditing.evidence import KINDS, Evidence
from mia_lib.auditing.listing import UNKNOWN
from mia_lib.auditing.material import Material, material
from mia_lib.auditing.served import opened
from mia_lib.corpora.found import real
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.progress import progress, tell


def evidence_of_recordings(
    model: Any,
    members: Any,
    non_members: Any = None,
    *,
    classes: Any = None,
    gives: str | None = None,
    control_model: Any = None,
    protocol: str | None = None,
    coins: bool = False,
    seconds: float = 3.0,
    max_bad: float = 0.05,
    seconds_per_call: float = 60.0,
    device: str = "cpu",
    seed: int = 0,
    copies: int = COPIES,
    population: Any = None,
    workers: int | None = None,
) -> Evidence:
    """What a model answers about members and non-members, and what is known of these.

    model, control_model: a name that `load_model` knows, or a callable from waveforms float32 [B, T] at 16 kHz to answers
    [B, C]; the control model trained on none of these recordings. members, non_members: as for `listed`. classes: as for
    `read_classes`. gives: one of KINDS (None: guessed). protocol: `utterance` or `speaker` (None: by whether the two sides
    share speakers). coins: the sides were drawn by independent fair coins. seconds: length of a row (0: whole recordings).
    max_bad: tolerated share of recordings that cannot be read or answered. seconds_per_call: time limit of one answer;
    a model that is called by name is ended then, a function is left to itself. copies: altered versions of each row that a
    model with classes is asked about too, for attacks that see the answered speaker alone. population: a folder of recordings
    that nobody trained on and an attacker knows. Raises UsageError or MiaError, one sentence.
    """
    check_options(gives, protocol, seconds_per_call)
    check_copies(copies)
    known = None if classes is None else read_classes(classes)
    beside = nullcontext() if control_model is None else opened(control_model, device, seconds_per_call)
    with opened(model, device, seconds_per_call) as one, beside as unexposed:
        heard = material(members, non_members, population, seconds=seconds, max_bad=max_bad, workers=workers)
        member = heard.table["member"].to_numpy()
        protocol = choose_protocol(protocol, heard.table)
        labels(known, heard.table["speaker"].to_numpy(), member)
        if coins:
            check_coins(member[member >= 0])
        given, failed = asked_about(one, heard, known, seed)
        control = None
        if unexposed is not None:
            control, missing = asked_about(unexposed, heard, known, seed)
            failed = missing | failed
        kind = guessed_kind(gives, np.delete(given, list(failed), axis=0), known)
        copies = affordable(copies, kind, len(given), given.shape[1], one.name)
        altered, missing = altered_answers(one, heard, given.shape[1], copies, seed)
    more = dict(control=control, copies=altered if copies else None, protocol=protocol, coins=coins)
    if population is not None:
        more["population"] = heard.column("member") == UNKNOWN
    return assembled(heard, one.name, kind, given, known, missing | failed, **more)


def check_options(gives: str | None, protocol: str | None, seconds_per_call: float) -> None:
    """Raise UsageError for options that mean nothing, before anything is heard."""
    if gives not in (None, *KINDS):
        raise UsageError(f"--gives cannot be {gives!r}: choose one of {', '.join(KINDS)}")
    if protocol not in (None, *PROTOCOLS):
        raise UsageError(f"--protocol cannot be {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    if not seconds_per_call > 0:
        raise UsageError(f"--seconds-per-call must be above 0, not {seconds_per_call:g}")


def asked_about(model: Asked, heard: Material, classes: Classes | None, seed: int) -> tuple[np.ndarray, dict[int, str]]:
    """A model's answers to all rows, float [N, C], and by row why it gave none."""
    width = try_out(model, heard.audio, some_rows(heard, seed))
    if classes is not None:
        check_width(classes, width, model.name)
    with progress(f"ask {model.name}", len(heard.audio), "row") as bar:
        given, failed = answers(model, heard.audio, width, heard.column("name"), heard.spare, bar.update)
    return given, {row: f"{model.name}: {why}" for row, why in failed.items()}


def some_rows(heard: Material, seed: int) -> list[int]:
    """A row of each of a few recordings, drawn by the seed."""
    random = generator(seed, "recordings on which a model is tried first")
    return random.permutation(np.unique(heard.of, return_index=True)[1])[:TRIED].tolist()


def guessed_kind(gives: str | None, given: np.ndarray, classes: Classes | None) -> str:
    """What answers [N, C] are, as it was said or, told in one line, as they look."""
    check_gives(gives, given, classes)
    kind, why = kind_of(given, classes)
    if gives is None:
        tell(f"the model's answers are taken for {kind}, since {why}: --gives says otherwise")
    return gives or kind


def choose_protocol(protocol: str | None, table: pd.DataFrame) -> str:
    """The membership protocol of recordings with the columns speaker and member: as it was said, or `utterance` where the
    two sides share speakers. Raises MiaError where they do and should not."""
    both = on_both_sides(table["speaker"].to_numpy(str), table["member"].to_numpy())
    if protocol == "speaker" and both:
        more = f" and {len(both) - 1} others" if len(both) > 1 else ""
        raise MiaError(
            f"under the protocol 'speaker' nobody may be on both sides, and {both[0]!r}{more} is: leave these speakers "
            "out of one side, or say --protocol utterance"
        )
    return protocol or ("utterance" if both else "speaker")


def assembled(
    heard: Material,
    name: str,
    kind: str,
    given: np.ndarray,
    classes: Classes | None,
    failed: dict[int, str],
    **more: Any,
) -> Evidence:
    """Evidence of answers [N, C] on the rows of `heard`, less the recordings of which a row `failed`: its number -> why.

    more: further fields of Evidence about all N rows.
    """
    speaker, recording = heard.column("speaker").astype(str), heard.column("name").astype(str)
    member = heard.column("member").astype(np.int8)
    unanswered = {recording[row]: why for row, why in failed.items()}
    lost = pd.concat([heard.lost, pd.DataFrame(unanswered.items(), columns=["path", "reason"])], ignore_index=True)
    whole = {
        "member": member,
        "label": np.full(len(given), -1, np.int64) if kind == "embeddings" else labels(classes, speaker, member),
        "blind": sound_statistics(heard.signals())[heard.of],
        "sound": np.array([os.fspath(real(path)) for path in heard.column("path")]),
    } | more
    evidence = Evidence(name, kind, given, speaker=speaker, recording=recording, lost=lost, found=heard.found, **whole)
    return evidence.rows(~np.isin(recording, list(unanswered)))

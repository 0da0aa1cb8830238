"""Audits from Python: `audit` a model and recordings or arrays, `audit_signals` what was saved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mia_lib.auditing.coins import drawn_by_coins
from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.report import DRAWS, Report, judge
from mia_lib.auditing.saved import read_signals
from mia_lib.auditing.sound import evidence_of_sound
from mia_lib.auditing.tables import arrays_of
from mia_lib.support.errors import UsageError


def audit_signals(
    signals: Evidence | Mapping[str, Any] | pd.DataFrame | str | Path,
    *,
    protocol: str | None = None,
    coins: bool = False,
    seed: int = 0,
    draws: int = DRAWS,
    anonymous: bool = False,
    audio: bool = True,
    attacks: Sequence[str] | None = None,
    name: str = "signals",
) -> Report:
    """Audit saved answers: a file, a table, named arrays (as `columns.evidence_of` says), or evidence.

    protocol: `utterance` or `speaker`; None decides by whether members and non-members share speakers. coins: independent
    fair coins drew who is a member. draws: of the bootstrap. attacks: which are tried; None tries all. Raises UsageError or
    MiaError, one sentence each.
    """
    if isinstance(signals, (str, Path)):
        evidence = read_signals(signals, protocol)
    elif isinstance(signals, pd.DataFrame):
        evidence = evidence_of(arrays_of(signals, name), name, protocol)
    elif isinstance(signals, Mapping):
        evidence = evidence_of(signals, name, protocol)
    elif isinstance(signals, Evidence):
        evidence = signals
    else:
        raise UsageError(f"signals must be a file, a table, named arrays or evidence, not {type(signals).__name__}")
    evidence = drawn_by_coins(evidence) if coins else evidence
    return judge(evidence, seed=seed, draws=draws, protocol=protocol, anonymous=anonymous, audio=audio, attacks=attacks)


def audit(
    model: Any = None,
    members: Any = None,
    non_members: Any = None,
    *,
    train: Any = None,
    models: int | None = None,
    labels: tuple[Any, Any] | None = None,
    speakers: tuple[Any, Any] | None = None,
    population: Any = None,
    gives: str | None = None,
    classes: Any = None,
    control_model: Any = None,
    coins: bool = False,
    protocol: str | None = None,
    seconds: float | None = None,
    copies: int | None = None,
    max_bad: float | None = None,
    seconds_per_call: float | None = None,
    device: str | None = None,
    outputs: str | Path | None = None,
    executor: str | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    anonymous: bool = False,
    audio: bool = True,
    attacks: Sequence[str] | None = None,
) -> Report:
    """Audit a model on what it was, and what it was not, trained on; or a recipe that trains one (`train`).

    members, non_members: arrays of inputs [n, ...], with `labels` of both (class of each speaker, or the labels of any
    classifier) and `speakers` of both where known; or folders of recordings, or a table of path, speaker and member (then
    non_members is None). model: with arrays a callable from inputs to answers [n, C], or a scikit-learn classifier; with
    recordings whatever `evidence_of_recordings` takes. gives: `logits`, `posteriors` or `embeddings`; None guesses.

    The others are the options of the command, for recordings: train, models, outputs (of its cache) and executor as for
    `evidence_of_recipe`, the rest as for `evidence_of_recordings`; None leaves what is usual. A function that takes longer
    than seconds_per_call cannot be ended, and goes on beside: give its name, `module:function`, for it to be ended, and for
    one that ends its process to be asked on. Raises UsageError or MiaError, one sentence each.
    """
    options: dict[str, Any] = dict(
        protocol=protocol, seed=seed, draws=draws, anonymous=anonymous, audio=audio, attacks=attacks
    )
    heard = dict(
        train=train, models=models, population=population, seconds=seconds, copies=copies, max_bad=max_bad,
        seconds_per_call=seconds_per_call, device=device, outputs=outputs, executor=executor, classes=classes,
    )  # fmt: skip
    heard = {name: value for name, value in heard.items() if value is not None}
    if isinstance(members, np.ndarray):
        if heard:
            raise UsageError(f"{next(iter(heard))} is about recordings, and members are arrays here: leave it out")
        arrays = _asked(model, control_model, (members, np.asarray(non_members)), labels, speakers, gives)
        return audit_signals(arrays, coins=coins, name=getattr(model, "__name__", type(model).__name__), **options)
    if labels is not None or speakers is not None:
        raise UsageError("labels and speakers go with arrays; recordings have their speakers as folders or as a column")
    heard |= dict(gives=gives, coins=coins, protocol=protocol, seed=seed)
    return judge(evidence_of_sound(model, members, non_members, control_model=control_model, **heard), **options)


def _asked(model: Any, control_model: Any, inputs, labels, speakers, gives: str | None) -> dict[str, np.ndarray]:
    """Named arrays of a model's answers to the inputs of both sides."""
    answers = np.concatenate([answered(model, x) for x in inputs])
    kind = gives or guessed(answers)
    arrays: dict[str, np.ndarray] = {kind: answers, "member": np.repeat([1, 0], [len(x) for x in inputs])}
    if labels is not None:
        arrays["label"] = class_numbers(model, np.concatenate([np.asarray(part) for part in labels]))
    elif kind != "embeddings":
        raise UsageError("labels=(of members, of non-members) must say which class each input is of (-1 if none)")
    if speakers is not None:
        arrays["speaker"] = np.concatenate([np.asarray(part).astype(str) for part in speakers])
    if control_model is not None:
        arrays["control"] = np.concatenate([answered(control_model, x) for x in inputs])
    return arrays


def answered(model: Any, x: np.ndarray) -> np.ndarray:
    """Answers [n, C] of a callable, or of a scikit-learn classifier its posteriors."""
    answer = model.predict_proba(x) if hasattr(model, "predict_proba") else model(x)
    return np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer)


def class_numbers(model: Any, labels: np.ndarray) -> np.ndarray:
    """Labels as places in a classifier's `classes_`, -1 for those that are none; as they are where it names no classes."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return labels
    place = {name: i for i, name in enumerate(np.asarray(classes).tolist())}
    return np.array([place.get(label, -1) for label in labels.tolist()])


def guessed(answers: np.ndarray) -> str:
    """Whether answers [n, C] are posteriors or logits."""
    sums_to_one = answers.ndim == 2 and (answers >= 0).all() and np.allclose(answers.sum(1), 1, atol=1e-3)
    return "posteriors" if sums_to_one else "logits"

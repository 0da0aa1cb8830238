"""From `Evidence` to `Signals`: in memory where answers are few, else read block by block, of which statistics are kept."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from mia_lib.attacks.rmia import TEMPERATURES
from mia_lib.auditing.evidence import LARGEST, Evidence
from mia_lib.signals.on_disk import OnDisk
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import Statistics, confidences, log_of_posteriors, statistics
from mia_lib.support.cores import side_by_side
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress

IN_MEMORY = 2**26
"""Values of all answers together up to which they are held in memory, half a gigabyte."""
BLOCK = 2**20
"""Values that are read at once from disk."""


def log_answers(block: np.ndarray, label: np.ndarray, kind: str, what: str, first: int = 0) -> np.ndarray:
    """Logits and embeddings as they are, posteriors as their logarithms, of some rows [n, C] after `first` others; label:
    [n], -1 where a row has no class.

    Raises MiaError naming `what` and the row that holds no number or one beyond LARGEST, a logit of the row's own class that
    stands for a class that is not there, or posteriors that do not sum to one.
    """
    largest = block.max(1).astype(np.float64)  # LARGEST is beyond what float16 holds
    bad = ~np.isfinite(largest) if kind == "logits" else ~np.isfinite(block).all(1)
    if bad.any():
        row = first + int(bad.argmax()) + 1
        raise MiaError(f"{what}: {kind} of row {row} hold a value that is not a number (NaN or infinite)")
    size = np.abs(largest if kind == "logits" else block.max(1, initial=0) - block.min(1, initial=0).astype(np.float64))
    if (size > LARGEST).any():
        row = int((size > LARGEST).argmax())
        raise MiaError(
            f"{what}: {kind} of row {first + row + 1} hold numbers beyond {LARGEST:g}, which cannot be compared"
        )
    own = np.where(label >= 0, block[np.arange(len(block)), label], largest)
    if kind == "logits" and (own < -LARGEST).any():
        row = int((own < -LARGEST).argmax())
        raise MiaError(
            f"{what}: the logit of the own class of row {first + row + 1} is {own[row]:.3g}, as of a class that the model "
            "does not have: its label must be -1, or its logit the model's own"
        )
    if kind != "posteriors":
        return block
    try:
        return log_of_posteriors(block)
    except MiaError:
        p = block.astype(np.float64)
        off = np.abs(p.sum(1) - 1) + np.where((p < 0).any(1), 10, 0)
        row = int(off.argmax())
        found = f"sum to {p[row].sum():.4g}" if (p[row] >= 0).all() else f"hold {p[row].min():.4g}"
        raise MiaError(
            f"{what}: posteriors of row {first + row + 1} {found}: they must be at least 0 and sum to one over the classes"
        ) from None


def signals_of(
    evidence: Evidence, models: Sequence[np.ndarray], member: np.ndarray, copies: Sequence[np.ndarray] | None = None
) -> Signals:
    """Signals of models with answers [N, C] each under a membership, int8 [K, N]; all know the same classes.

    copies: float [Q, N, C] of each model. No label is seen where it could tell who is a member (`hides_labels`). Raises
    MiaError naming the row whose answers are not what they should be.
    """
    names = [evidence.name, *(f"{evidence.name}, model {k}" for k in range(1, len(models)))]
    population, person, inputs = evidence.population, persons(evidence), evidence.blind
    label = np.full_like(evidence.label, -1) if hides_labels(evidence) else evidence.label
    large = sum(one.size for one in models) > IN_MEMORY and evidence.kind != "embeddings"
    logits: Any = (
        OnDisk((len(models), *evidence.answers.shape)) if large else _in_memory(models, label, evidence.kind, names)
    )
    if evidence.kind == "embeddings":
        return Signals.from_embeddings(logits, member, population=population, person=person, inputs=inputs)
    altered = None
    if copies is not None and not large:
        asked = [(list(one), [f"{what}, copies"] * len(one)) for one, what in zip(copies, names, strict=True)]
        altered = np.stack([_in_memory(one, label, evidence.kind, what) for one, what in asked], axis=1)
    labels = np.tile(label, (len(models), 1))
    aligned = len(models) > 1
    signals = Signals(logits, labels, member, aligned, population, person, inputs, altered)
    if large:
        signals.remember(_by_blocks(models, evidence.kind, names, label))
    return signals


def _in_memory(models: Sequence[np.ndarray], label: np.ndarray, kind: str, names: Sequence[str]) -> np.ndarray:
    return np.stack([log_answers(np.asarray(one), label, kind, what) for one, what in zip(models, names, strict=True)])


def _by_blocks(models: Sequence[np.ndarray], kind: str, names: Sequence[str], label: np.ndarray) -> dict:
    """What attacks read off answers, each of which is read once, on all cores: statistics, and RMIA's confidences."""
    n, width = models[0].shape
    rows, temperatures = max(1, BLOCK // width), TEMPERATURES if len(models) > 1 else ()
    warm = np.empty((len(temperatures), len(models), n))
    whole = Statistics(*(np.empty((len(models), n, *(3,) * (one.name == "top"))) for one in fields(Statistics)))

    def read(place: tuple[int, int]) -> None:
        k, first = place
        part = slice(first, first + rows)
        with progress(f"answers of {len(models)} models", len(label[part]), "row") as bar:
            block = log_answers(fresh(models[k], first, first + rows), label[part], kind, names[k], first)[None]
            found = statistics(block, label[None, part])
            for one in fields(Statistics):
                getattr(whole, one.name)[k, part] = getattr(found, one.name)[0]
            if temperatures:
                warm[:, k, part] = confidences(block[0], label[part], temperatures)
            bar.update(block.shape[1])

    side_by_side(read, [(k, first) for k in range(len(models)) for first in range(0, n, rows)])
    return {"statistics": whole, **dict(zip(temperatures, warm, strict=True))}


def fresh(model: np.ndarray, first: int, last: int) -> np.ndarray:
    """Some rows of answers [N, C] in memory; of a file they are mapped by themselves, so that no more of it stays there."""
    base = model.base if isinstance(model, np.memmap) and isinstance(model.base, np.memmap) else model
    if not isinstance(base, np.memmap):
        return np.asarray(model[first:last])
    start = model.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    last = min(last, len(model))
    offset = base.offset + start + first * model.strides[0]
    return np.fromfile(str(base.filename), model.dtype, (last - first) * model.shape[1], offset=offset).reshape(
        -1, model.shape[1]
    )


def hides_labels(evidence: Evidence) -> bool:
    """Whether to know who has a class could tell who is a member."""
    return evidence.protocol == "speaker" or bool((evidence.label[evidence.member >= 0] < 0).any())


def persons(evidence: Evidence) -> np.ndarray | None:
    """Who speaks in each row, int64 [N], -1 where nothing is audited; None where persons are on both sides or not known."""
    if evidence.protocol != "speaker" or not evidence.speakers_known:
        return None
    code = np.unique(evidence.speaker, return_inverse=True)[1]
    return np.where(evidence.member >= 0, code, -1).astype(np.int64)

"""From `Evidence` to `Signals`: in memory where answers are few, else read block by block, of which statistics are kept."""

from collections.abc import Sequence

import numpy as np

from mia_lib.attacks.rmia import TEMPERATURES
from mia_lib.auditing.evidence import Evidence
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import Statistics, confidence, log_of_posteriors, statistics
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress

IN_MEMORY = 2**26
"""Values of all answers together up to which they are held in memory, half a gigabyte."""
BLOCK = 2**22
"""Values that are read at once from disk."""


class OnDisk:
    """Stands for answers [K, N, C] that are read no more: it has their shape, and whoever asks for them is refused."""

    def __init__(self, shape: tuple[int, int, int]):
        self.shape, self.ndim = shape, 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: tuple) -> "OnDisk":
        sizes = (len(np.arange(size)[part]) for size, part in zip(self.shape, index, strict=False))
        return OnDisk((*sizes, self.shape[-1]))

    def __getattr__(self, name: str):
        raise MiaError("needs all answers at once, and these are too large for memory and were read block by block")

    def __array__(self, *_, **__):
        raise MiaError("needs all answers at once, and these are too large for memory and were read block by block")


def log_answers(block: np.ndarray, kind: str, what: str, first: int = 0) -> np.ndarray:
    """Logits as they are, posteriors as their logarithms, of some rows [n, C]; `first` is the number of rows before them.

    Raises MiaError naming `what` and the row that holds no number, or posteriors that do not sum to one.
    """
    largest = block.max(1)
    bad = ~np.isfinite(largest) if kind == "logits" else ~np.isfinite(block).all(1)
    if bad.any():
        raise MiaError(f"{what}: {kind} of row {first + int(bad.argmax()) + 1} hold a value that is not a number (NaN or infinite)")
    if kind == "logits":
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
    """Signals of classifiers with answers [N, C] each under a membership, int8 [K, N]; all know the same classes.

    copies: float [Q, N, C] of each model. Under a protocol whose non-members may be strangers, no label is seen, nor where
    an audited row has none. Raises MiaError naming the row whose answers are not what they should be.
    """
    known = dict(
        labels=np.tile(evidence.label, (len(models), 1)), member=member, aligned=len(models) > 1,
        population=evidence.population, person=persons(evidence), inputs=evidence.blind,
    )  # fmt: skip
    names = [evidence.name, *(f"{evidence.name}, model {k}" for k in range(1, len(models)))]
    if sum(one.size for one in models) <= IN_MEMORY:
        logits = np.stack([log_answers(np.asarray(one), evidence.kind, what) for one, what in zip(models, names, strict=True)])
        if copies is not None:
            known["copies"] = np.stack(
                [[log_answers(np.asarray(q), evidence.kind, f"{evidence.name}, copies") for q in one] for one in copies], axis=1
            )
        return hidden(evidence, Signals(logits, **known))
    return hidden(evidence, _by_blocks(evidence, models, names, known))


def _by_blocks(evidence: Evidence, models: Sequence[np.ndarray], names: Sequence[str], known: dict) -> Signals:
    """Signals whose answers were read once: statistics and confidences are kept, the answers are not."""
    n, width = evidence.answers.shape
    rows, label = max(1, BLOCK // width), np.where(hides_labels(evidence), -1, evidence.label)
    temperatures = TEMPERATURES if len(models) > 1 else ()
    parts: list[list[Statistics]] = []
    warm = {t: np.empty((len(models), n)) for t in temperatures}
    with progress(f"answers of {len(models)} models", len(models) * n, "row") as bar:
        for k, (model, what) in enumerate(zip(models, names, strict=True)):
            parts.append([])
            for first in range(0, n, rows):
                block = log_answers(fresh(model, first, first + rows), evidence.kind, what, first)[None]
                y = label[None, first : first + rows]
                parts[k].append(statistics(block, y))
                for t in temperatures:
                    warm[t][k, first : first + rows] = confidence(block, y, t)[0]
                bar.update(block.shape[1])
    whole = Statistics(*(
        np.concatenate([np.concatenate([getattr(one, name) for one in part], axis=1) for part in parts])
        for name in Statistics.__dataclass_fields__
    ))  # fmt: skip
    small = Signals(np.zeros((len(models), n, 1), np.int8), np.minimum(known["labels"], 0), **{k: v for k, v in known.items() if k != "labels"})
    signals = small._changed(logits=OnDisk((len(models), n, width)), labels=known["labels"])
    signals.__dict__["_computed"] = {"statistics": whole} | warm
    return signals


def fresh(model: np.ndarray, first: int, last: int) -> np.ndarray:
    """Some rows of answers [N, C] in memory; of a file they are mapped by themselves, so that no more of it stays there."""
    base = model.base if isinstance(model, np.memmap) and isinstance(model.base, np.memmap) else model
    if not isinstance(base, np.memmap):
        return np.asarray(model[first:last])
    start = model.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    last = min(last, len(model))
    offset = base.offset + start + first * model.strides[0]
    return np.fromfile(base.filename, model.dtype, (last - first) * model.shape[1], offset=offset).reshape(-1, model.shape[1])


def hides_labels(evidence: Evidence) -> bool:
    """Whether to know who has a class could tell who is a member."""
    return evidence.protocol == "speaker" or bool((evidence.label[evidence.member >= 0] < 0).any())


def hidden(evidence: Evidence, signals: Signals) -> Signals:
    """The signals as an attacker sees them: without labels where these could tell who is a member."""
    if not hides_labels(evidence):
        return signals
    computed = signals._computed
    blind = signals.without_labels
    if isinstance(signals.logits, OnDisk):
        blind.__dict__["_computed"] = computed
    return blind


def persons(evidence: Evidence) -> np.ndarray | None:
    """Who speaks in each row, int64 [N], -1 where nothing is audited; None where persons are on both sides or not known."""
    if evidence.protocol != "speaker" or not evidence.speakers_known:
        return None
    code = np.unique(evidence.speaker, return_inverse=True)[1]
    return np.where(evidence.member >= 0, code, -1).astype(np.int64)

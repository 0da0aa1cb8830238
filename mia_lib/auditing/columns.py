"""From named arrays to `Evidence`: what saved signals may hold, and what is refused, whatever they were saved in."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mia_lib.auditing.evidence import KINDS, LARGEST, Evidence
from mia_lib.support.errors import MiaError, UsageError, brief

PROTOCOLS = ("utterance", "speaker")
LONGEST = 1000  # letters of a name
KNOWN = (
    "label", "member", "speaker", "recording", "population", "reference_member", "copies", "reference_copies", "control",
    "blind", "sound", "coins",
)  # fmt: skip
"""Names beside the answers, which are called by their kind, and those of reference models, `reference_` and their kind."""


def evidence_of(arrays: Mapping[str, Any], name: str, protocol: str | None = None) -> Evidence:
    """Evidence from named arrays: one of KINDS [N, C], `member` [N], for classifiers `label` [N], and what else of KNOWN.

    name: what is audited, with which errors begin. protocol: None decides by whether members and non-members share speakers.
    Answers are not looked at: they may be on disk, and are checked where they are read. Where no speaker is named, a row's
    label stands for one. Raises MiaError, one sentence, for what is missing or is not what it should be.
    """
    kind = _kind(arrays, name)
    unknown = sorted(set(arrays) - {kind, f"reference_{kind}", *KNOWN})
    if unknown:
        raise MiaError(
            f"{name}: unknown array {unknown[0]!r}: choose from {', '.join((kind, f'reference_{kind}', *KNOWN))}"
        )
    answers = _answers(arrays[kind], 2, kind, name)
    n, width = answers.shape
    if kind != "embeddings" and width < 2:
        raise MiaError(
            f"{name}: {kind} of {width} class cannot be audited: a model must tell two speakers apart at least"
        )
    label, member = _label(arrays, kind, n, width, name), _member(arrays, n, name)
    population = None if "population" not in arrays else whole(arrays["population"], n, 0, 1, "population", name) == 1
    if population is not None and (population & (member >= 0)).any():
        row = int((population & (member >= 0)).argmax()) + 1
        raise MiaError(f"{name}: row {row} is of the population and audited: its member must be -1")
    speaker, recording, known = _who(arrays, label, member, name)
    found = Evidence(
        name, kind, answers, label, member, speaker, recording, known, population,
        **_beside(arrays, kind, n, width, name),
        blind=_finite(arrays.get("blind"), n, "blind", name), sound=_words(arrays.get("sound"), n, "sound", name),
        coins=bool(np.all(arrays.get("coins", False))), found=n,
    )  # fmt: skip
    return with_protocol(found, protocol)


def _label(arrays: Mapping[str, Any], kind: str, n: int, width: int, name: str) -> np.ndarray:
    """The class of each row, int64 [n]; no embedding has one."""
    if kind == "embeddings":
        return np.full(n, -1)
    label = _needed(arrays, "label", "the class of its speaker, -1 if none", name)
    return whole(label, n, -1, width - 1, "label", name).astype(np.int64)


def _member(arrays: Mapping[str, Any], n: int, name: str) -> np.ndarray:
    """Who is a member, int8 [n]; raises MiaError unless there are members and others."""
    member = whole(_needed(arrays, "member", "1 member, 0 non-member, -1 not audited", name), n, -1, 1, "member", name)
    for value, side in ((1, "members"), (0, "non-members")):
        if not (member == value).any():
            raise MiaError(f"{name}: holds no {side} (member = {value}), and an audit needs both")
    return member.astype(np.int8)


def _beside(arrays: Mapping[str, Any], kind: str, n: int, width: int, name: str) -> dict[str, Any]:
    """What other models, and the same about altered versions, answer: fields of Evidence."""
    given = {one: arrays.get(one) for one in ("copies", "reference_copies", "control")}
    given["reference_answers"] = arrays.get(f"reference_{kind}")
    axes = dict(copies=3, reference_copies=4, control=2, reference_answers=3)
    parts = {one: _answers(part, axes[one], one, name) for one, part in given.items() if part is not None}
    for one, part in parts.items():
        if part.shape[-2:] != (n, width):
            raise MiaError(f"{name}: {one} must end with the axes {(n, width)}, as the {kind}, not {part.shape[-2:]}")
    models = len(parts["reference_answers"]) if "reference_answers" in parts else None
    member = _reference_member(arrays.get("reference_member"), models, n, name)
    if "copies" in parts and models:
        wanted = (len(parts["copies"]), models)
        found = parts["reference_copies"].shape[:2] if "reference_copies" in parts else "none"
        if found != wanted:
            raise MiaError(f"{name}: beside copies, reference_copies must begin with the axes {wanted}, not {found}")
    return {**parts, "reference_member": member}


def with_protocol(evidence: Evidence, protocol: str | None) -> Evidence:
    """The evidence under a protocol, which None decides by whether the sides share speakers. Raises UsageError for an unknown
    one, MiaError where a recording, or under `speaker` a person, is on both sides."""
    if protocol not in (None, *PROTOCOLS):
        raise UsageError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    both = on_both_sides(evidence.unit, evidence.member)
    if both:
        name = both[0].partition("\x1f")[2]
        raise MiaError(
            f"{evidence.name}: recording {name!r} is member and non-member: all its rows must be on one side"
        )
    shared = on_both_sides(evidence.speaker, evidence.member)
    if protocol == "speaker" and not evidence.speakers_known:
        raise MiaError(f"{evidence.name}: the protocol speaker needs the column 'speaker': whose voice each row is")
    if protocol == "speaker" and shared:
        raise MiaError(f"{evidence.name}: speaker {shared[0]!r} is member and non-member: use the protocol utterance")
    guess = "utterance" if shared or not evidence.speakers_known else "speaker"
    return replace(evidence, protocol=protocol or guess)


def on_both_sides(unit: np.ndarray, member: np.ndarray) -> list[str]:
    """Which units, str [N], have audited rows among members and among others."""
    return sorted(np.intersect1d(unit[member == 1], unit[member == 0]).tolist())


def whole(values: Any, n: int, low: int, high: int, what: str, name: str) -> np.ndarray:
    """Whole numbers [n] from low to high; raises MiaError naming the first row with another."""
    values = np.asarray(values)
    if values.shape != (n,):
        raise MiaError(f"{name}: {what} must have one entry for each of {n} rows, not the shape {values.shape}")
    plain = values.dtype.kind in "iufb"
    number = values.astype(np.float64) if plain else np.array([_number(value) for value in values])
    bad = ~(number == np.floor(number)) | (number < low) | (number > high)
    if bad.any():
        row = int(bad.argmax())
        shown = values[row] if plain else brief(str(values[row]))
        raise MiaError(f"{name}: {what} of row {row + 1} is {shown}: it must be a whole number from {low} to {high}")
    return number


def _number(value: Any) -> float:
    """A value as a number, NaN for what is none; of any number of digits."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
    except OverflowError:
        return math.inf


def _kind(arrays: Mapping[str, Any], name: str) -> str:
    kinds = [kind for kind in KINDS if kind in arrays]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else f"neither ({', '.join(sorted(arrays)[:8]) or 'nothing'})"
        raise MiaError(f"{name}: must hold one of logits, posteriors and embeddings, and holds {found}")
    return kinds[0]


def _needed(arrays: Mapping[str, Any], what: str, meaning: str, name: str) -> Any:
    if what not in arrays:
        raise MiaError(f"{name}: lacks {what!r} ({meaning})")
    return arrays[what]


def _answers(values: Any, axes: int, what: str, name: str) -> np.ndarray:
    values = values if isinstance(values, np.memmap) else np.asarray(values)
    if values.ndim != axes:
        raise MiaError(f"{name}: {what} must have {axes} axes, not the shape {values.shape}")
    if values.dtype.kind not in "iuf":
        raise MiaError(f"{name}: {what} must hold numbers, not {values.dtype}")
    if not len(values):
        raise MiaError(f"{name}: {what} hold no rows")
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _words(values: Any, n: int, what: str, name: str) -> np.ndarray | None:
    if values is None:
        return None
    values = np.asarray(values)
    if values.shape != (n,):
        raise MiaError(f"{name}: {what} must have one entry for each of {n} rows, not the shape {values.shape}")
    words = np.where(pd.isna(values), "", values.astype(str))
    try:
        "".join(words).encode()
    except UnicodeEncodeError:  # names of files that are not UTF-8
        words = np.array([word.encode("utf-8", "backslashreplace").decode() for word in words])
    return words


def _check_names(names: np.ndarray, member: np.ndarray, what: str, name: str) -> None:
    """Refuse names, str [N], that are none where a row is audited, and those that nobody could read."""
    if (empty := (np.char.strip(names) == "") & (member >= 0)).any():
        raise MiaError(f"{name}: {what} of row {int(empty.argmax()) + 1} is empty: name each, or leave {what} out")
    if (endless := np.char.str_len(names) > LONGEST).any():
        row = int(endless.argmax())
        raise MiaError(
            f"{name}: {what} of row {row + 1} has {len(names[row]):,} letters: at most {LONGEST:,} make a name"
        )


def _who(
    arrays: Mapping[str, Any], label: np.ndarray, member: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Speaker and recording of each row, and whether speakers are known: by name, or by the classes of all rows."""
    n = len(member)
    speaker, recording = (_words(arrays.get(one), n, one, name) for one in ("speaker", "recording"))
    for what, names in (("speaker", speaker), ("recording", recording)):
        if names is not None:
            _check_names(names, member, what, name)
    digits = len(str(n))
    if recording is None:
        recording = np.array([f"row {i:0{digits}}" for i in range(1, n + 1)])
    known = speaker is not None or bool((label >= 0).all())
    if speaker is None:
        wide = len(str(int(label.max(initial=0))))
        speaker = np.array([f"class {c:0{wide}}" for c in label]) if known else recording
    return speaker, recording, known


def _reference_member(values: Any, models: int | None, n: int, name: str) -> np.ndarray | None:
    if values is None and models is None:
        return None
    if values is None or models is None:
        lacking = (
            "reference_member [K, N], who trained on what" if values is None else "the answers of reference models"
        )
        raise MiaError(f"{name}: lacks {lacking}: reference models need both")
    values = np.asarray(values)
    if values.shape != (models, n):
        raise MiaError(f"{name}: reference_member must have the shape {(models, n)}, not {values.shape}")
    return np.stack(
        [whole(row, n, -1, 1, f"reference_member of model {k}", name) for k, row in enumerate(values)]
    ).astype(np.int8)


def _finite(values: Any, n: int, what: str, name: str) -> np.ndarray | None:
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or len(values) != n or not values.shape[1]:
        raise MiaError(
            f"{name}: {what} must have {n} rows and one column for each statistic, not the shape {values.shape}"
        )
    bad = ~(np.abs(values) <= LARGEST).all(1)
    if bad.any():
        raise MiaError(
            f"{name}: {what} of row {int(bad.argmax()) + 1} holds a value that is no finite number, or beyond {LARGEST:g}"
        )
    return values

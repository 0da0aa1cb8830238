"""Every recording's answer from somebody's model, and what the model does wrong on the way, one clear sentence each."""

from collections.abc import Callable, Sequence

import numpy as np

from mia_lib.auditing.hearing import Rows
from mia_lib.auditing.served import Here, NoAnswer, Served
from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import tell

BATCH, BATCH_SAMPLES = 16, 120 * SAMPLE_RATE  # rows, and samples, of one question at most
TRIED = 3  # rows on which a model is tried before it is asked about all
SAME = 0.01
"""Answers of a row that lie apart by more than this share of the answers' whole range are not the same."""

Asked = Served | Here


def try_out(model: Asked, audio: Rows, rows: Sequence[int]) -> int:
    """The width C of a model's answers, from a few rows asked alone and together.

    Raises MiaError, one sentence, where it answers none of them, wants another length, gives something else than [B, C], or
    answers a row differently in a batch. One whose answers are random is said to be so, and used.
    """
    length = min(audio.length(row) for row in rows)
    if model.samples not in (None, length):
        seconds = f"{model.samples / SAMPLE_RATE:g}"
        raise MiaError(
            f"the model {model.name} takes {model.samples} samples at a time, not {length}: say --seconds {seconds}, "
            f"which are so many at {SAMPLE_RATE / 1000:g} kHz, or wrap it in a function if it wants another rate"
        )
    waves = np.stack([audio[row][:length] for row in rows])
    alone, why = [], ""
    for wave in waves:
        try:
            alone.append(_asked(model, wave[None]))
        except NoAnswer as error:
            why = str(error)
    if not alone:
        raise MiaError(
            f"the model {model.name} answers none of the first {len(rows)} recordings ({length / SAMPLE_RATE:g} s at "
            f"16 kHz): {why}; if it wants another length say so with --seconds, if another rate wrap it in a function"
        )
    if len({answer.shape[1] for answer in alone}) > 1:
        raise MiaError(_changing(model, alone[0], next(a for a in alone if a.shape[1] != alone[0].shape[1])))
    if not why and model.batch is None and len(rows) > 1:
        _compare(model, waves, np.concatenate(alone))
    return alone[0].shape[1]


def _compare(model: Asked, waves: np.ndarray, alone: np.ndarray) -> None:
    """Refuse a model whose answer to a row depends on the rows beside it."""
    try:
        again, together = _asked(model, waves[:1]), _asked(model, waves)
    except NoAnswer as error:
        tell(f"the model {model.name} fails on several recordings at once ({error}) and is asked one by one")
        model.batch = 1
        return
    if together.shape[1] != alone.shape[1]:
        raise MiaError(_changing(model, alone, together))
    if not (np.isfinite(alone).all() and np.isfinite(together).all()):
        return
    tolerated = SAME * max(float(np.ptp(alone)), 1e-6)
    if np.abs(again - alone[:1]).max() > tolerated:
        tell(
            f"the model {model.name} answers the same recording differently each time: its answers are taken as they come"
        )
    elif np.abs(together - alone).max() > tolerated:
        raise MiaError(
            f"the model {model.name} answers a recording differently alone and in a batch, by up to "
            f"{np.abs(together - alone).max():.3g}: put it into evaluation mode, and let nothing be normalised over the batch"
        )


def answers(
    model: Asked, audio: Rows, width: int, names: np.ndarray, max_failed: int, done: Callable[[int], object] = int
) -> tuple[np.ndarray, dict[int, str]]:
    """A model's answers to all rows, float [N, C], and the rows that it did not answer: their number -> why.

    names: of the rows' recordings, for messages. Rows of equal length are asked together; where that fails, one by one. Rows
    with NaN or without a finite number count as not answered. done: is told how many rows were asked about. Raises MiaError
    after more than `max_failed` recordings.
    """
    out, failed = np.full((len(audio), width), np.nan, np.float32), dict[int, str]()
    for rows in _batches(audio, model.batch or BATCH):
        for row, answer in zip(rows, _ask_rows(model, np.stack([audio[row] for row in rows]), width), strict=True):
            if isinstance(answer, str):
                failed[row] = answer
                continue
            if answer.dtype == np.float64 and out.dtype != np.float64:
                out = out.astype(np.float64)
            out[row] = answer
        if (lost := len({names[row] for row in failed})) > max_failed:
            row, why = next(iter(failed.items()))
            raise MiaError(
                f"the model {model.name} fails on {lost} recordings, more than --max-bad allows; the first is "
                f"{names[row]}: {why}"
            )
        done(len(rows))
    return out, failed


def _batches(audio: Rows, most: int) -> list[list[int]]:
    """Rows of equal length in questions of at most `most` of them, in the order of their first rows."""
    of_length: dict[int, list[int]] = {}
    for row in range(len(audio)):
        of_length.setdefault(audio.length(row), []).append(row)
    batches = []
    for length, rows in of_length.items():
        size = max(1, min(most, BATCH_SAMPLES // length))
        batches += [rows[i : i + size] for i in range(0, len(rows), size)]
    return sorted(batches, key=lambda rows: rows[0])


def _ask_rows(model: Asked, waves: np.ndarray, width: int) -> list[np.ndarray | str]:
    """The answer to each of some waveforms [B, T], or why there is none: those that have none are asked again alone."""
    found: list[np.ndarray | str]
    try:
        found = [_judged(row, width) for row in _asked(model, waves)]
    except NoAnswer as error:
        found = [str(error)] * len(waves)
    if len(waves) == 1:
        return found
    return [
        _ask_rows(model, waves[i : i + 1], width)[0] if isinstance(one, str) else one for i, one in enumerate(found)
    ]


def _judged(answer: np.ndarray, width: int) -> np.ndarray | str:
    if len(answer) != width:
        return f"its answer has {len(answer)} numbers where others have {width}"
    if np.isnan(answer).any() or np.isposinf(answer).any() or not np.isfinite(answer).any():
        return "its answer holds values that are not numbers (NaN or infinite)"
    return answer


def _asked(model: Asked, waves: np.ndarray) -> np.ndarray:
    """Answers [B, C] to waveforms float32 [B, T]; raises MiaError where they have another shape."""
    given = np.resize(waves, (model.batch, waves.shape[1])) if model.batch else waves
    found = model(given)
    if found.ndim != 2 or len(found) != len(given):
        raise MiaError(
            f"the model {model.name} answers {len(given)} recordings with an array of shape {list(found.shape)}: it must "
            f"give one row for each, [{len(given)}, C]"
        )
    return found[: len(waves)]


def _changing(model: Asked, one: np.ndarray, other: np.ndarray) -> str:
    return (
        f"the model {model.name} gives {one.shape[1]} numbers for a recording and then {other.shape[1]}: it must give "
        "the same classes, in the same order, each time"
    )

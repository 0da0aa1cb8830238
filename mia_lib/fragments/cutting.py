"""Fixed-length fragments of a corpus: one memory-mapped int16 array on disk with a table beside it."""

import errno
import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mia_lib.corpora.audio import MAX_SECONDS, SAMPLE_RATE, check, resample, to_int16, to_mono
from mia_lib.corpora.base import Corpus, Utterance, utterances
from mia_lib.corpora.found import real, shown
from mia_lib.fragments.accounts import FEW, KEPT, SHORT, SILENT, USED, account, judge, refuse_lost
from mia_lib.fragments.choosing import Choice, choose, need_speakers
from mia_lib.fragments.decoded import AUDIO, Decoded
from mia_lib.fragments.duplicates import mark
from mia_lib.fragments.tally import Cut, Tally
from mia_lib.support.cache import Cache, content
from mia_lib.support.errors import MiaError
from mia_lib.support.parallel import ordered_map
from mia_lib.support.progress import progress
from mia_lib.support.settings import MIN_SOURCES

if TYPE_CHECKING:
    import pandas as pd

    from mia_lib.support.settings import Settings

PASSING = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
"""What the system says of a file that may well be readable in a minute: this is no fault of the recording."""
CHUNK = 16  # utterances per task of a worker
MANIFEST, REPORT, FATES = "manifest.parquet", "report.json", "fates.json"


@dataclass(frozen=True)
class Fragments:
    """All fragments of the chosen utterances.

    audio: [N, samples] int16, memory-mapped and read-only. manifest: N rows with the columns `utterance`, `speaker`,
    `source`, `start` (seconds into the utterance), `gender`, `subset`, `room`, `mic`, `distractor`, `degrees`,
    `original_rate` (Hz). report: what was read, skipped and dropped (see `make_fragments`). key: digest of audio and
    manifest.
    """

    audio: np.ndarray
    manifest: "pd.DataFrame"
    report: dict
    key: str
    sample_rate: int = SAMPLE_RATE


def make_fragments(
    corpus: Corpus,
    cache: Cache,
    settings: "Settings",
    seed: int,
    max_bad: float = 0.05,
    workers: int | None = None,
    check_choice: "Callable[[pd.DataFrame], None] | None" = None,
) -> Fragments:
    """Choose speakers and utterances of `corpus` by `seed`, decode them and cut them into fragments, as a cached stage.

    The report counts `utterances` (chosen), `read`, `bad` (with `bad_examples`, a sentence each), `resampled`,
    `mixed_down`, `clipped`, `capped` (longer than MAX_SECONDS, the rest not read), `padded`, `dropped_short`,
    `silent_fragments`, `shorter` (by a little than the header says), `duplicates` (with `duplicate_examples`), `speakers`,
    `speakers_dropped` (too few usable utterances; some are named in `speakers_dropped_names`), `fragments` and `seconds`;
    and, by `accounts.account`, everything that was
    found in the corpus. workers: processes that decode; None means one per processor core. check_choice: is shown the chosen
    rows of the corpus before anything is decoded, and raises MiaError if they cannot do.
    Raises MiaError if more than the share `max_bad` of the recordings is lost, one recording is under two speakers, or
    fewer than MIN_SPEAKERS speakers remain; and if recordings changed while they were read.
    """
    import pandas as pd

    survey = corpus.survey()
    refuse_lost(survey, max_bad)
    choice, begun = choose(survey.table, settings, seed), time.time_ns()
    if check_choice:
        check_choice(choice.rows)
    length, hop = (round(s * SAMPLE_RATE) for s in (settings.fragment_seconds, settings.fragment_hop_seconds))
    read = choice.rows if corpus.synthetic else pd.concat([choice.rows, choice.spare], ignore_index=True)
    data = corpus.fingerprint(read)
    params = {"data": data, "rows": _table_digest(read), "length": length}
    params |= {"hop": hop, "short": settings.short_utterances, "dropped": choice.dropped, "most": choice.most}
    if len(choice.rows) < 4 * CHUNK and not corpus.synthetic:
        workers = 1
    task = partial(cut_chunk, corpus, length, hop, settings.short_utterances)

    def build(folder: Path, scratch: Path) -> None:
        decoded = Decoded(scratch, length)
        taken, tally = _decode(corpus, choice, task, decoded, workers)
        _refuse_changed(corpus, read, data, begun)
        manifest = _write_manifest(folder, decoded.audio, taken, tally, length, hop)
        gone = {*choice.dropped, *taken["speaker"].unique()} - {*manifest["speaker"].unique()}
        fates = zip(tally.fates, taken["speaker"], strict=True)
        tally.fates = [FEW if fate == USED and speaker in gone else fate for fate, speaker in fates]
        report = _report(tally, manifest, sorted(gone), length)
        (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        more = [*taken["utterance"][len(choice.rows) :]]
        (folder / FATES).write_text(json.dumps({"more": more, "fates": tally.fates}), encoding="utf-8")

    folder = cache.stage("fragments", params, build, [type(corpus)])
    report, became = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (REPORT, FATES))
    more = choice.spare.set_index("utterance", drop=False).loc[became["more"]]
    report |= account(survey, pd.concat([choice.rows, more]), became["fates"], choice.dropped)
    judge(report, survey, max_bad)
    need_speakers(report["speakers"], report["speakers_dropped_names"], _too_short(report, settings))
    return _load(folder, length, report)


def _refuse_changed(corpus: Corpus, rows: "pd.DataFrame", before: str, begun: int) -> None:
    """Raise MiaError if recordings are not what they were `before`, by their fingerprint; begun: when that was taken, in
    nanoseconds since 1970."""
    if corpus.fingerprint(rows) == before:
        return
    which = corpus.changed_since(rows, begun)
    raise MiaError(
        f"recordings of {corpus.name} changed while they were read{f', {which} among them' if which else ''}: give the same "
        "command again when nothing writes to them any more"
    )


def _decode(
    corpus: Corpus, choice: Choice, task: Callable, decoded: Decoded, workers: int | None
) -> tuple["pd.DataFrame", Tally]:
    """Decode what was chosen and, where some of it turns out to be copies, what comes next in their place: the rows, and the
    tally of them. What was decoded before is there already."""
    import pandas as pd

    label, taken, batch, chunks = f"fragments of {corpus.name.partition(':')[0]}", choice.rows, choice.rows, 0
    while True:
        waiting = islice(_chunks(batch), max(0, decoded.chunks - chunks), None)
        chunks += -(-len(batch) // CHUNK)
        with (
            progress(label, len(batch), "utterances") as bar,
            closing(ordered_map(task, waiting, workers)) as cuts,
        ):
            bar.update(min(len(batch), decoded.tally.counts["utterances"] - len(taken) + len(batch)))
            tally = decoded.add(cuts, bar)
        if corpus.synthetic:
            return taken, tally
        tally.find_copies(corpus, taken, workers)
        batch = choice.instead_of_copies(taken, tally.fates[: len(taken)])
        if batch.empty:
            return taken, tally
        taken = pd.concat([taken, batch], ignore_index=True)


def cut_chunk(corpus: Corpus, length: int, hop: int, short: str, rows: list[Utterance]) -> list[Cut]:
    """Decode and cut the utterances `rows`; what cannot be decoded becomes a bad `Cut`."""
    cuts = []
    for row in rows:
        try:
            heard = corpus.read(row)
        except MiaError as error:
            if getattr(error.__context__, "errno", None) in PASSING:
                raise MiaError(f"{error}: the same command goes on from here once it can be read") from error
            cuts.append(Cut(np.empty((0, length), np.int16), bad=str(error)))
        else:
            cut = _cut(*heard, length, hop, short, row.path)
            told = {"shorter": "shorter", "mixed": "mixed_down"}
            notes = [note for name, note in told.items() if getattr(heard, name, False)]
            cuts.append(cut if cut.bad else cut._replace(notes=(*cut.notes, *notes)))
    return cuts


def _cut(samples: np.ndarray, rate: int, length: int, hop: int, short: str, name: str) -> Cut:
    """Cut a decoded utterance into fragments of `length` samples, one every `hop`; the remainder is dropped.

    What is silent is looked for here, in what models would hear: channels can cancel, and a pause can fill a fragment.
    """
    mono = resample(to_mono(samples), rate)
    happened = {
        "resampled": rate != SAMPLE_RATE,
        "mixed_down": samples.ndim > 1 and samples.shape[1] > 1,
        "capped": len(samples) >= MAX_SECONDS * rate,
        "clipped": len(mono) > 0 and np.abs(mono).max() > 1,
    }
    notes = [name for name, true in happened.items() if true]
    signal = to_int16(mono)
    try:
        check(signal / np.float32(32768), shown(real(name)), ", at 16 kHz with its channels mixed")
    except MiaError as error:
        return Cut(np.empty((0, length), np.int16), bad=str(error))
    if len(signal) >= length:
        pieces = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    elif 2 * len(signal) >= length and short == "pad":
        pieces = np.resize(signal, (1, length))  # repeats the signal
        notes.append("padded")
    else:
        notes.append("dropped_short")
        return Cut(np.empty((0, length), np.int16), (), rate, SHORT, notes=tuple(notes))
    sound = np.flatnonzero([max(int(piece.max()), -int(piece.min())) > 1 for piece in pieces])
    fate, silent = USED if len(sound) else SILENT, len(pieces) - len(sound)
    return Cut(pieces[sound], sound.tolist(), rate, fate, mark(signal), silent, tuple(notes))


def _write_manifest(
    folder: Path, audio: Path, chosen: "pd.DataFrame", tally: Tally, length: int, hop: int
) -> "pd.DataFrame":
    """Write the table of the fragments and bring their `audio`; copies, and speakers with too few usable sources, are left
    out of both."""
    manifest = chosen.drop(columns="path").iloc[np.asarray(tally.rows)].reset_index(drop=True)
    manifest.insert(3, "start", np.asarray(tally.places) * hop / SAMPLE_RATE)
    manifest["original_rate"] = np.asarray(tally.rates, np.int32)
    first = np.array([fate == USED for fate in tally.fates], bool)[np.asarray(tally.rows, np.int64)]
    sources = manifest[first].groupby("speaker", observed=True)["source"].nunique()
    keep = first & manifest["speaker"].isin(sources.index[sources >= MIN_SOURCES]).to_numpy()
    if keep.all():
        audio.replace(folder / AUDIO)
    else:
        _copy_fragments(audio, folder / AUDIO, keep, length)
        manifest = manifest[keep].reset_index(drop=True)
    for column in manifest.select_dtypes("category"):
        manifest[column] = manifest[column].cat.remove_unused_categories()
    manifest.to_parquet(folder / MANIFEST, index=False)
    return manifest


def _copy_fragments(source: Path, target: Path, keep: np.ndarray, length: int) -> None:
    """Write a raw audio file with the fragments of another where `keep` [N] is true."""
    fragments = np.memmap(source, np.int16, "r").reshape(-1, length)
    with open(target, "wb") as file:
        for i in np.flatnonzero(keep):
            file.write(fragments[i].tobytes())


def _report(tally: Tally, manifest: "pd.DataFrame", gone: list[str], length: int) -> dict:
    """The counts that `make_fragments` promises; `gone` names the speakers that had to be dropped."""
    counted = (
        "utterances",
        "read",
        "bad",
        "resampled",
        "mixed_down",
        "clipped",
        "capped",
        "padded",
        "dropped_short",
        "shorter",
    )
    return {name: tally.counts[name] for name in (*counted, "silent_fragments")} | {
        "speakers": manifest["speaker"].nunique(),
        "speakers_dropped": len(gone),
        "fragments": len(manifest),
        "seconds": len(manifest) * length / SAMPLE_RATE,
        "bad_examples": tally.bad_examples,
        "duplicate_examples": tally.duplicate_examples,
        "shared": tally.shared,
        "speakers_dropped_names": gone[:KEPT],
    }


def _chunks(table: "pd.DataFrame"):
    for first in range(0, len(table), CHUNK):
        yield list(utterances(table.iloc[first : first + CHUNK]))


def _too_short(report: dict, settings: "Settings") -> str:
    """Where most recordings were dropped for their length: that the setting is the cause, and by how many."""
    short, usable = report["dropped_short"], report["read"]
    if 2 * short <= usable:
        return ""
    least = "half of " if settings.short_utterances == "pad" else ""
    return f": {short} of {usable} recordings are shorter than {least}fragment_seconds={settings.fragment_seconds:g}"


def _table_digest(table: "pd.DataFrame") -> str:
    import hashlib

    import pandas as pd

    state = hashlib.sha256()
    for first in range(0, len(table), 100_000):
        rows = table.iloc[first : first + 100_000]
        state.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return state.hexdigest()[:16]


def _load(folder: Path, length: int, report: dict) -> Fragments:
    import pandas as pd

    manifest = pd.read_parquet(folder / MANIFEST)
    audio = np.memmap(folder / AUDIO, np.int16, "r", shape=(len(manifest), length))
    return Fragments(audio, manifest, report, content(folder, AUDIO, MANIFEST))

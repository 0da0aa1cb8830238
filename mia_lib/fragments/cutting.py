"""Fixed-length fragments of a corpus: one memory-mapped int16 array on disk with a table beside it."""

import errno
import json
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
from mia_lib.fragments.decoded import AUDIO, Decoded
from mia_lib.fragments.duplicates import mark
from mia_lib.fragments.tally import Cut, Tally
from mia_lib.support.cache import Cache, content
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError
from mia_lib.support.parallel import ordered_map
from mia_lib.support.progress import progress
from mia_lib.support.settings import MIN_SOURCES, MIN_SPEAKERS

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
    fewer than MIN_SPEAKERS speakers remain.
    """
    survey = corpus.survey()
    refuse_lost(survey, max_bad)
    chosen, dropped = choose(survey.table, settings, seed)
    if check_choice:
        check_choice(chosen)
    length, hop = (round(s * SAMPLE_RATE) for s in (settings.fragment_seconds, settings.fragment_hop_seconds))
    params = {"data": corpus.fingerprint(chosen), "rows": _table_digest(chosen), "length": length}
    params |= {"hop": hop, "short": settings.short_utterances, "dropped": dropped}
    if len(chosen) < 4 * CHUNK and not corpus.synthetic:
        workers = 1
    task = partial(cut_chunk, corpus, length, hop, settings.short_utterances)
    label = f"fragments of {corpus.name.partition(':')[0]}"

    def build(folder: Path, scratch: Path) -> None:
        decoded = Decoded(scratch, length)
        waiting = islice(_chunks(chosen), decoded.chunks, None)
        with (
            progress(label, len(chosen), "utterances") as bar,
            closing(ordered_map(task, waiting, workers)) as chunks,
        ):
            bar.update(decoded.tally.counts["utterances"])
            tally = decoded.add(chunks, bar)
        if not corpus.synthetic:
            tally.find_copies(corpus, chosen, workers)
        manifest = _write_manifest(folder, decoded.audio, chosen, tally, length, hop)
        gone = {*dropped, *chosen["speaker"].unique()} - {*manifest["speaker"].unique()}
        tally.fates = [
            FEW if f == USED and s in gone else f for f, s in zip(tally.fates, chosen["speaker"], strict=True)
        ]
        report = _report(tally, manifest, sorted(gone), length)
        (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
        (folder / FATES).write_text(json.dumps(tally.fates), encoding="utf-8")

    folder = cache.stage("fragments", params, build, [type(corpus)])
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    report |= account(survey, chosen, json.loads((folder / FATES).read_text(encoding="utf-8")), dropped)
    judge(report, survey, max_bad)
    _need_speakers(report["speakers"], report["speakers_dropped_names"], _too_short(report, settings))
    return _load(folder, length, report)


def choose(table: "pd.DataFrame", settings: "Settings", seed: int) -> tuple["pd.DataFrame", list[str]]:
    """The rows of at most `max_speakers` speakers and `max_utterances` sources of each, and the speakers with too few.

    Which ones is drawn by `seed`. All recordings of a chosen source are kept. Raises MiaError if speakers are too few.
    """
    random = generator(seed, "speakers and recordings of a corpus")
    sources = table[["speaker", "source"]].drop_duplicates()
    counts = sources["speaker"].value_counts().sort_index()
    usable = counts.index[counts >= MIN_SOURCES].astype("str")
    dropped = sorted(counts.index[(counts > 0) & (counts < MIN_SOURCES)].astype("str"))
    _need_speakers(len(usable), dropped)
    speakers = random.permutation(np.sort(np.asarray(usable, dtype=object)))[: settings.max_speakers or None]
    sources = sources[sources["speaker"].isin(speakers)]
    if settings.max_utterances:
        shuffled = sources.iloc[random.permutation(len(sources))]
        sources = shuffled[shuffled.groupby("speaker", observed=True).cumcount() < settings.max_utterances]
    chosen = table[table["speaker"].isin(speakers) & table["source"].isin(sources["source"])]
    return chosen.reset_index(drop=True), dropped


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
            cuts.append(cut._replace(notes=(*cut.notes, "shorter")) if getattr(heard, "shorter", False) else cut)
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
        check(signal / np.float32(32768), shown(real(name)))
    except MiaError as error:
        return Cut(np.empty((0, length), np.int16), bad=f"{error}, at 16 kHz with its channels mixed")
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


def _need_speakers(count: int, dropped: list[str], why: str = "") -> None:
    if count >= MIN_SPEAKERS:
        return
    few = f"; too few have {', '.join(dropped[:5])}{' and others' if len(dropped) > 5 else ''}" if dropped else ""
    raise MiaError(
        f"a corpus needs at least {MIN_SPEAKERS} speakers with {MIN_SOURCES} usable utterances each, "
        f"and this one has {count}{why or few}"
    )


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

"""Fixed-length fragments of a corpus: one memory-mapped int16 array on disk with a table beside it."""

import json
from array import array
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mia_lib.corpora.audio import MAX_SECONDS, SAMPLE_RATE, resample, to_int16, to_mono
from mia_lib.corpora.base import Corpus, Utterance, utterances
from mia_lib.support.cache import Cache, content
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError
from mia_lib.support.parallel import ordered_map
from mia_lib.support.progress import Bar, progress

if TYPE_CHECKING:
    import pandas as pd

    from mia_lib.support.settings import Settings

MIN_SOURCES = 4  # a speaker with fewer usable source utterances cannot be split into members and non-members
MIN_SPEAKERS = 8  # fewer cannot be split between target, shadows and outsiders
CHUNK = 16  # utterances per task of a worker
KEPT = 50  # names and reasons listed in a report; all are counted
AUDIO, MANIFEST, REPORT = "audio.i16", "manifest.parquet", "report.json"


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


class Cut(NamedTuple):
    """One decoded utterance: its fragments, or the reason why it cannot be used."""

    pieces: np.ndarray  # [k, samples] int16
    rate: int = 0  # Hz, before resampling
    notes: tuple[str, ...] = ()  # what was done to it; the names of counts in the report
    bad: str = ""


def make_fragments(
    corpus: Corpus,
    cache: Cache,
    settings: "Settings",
    seed: int,
    max_bad: float = 0.05,
    workers: int | None = None,
) -> Fragments:
    """Choose speakers and utterances of `corpus` by `seed`, decode them and cut them into fragments, as a cached stage.

    The report counts `utterances` (chosen), `read`, `bad` (with `bad_examples`, a sentence each), `resampled`,
    `mixed_down`, `clipped`, `capped` (longer than MAX_SECONDS, the rest not read), `padded`, `dropped_short`,
    `speakers`, `speakers_dropped` (too few usable utterances; some are named in `speakers_dropped_names`),
    `fragments` and `seconds`. workers: processes that decode; None means one per processor core.
    Raises MiaError if more than the share `max_bad` of the utterances is bad, or fewer than MIN_SPEAKERS speakers
    remain.
    """
    chosen, dropped = choose(corpus.table(), settings, seed)
    length, hop = (round(s * SAMPLE_RATE) for s in (settings.fragment_seconds, settings.fragment_hop_seconds))
    params = {"data": corpus.fingerprint(chosen), "rows": _table_digest(chosen), "length": length}
    params |= {"hop": hop, "short": settings.short_utterances, "dropped": dropped}
    if len(chosen) < 4 * CHUNK and not corpus.synthetic:
        workers = 1
    task = partial(cut_chunk, corpus, length, hop, settings.short_utterances)
    label = f"fragments of {corpus.name.partition(':')[0]}"

    def build(folder: Path, _scratch: Path) -> None:
        with (
            progress(label, len(chosen), "utterances") as bar,
            closing(ordered_map(task, _chunks(chosen), workers)) as chunks,
        ):
            tally = _write_audio(folder / AUDIO, chunks, bar)
        manifest = _write_manifest(folder, chosen, tally, length, hop)
        gone = {*dropped, *chosen["speaker"].unique()} - {*manifest["speaker"].unique()}
        report = _report(tally, manifest, sorted(gone), length)
        (folder / REPORT).write_text(json.dumps(report, indent=1))

    folder = cache.stage("fragments", params, build, [type(corpus)])
    report = json.loads((folder / REPORT).read_text())
    _judge(report, max_bad)
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
            samples, rate = corpus.read(row)
        except MiaError as error:
            cuts.append(Cut(np.empty((0, length), np.int16), bad=str(error)))
        else:
            cuts.append(_cut(samples, rate, length, hop, short))
    return cuts


def _cut(samples: np.ndarray, rate: int, length: int, hop: int, short: str) -> Cut:
    """Cut a decoded utterance into fragments of `length` samples, one every `hop`; the remainder is dropped."""
    mono = resample(to_mono(samples), rate)
    happened = {
        "resampled": rate != SAMPLE_RATE,
        "mixed_down": samples.ndim > 1 and samples.shape[1] > 1,
        "capped": len(samples) >= MAX_SECONDS * rate,
        "clipped": len(mono) > 0 and np.abs(mono).max() > 1,
    }
    notes = [name for name, true in happened.items() if true]
    signal = to_int16(mono)
    if len(signal) >= length:
        pieces = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    elif 2 * len(signal) >= length and short == "pad":
        pieces = np.resize(signal, (1, length))  # repeats the signal
        notes.append("padded")
    else:
        pieces = np.empty((0, length), np.int16)
        notes.append("dropped_short")
    return Cut(pieces, rate, tuple(notes))


@dataclass
class Tally:
    """What decoding left behind, beside the audio: arrays with one entry per fragment, and counts per utterance."""

    rows: array = field(default_factory=lambda: array("q"))  # number of its utterance
    places: array = field(default_factory=lambda: array("q"))  # its number within the utterance
    rates: array = field(default_factory=lambda: array("i"))  # Hz, of the recording
    counts: Counter = field(default_factory=Counter)
    bad_examples: list[str] = field(default_factory=list)


def _write_audio(path: Path, chunks: Iterable[list[Cut]], bar: Bar) -> Tally:
    """Append the fragments to one raw file as they come, so that memory does not grow with the corpus."""
    tally = Tally()
    with open(path, "wb") as audio:
        for cuts in chunks:
            for cut in cuts:
                audio.write(cut.pieces.tobytes())
                tally.rows.extend([tally.counts["utterances"]] * len(cut.pieces))
                tally.places.extend(range(len(cut.pieces)))
                tally.rates.extend([cut.rate] * len(cut.pieces))
                tally.counts.update(["utterances", "bad" if cut.bad else "read", *cut.notes])
                if cut.bad and len(tally.bad_examples) < KEPT:
                    tally.bad_examples.append(cut.bad)
            bar.update(len(cuts))
    return tally


def _write_manifest(folder: Path, chosen: "pd.DataFrame", tally: Tally, length: int, hop: int) -> "pd.DataFrame":
    """Write the table of the fragments; those of speakers with too few usable sources leave it and the audio file."""
    manifest = chosen.drop(columns="path").iloc[np.asarray(tally.rows)].reset_index(drop=True)
    manifest.insert(3, "start", np.asarray(tally.places) * hop / SAMPLE_RATE)
    manifest["original_rate"] = np.asarray(tally.rates, np.int32)
    sources = manifest.groupby("speaker", observed=True)["source"].nunique()
    keep = manifest["speaker"].isin(sources.index[sources >= MIN_SOURCES]).to_numpy()
    if not keep.all():
        _keep_fragments(folder / AUDIO, keep, length)
        manifest = manifest[keep].reset_index(drop=True)
    for column in manifest.select_dtypes("category"):
        manifest[column] = manifest[column].cat.remove_unused_categories()
    manifest.to_parquet(folder / MANIFEST, index=False)
    return manifest


def _keep_fragments(path: Path, keep: np.ndarray, length: int) -> None:
    """Rewrite the raw audio file with the fragments where `keep` [N] is true."""
    fragments, kept = np.memmap(path, np.int16, "r").reshape(-1, length), path.with_suffix(".kept")
    with open(kept, "wb") as file:
        for i in np.flatnonzero(keep):
            file.write(fragments[i].tobytes())
    del fragments
    kept.replace(path)


def _report(tally: Tally, manifest: "pd.DataFrame", gone: list[str], length: int) -> dict:
    """The counts that `make_fragments` promises; `gone` names the speakers that had to be dropped."""
    counted = ("utterances", "read", "bad", "resampled", "mixed_down", "clipped", "capped", "padded", "dropped_short")
    return {name: tally.counts[name] for name in counted} | {
        "speakers": manifest["speaker"].nunique(),
        "speakers_dropped": len(gone),
        "fragments": len(manifest),
        "seconds": len(manifest) * length / SAMPLE_RATE,
        "bad_examples": tally.bad_examples,
        "speakers_dropped_names": gone[:KEPT],
    }


def _chunks(table: "pd.DataFrame"):
    for first in range(0, len(table), CHUNK):
        yield list(utterances(table.iloc[first : first + CHUNK]))


def _judge(report: dict, max_bad: float) -> None:
    """Raise MiaError if too many recordings are bad or too few speakers are left."""
    bad, total = report["bad"], report["utterances"]
    if bad > max_bad * total:
        raise MiaError(
            f"{bad} of {total} recordings cannot be used, more than the {max_bad:.0%} that --max-bad allows; "
            f"the first is {report['bad_examples'][0]}"
        )
    _need_speakers(report["speakers"], report["speakers_dropped_names"])


def _need_speakers(count: int, dropped: list[str]) -> None:
    if count >= MIN_SPEAKERS:
        return
    few = f"; too few have {', '.join(dropped[:5])}{' and others' if len(dropped) > 5 else ''}" if dropped else ""
    raise MiaError(
        f"a corpus needs at least {MIN_SPEAKERS} speakers with {MIN_SOURCES} usable utterances each, "
        f"and this one has {count}{few}"
    )


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

"""Do a hundred thousand recordings stream through index, fragments and features? Run by hand, nothing is asserted:

    python tests/benchmarks/streaming.py [--recordings 100000] [--seconds 3] [--sample 4000] [--folder FOLDER]

A folder of FLAC files, 105 of each speaker, all different, is made first (where --folder is not given it is removed at the
end; 100,000 need 20 GB). Printed: what decoding alone costs on all cores, and MFCC of samples in memory, both from the first
of the files; what the index, the fragments and the features of all cost as a run makes them, in an empty cache; the share of
the former in the latter; and the most memory that this process and its workers held together, files that are only mapped left
out.
"""

import argparse
import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import soundfile

from mia_lib.corpora.audio import SAMPLE_RATE, read_audio
from mia_lib.corpora.base import open_corpus
from mia_lib.features.compute import compute_features, extract
from mia_lib.fragments.cutting import CHUNK, make_fragments
from mia_lib.support.cache import Cache
from mia_lib.support.parallel import ordered_map
from mia_lib.support.settings import resolve

EACH = 105  # recordings of a speaker
LOOK = 0.5  # seconds between two looks at the memory


def record(task: tuple[Path, int, int]) -> None:
    """Write one recording: noise that rises and falls as syllables do, each in its own way."""
    path, number, length = task
    random = np.random.default_rng(number)
    course = np.interp(np.arange(length), np.linspace(0, length, 16), random.exponential(size=16))
    sound = random.standard_normal(length) * course
    soundfile.write(path, (0.1 * sound / np.abs(sound).max()).astype(np.float32), SAMPLE_RATE, subtype="PCM_16")


def make_corpus(folder: Path, recordings: int, length: int) -> None:
    paths = [folder / f"s{i // EACH:05}" / f"{i % EACH:03}.flac" for i in range(recordings)]
    for speaker in {path.parent for path in paths}:
        speaker.mkdir(parents=True, exist_ok=True)
    tasks = [(path, i, length) for i, path in enumerate(paths) if not path.exists()]
    for _ in ordered_map(record, tasks):
        pass


def decode(paths: list[Path]) -> None:
    for path in paths:
        read_audio(path)


@contextlib.contextmanager
def most_memory() -> Iterator[list[int]]:
    """Bytes that were held at most within the block: the one number of the list."""
    most, done = [0], threading.Event()

    def held(process: psutil.Process) -> int:
        with contextlib.suppress(psutil.Error):
            about = process.memory_info()
            return about.rss - about.shared
        return 0

    def look() -> None:
        while not done.wait(LOOK):
            this = psutil.Process()
            most[0] = max(most[0], sum(map(held, (this, *this.children(recursive=True)))))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield most
    done.set()
    thread.join()


def by_themselves(folder: Path, sample: int, settings) -> tuple[float, float]:
    """Seconds that decoding a recording takes on all cores, and the feature of a fragment."""
    paths = sorted(folder.rglob("*.flac"))[:sample]
    tasks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    list(ordered_map(decode, tasks[:8]))  # starts and warms up
    lengths = {}
    for part in (tasks[: len(tasks) // 4], tasks):  # what starting workers takes falls out of the difference
        started = time.perf_counter()
        list(ordered_map(decode, part))
        lengths[len(part)] = time.perf_counter() - started
    (few, short), (many, long) = sorted(lengths.items())
    audio = np.stack([(read_audio(path)[0][: 3 * SAMPLE_RATE] * 32768).astype(np.int16) for path in paths[:1000]])
    extract(settings.feature, [audio], settings.hop)
    started = time.perf_counter()
    extract(settings.feature, [audio], settings.hop)
    return (long - short) / (CHUNK * (many - few)), (time.perf_counter() - started) / len(audio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sample", type=int, default=4000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    settings = resolve(overrides={"fragment_hop_seconds": 3.0})
    with tempfile.TemporaryDirectory(prefix="streaming-") as temporary:
        folder = options.folder or Path(temporary) / "corpus"
        make_corpus(folder, options.recordings, round(options.seconds * SAMPLE_RATE))
        decoding, feature = by_themselves(folder, options.sample, settings)
        print(f"alone: {1000 * decoding:.2f} ms to decode a recording, {1000 * feature:.3f} ms a fragment's MFCC")
        with most_memory() as most:
            moments = [time.perf_counter()]
            corpus, cache = open_corpus(f"folder:{folder}"), Cache(Path(temporary) / "cache")
            found = len(corpus.survey().table)
            moments.append(time.perf_counter())
            fragments = make_fragments(corpus, cache, settings, 0)
            moments.append(time.perf_counter())
            features = compute_features(settings.feature, fragments, settings.hop, cache)
            moments.append(time.perf_counter())
        index, cut, made = np.diff(moments)
        print(
            f"all: {found:,} recordings, index {index:.1f} s, {len(features):,} fragments {cut:.1f} s, MFCC {made:.1f} s"
        )
        alone = decoding * found + feature * len(features)
        print(f"{alone:.1f} s by themselves are {alone / (index + cut + made):.2f} of what all took")
        print(f"at most {most[0] / 1e9:.2f} GB held")


if __name__ == "__main__":
    main()

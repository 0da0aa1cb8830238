"""Small corpora built by the tests, with the published names."""

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
VOICES_COLUMNS = (
    *("index", "chapter", "degrees", "distractor", "filename", "gender", "mic", "query_name", "room", "segment"),
    *("source", "speaker", "transcript", "noisy_length", "noisy_sr", "noisy_time"),
    *("source_length", "source_sr", "source_time"),
)


def tone(seconds: float = 2.5, hertz: float = 200.0, rate: int = RATE) -> np.ndarray:
    """A quiet sine, float32 [n]."""
    return (0.1 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options) -> Path:
    """Write an audio file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def folder_tree(root: Path, speakers: int = 8, each: int = 4, suffix: str = "wav") -> Path:
    """One folder per speaker, `each` recordings of 2.5 s in it, all different."""
    for speaker in range(speakers):
        for i in range(each):
            write(root / f"speaker {speaker}" / f"{i}.{suffix}", tone(hertz=150 + 20 * speaker + i))
    return root


def librispeech_tree(root: Path, subset: str = "dev-clean", speakers: int = 8, each: int = 4) -> Path:
    """`root`/LibriSpeech/<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<nnnn>.flac with SPEAKERS.TXT."""
    tree = root / "LibriSpeech"
    lines = ["; comment | with | pipes", ";ID  |SEX| SUBSET           |MINUTES| NAME"]
    for speaker in range(100, 100 + speakers):
        chapter = 7 * speaker
        lines.append(f"{speaker:<5}| {'FM'[speaker % 2]} | {subset:<17}| 8.02  | A Name | with a pipe")
        for i in range(each):
            name = f"{speaker}-{chapter}-{i:04d}"
            write(tree / subset / str(speaker) / str(chapter) / f"{name}.flac", tone(hertz=10 * speaker + i))
        (tree / subset / str(speaker) / str(chapter) / f"{speaker}-{chapter}.trans.txt").write_text("X Y\n")
    (tree / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")
    return root


def voices_row(number: int, speaker: int, segment: int, room: str, mic: int, distractor: str, degrees: int) -> dict:
    """One line of a VOiCES index."""
    chapter, gender = 7 * speaker, "MF"[speaker % 2]
    place = f"sp{speaker:04d}-ch{chapter:06d}-sg{segment:04d}"
    name = f"Lab41-SRI-VOiCES-{room}-{distractor}-{place}-mc{mic:02d}-stu-clo-dg{degrees:03d}"
    filename = f"distant-16k/speech/train/{room}/{distractor}/sp{speaker:04d}/{name}.wav"
    source = f"source-16k/train/sp{speaker:04d}/Lab41-SRI-VOiCES-src-{place}.wav"
    values = (number, chapter, degrees, distractor, filename, gender, mic, name, room, segment, source, speaker)
    return dict(zip(VOICES_COLUMNS, (*values, "SAID, AND DONE", 40000, 16000, 2.5, 40000, 16000, 2.5), strict=True))


def voices_tree(root: Path, speakers: int = 8, segments: int = 4, mics: int = 2) -> Path:
    """`root`/VOiCES_devkit with train and test indexes, and the audio that they name."""
    tree = root / "VOiCES_devkit"
    rows = [
        voices_row(0, speaker, segment, room, mic, distractor, 30 * mic)
        for speaker in range(30, 30 + speakers)
        for segment in range(segments)
        for mic in range(1, mics + 1)
        for room, distractor in (("rm1", "none"), ("rm3", "babb"))
    ]
    for i, row in enumerate(rows):
        row["index"] = i
        write(tree / row["filename"], tone(hertz=100 + i))
    write_index(tree / "references" / "train_index.csv", rows[: len(rows) // 2])
    write_index(tree / "references" / "test_index.csv", rows[len(rows) // 2 :])
    return root


def write_index(path: Path, rows: list[dict], columns=VOICES_COLUMNS) -> None:
    """Write an index file with these columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)

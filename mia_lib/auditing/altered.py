"""What a model answers about altered versions of each row: for attacks that see the answered speaker and nothing else."""

import numpy as np
import torch

from mia_lib.auditing.answers import IN_MEMORY
from mia_lib.auditing.asking import Asked, answers
from mia_lib.auditing.hearing import Audio
from mia_lib.auditing.material import Material
from mia_lib.fragments.perturbations import PERTURBATIONS, Perturbation
from mia_lib.support.errors import UsageError
from mia_lib.support.progress import progress, tell

COPIES = 4
"""Altered versions that a model is asked about unless another number is said: with the row itself, five times as many
questions."""


class Altered(Audio):
    """The rows of `audio` as one perturbation alters them, float32 [T] each, of the same lengths."""

    def __init__(self, audio: Audio, alter: Perturbation, seed: int):
        super().__init__(audio.sounds, audio.of, audio.start, audio.wanted)
        self.alter, self.seed = alter, seed

    def __getitem__(self, row):
        wave = torch.from_numpy(super().__getitem__(row))
        with torch.no_grad():
            return self.alter(wave[None], torch.tensor([row]), self.seed)[0].numpy()


def check_copies(count: int) -> None:
    """Raise UsageError for a number of altered versions that there are not."""
    if not 0 <= count <= len(PERTURBATIONS):
        raise UsageError(f"--copies must be from 0 to {len(PERTURBATIONS)}, not {count}")


def affordable(count: int, kind: str | None, rows: int, width: int, name: str, models: int = 1) -> int:
    """Of how many altered versions so many models are asked: `count`, or none for embeddings, of which no attack asks it, and
    where answers of `width` to all rows would not fit into memory, which is told."""
    if not count or kind == "embeddings":
        return 0
    if models * rows * width * (1 + count) > IN_MEMORY:
        tell(f"{name} is not asked about altered versions: {count} of {rows:,} rows do not fit into memory")
        return 0
    return count


def altered_answers(
    model: Asked, heard: Material, width: int, count: int, seed: int
) -> tuple[np.ndarray, dict[int, str]]:
    """A model's answers to the first `count` perturbations of every row, float [count, N, width], and by row why it gave
    none."""
    found, failed = [np.empty((0, len(heard.audio), width), np.float32)], dict[int, str]()
    with progress(f"ask {model.name} about altered versions", count * len(heard.audio), "row") as bar:
        for name, alter in list(PERTURBATIONS.items())[:count]:
            rows = Altered(heard.audio, alter, seed)
            own, lost = answers(model, rows, width, heard.column("name"), heard.spare, bar.update)
            found.append(own[None])
            failed |= {row: f"{model.name}, asked about it altered ({name}): {why}" for row, why in lost.items()}
    return np.concatenate(found), failed

"""Distinct speakers for the demo corpora: each is an eSpeak NG voice file drawn at random."""

from dataclasses import dataclass

import numpy as np

ACCENTS = {"gmw/en-US": 0.5, "gmw/en": 0.2, "gmw/en-GB-x-rp": 0.1, "gmw/en-GB-scotland": 0.1, "gmw/en-029": 0.1}
"""eSpeak's English accents and how often each is drawn."""


@dataclass(frozen=True)
class Voice:
    """One speaker: `text` is the content of the voice file, `words_per_minute` the usual speed."""

    gender: str
    accent: str
    text: str
    words_per_minute: float


def draw_voice(random: np.random.Generator) -> Voice:
    """A voice drawn from `random`: pitch, vocal tract (formants), phonation, intonation, speed and accent."""
    female = random.random() < 0.5
    pitch = random.uniform(140, 220) if female else random.uniform(75, 125)
    tract = random.normal(1.14 if female else 1.0, 0.04)  # a shorter vocal tract raises all formants
    lines = [
        "language variant",
        "name speaker",
        f"gender {'female' if female else 'male'}",
        f"pitch {pitch:.0f} {pitch * random.uniform(1.2, 1.7):.0f}",
    ]
    for formant in range(9):
        own = tract * random.normal(1, 0.04) if formant else 1.0
        height, width = random.normal(95, 12), random.uniform(75, 140)
        lines.append(f"formant {formant} {100 * own:.0f} {np.clip(height, 50, 140):.0f} {width:.0f}")
    breath = max(0.0, random.normal(0, 3))
    lines += [
        f"voicing {random.uniform(80, 130):.0f}",
        f"consonants {random.uniform(80, 125):.0f} {random.uniform(80, 125):.0f}",
        f"roughness {random.integers(0, 5)}",
        f"flutter {random.integers(0, 5)}",
        "echo 0 0",
        "breath 0 " + " ".join(f"{breath * random.uniform(0.5, 1.5):.0f}" for _ in range(7)),
        f"intonation {random.integers(1, 5)}",
        "tone " + " ".join(f"{hertz} {random.uniform(150, 255):.0f}" for hertz in (600, 1200, 2400)),
    ]
    accent = str(random.choice(list(ACCENTS), p=list(ACCENTS.values())))
    return Voice("F" if female else "M", accent, "\n".join(lines) + "\n", random.uniform(155, 195))

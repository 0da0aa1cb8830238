"""Evidence: what an audit rests on, whoever made the model: the border between getting answers and judging them."""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from mia_lib.support.errors import UsageError

KINDS = ("logits", "posteriors", "embeddings")
"""What a model's answers can be."""
LARGEST = 1e30
"""What no answer exceeds: sums of squares of such numbers are numbers still. Logits far below zero are classes not there."""
PER_ROW = ("label", "member", "speaker", "recording", "population", "control", "blind", "sound")
"""Fields with one entry per row."""


@dataclass(frozen=True)
class Evidence:
    """Answers of one model on N rows (recordings or fragments), and what is known of those rows.

    name: what is audited, for titles and records. kind: one of KINDS. answers: float [N, C], or embeddings [N, D]; read
    block by block where it is a memory map. label: int64 [N], the class of a row's speaker, -1 if none of the model's (all -1
    for embeddings). member: int8 [N], 1 member, 0 non-member, -1 not audited. speaker and recording: str [N], whose voice it
    is and of which recording a row is a part; where it is not known, each row is of a recording, or a recording of a speaker,
    of its own, and `speakers_known` is False.

    What not everybody has, None without it: population, bool [N], rows that nobody trained on and the attacker knows;
    reference_answers, float [K, N, C], of K reference models, with reference_member, int8 [K, N], who trained on what (-1 not
    known); copies, float [Q, N, C], answers to Q altered versions of each row, with reference_copies [Q, K, N, C]; control,
    float [N, C], answers of a model that trained on none of these rows; blind, float [N, F], statistics of the sound that no
    model was asked about; sound, str [N], the path of a row's recording. coins: memberships were drawn by independent fair
    coins. protocol: `utterance` (members and non-members are recordings of the same speakers), `speaker` (of other speakers).
    lost: one row per recording that is not in the audit, with the columns path and reason. found: how many there were.
    """

    name: str
    kind: str
    answers: np.ndarray
    label: np.ndarray
    member: np.ndarray
    speaker: np.ndarray
    recording: np.ndarray
    speakers_known: bool = True
    population: np.ndarray | None = None
    reference_answers: np.ndarray | None = None
    reference_member: np.ndarray | None = None
    copies: np.ndarray | None = None
    reference_copies: np.ndarray | None = None
    control: np.ndarray | None = None
    blind: np.ndarray | None = None
    sound: np.ndarray | None = None
    coins: bool = False
    protocol: str = "utterance"
    lost: pd.DataFrame | None = None
    found: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UsageError(f"answers cannot be {self.kind!r}: choose one of {', '.join(KINDS)}")
        if self.answers.ndim != 2:
            raise UsageError(f"{self.kind} must have two axes, rows and classes, not the shape {self.answers.shape}")
        n = len(self.answers)
        for name in PER_ROW:
            given = getattr(self, name)
            if given is not None and len(given) != n:
                raise UsageError(f"{name} must have {n} rows, as the {self.kind} have, not {len(given)}")

    @property
    def unit(self) -> np.ndarray:
        """Which recording of which speaker each row is a part of, str [N]: two speakers may name theirs alike."""
        return np.char.add(np.char.add(self.speaker, "\x1f"), self.recording)

    def rows(self, index: np.ndarray) -> "Evidence":
        """The same about some of the rows, given by numbers or a mask."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("answers", *PER_ROW):
            parts[name] = None if parts[name] is None else parts[name][index]
        for name in ("reference_answers", "reference_member", "copies"):
            parts[name] = None if parts[name] is None else parts[name][:, index]
        if parts["reference_copies"] is not None:
            parts["reference_copies"] = parts["reference_copies"][:, :, index]
        return Evidence(**parts)

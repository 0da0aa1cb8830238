"""Studies whose models answer at random, for the tests that nothing but an answer tells who is a member.

Nothing is trained. All else is the studies' own code: who trains on what, what is set aside for whom, who is audited and
known as what, whose labels and persons are seen, which fragments have copies and internals, who attacks whom, and what a
defense makes of an answer. Answers depend on the seed, not on who trained on what.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import needs_of
from mia_lib.defenses import DEFENSES
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.rates import curve_rates
from mia_lib.fragments.splits import CONSUMED, PROTOCOLS
from mia_lib.signals.internals import INTERNALS
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.released import ReleasedSignals
from mia_lib.studies.shadow import ShadowDesign, ShadowStudy
from mia_lib.studies.speaker import SpeakerStudy
from mia_lib.studies.study import Question, Study
from mia_lib.support.draws import generator
from mia_lib.support.settings import Settings

SPEAKERS, SOURCES = 21, 8  # so that targets have 8 classes and their shadows 7: one logit is -inf
SPEAKERS_OF_REFERENCES, KNOWN_SPEAKERS, REFERENCES = 12, 10, 5
INPUTS, EMBEDDED = 3, 6
NOISE, VOICES = "noise", "voices"
"""What models answer: noise; or noise around patterns of speaker and recording, which all models share."""
PATIENT = "none, with validation"
"""No defense, but recordings of each model's own that are set aside for early stopping."""


def _manifest(seed: int, speakers: int) -> pd.DataFrame:
    """One to three fragments of a recording."""
    names = [(f"s{s:02}", f"s{s:02}-{u}") for s in range(speakers) for u in range(SOURCES)]
    lengths = generator(seed, "null lengths").integers(1, 4, len(names))
    rows = [name for name, length in zip(names, lengths, strict=True) for _ in range(length)]
    return pd.DataFrame(rows, columns=["speaker", "source"], dtype=object)


class Table:
    """A dataset that is a manifest and settings alone."""

    device, cache, corpus, corpus_name, profile = torch.device("cpu"), None, None, "null", "null"

    def __init__(self, seed: int, patient: bool, targets: int = 1, speakers: int = SPEAKERS):
        self.seed, self.manifest = seed, _manifest(seed, speakers)
        queried = len(self.manifest) // 2
        self.settings = Settings(repeats=targets, query_fragments=queried, patience=5 if patient else 0)
        self.resident = torch.zeros(len(self.manifest), 1, 1)


class RandomAnswers(ReleasedSignals):
    """What the models of a pool say and release, without models."""

    def __init__(self, pool, kind: str, copies: int, recognised: float = 0.0):
        """recognised: what is added to the logit of the right speaker; where no stranger is audited."""
        super().__init__(pool)
        self.kind, self.count, self.recognised = kind, copies, recognised
        pool.__dict__["models"] = SimpleNamespace(network=self)  # for a defense that asks the models
        job = pool.job() if self.defense.alters else None
        pool.job = lambda: job
        self.frames = self.bins = 1
        self.mean, self.scale = torch.zeros(2, len(pool.splits), 1)

    def to(self, _device):
        return self

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Answers to what a defense makes up itself."""
        return torch.from_numpy(self._noise("made-up inputs", features.shape[1]))

    def _random(self, purpose: str, *shape: int) -> np.ndarray:
        return generator(self.dataset.seed, f"null {purpose}").standard_normal(shape, dtype=np.float32)

    def _noise(self, purpose: str, count: int) -> np.ndarray:
        """[models, count, classes]"""
        classes = np.array([len(split.speakers) for split in self.pool.splits])
        values = 2 * self._random(purpose, len(classes), count, classes.max())
        values.swapaxes(1, 2)[np.arange(classes.max()) >= classes[:, None]] = -np.inf
        return values

    @cached_property
    def heard(self) -> np.ndarray:
        """What all models hear in a fragment, [N, values]."""
        values, heard = max(len(split.speakers) for split in self.pool.splits), 0.0
        for column, strength in (("speaker", 3.0), ("source", 1.0)):
            code, names = pd.factorize(self.dataset.manifest[column])
            heard = heard + strength * self._random(f"pattern of a {column}", len(names), values)[code]
        return heard * (self.kind == VOICES)

    @cached_property
    def raw_logits(self) -> np.ndarray:
        known = self.labels[..., None] == np.arange(self.heard.shape[1])
        right = self.recognised * known if self.kind == VOICES else 0.0
        return self._noise("answers", len(self.heard)) + self.heard + np.float32(right)

    def copies(self, rows, count=None):
        return super().copies(rows, self.count)

    def _raw_copies(self, rows, count):
        own = self.raw_logits[:, rows]
        return np.stack([own + self._noise(f"copies {q}", len(rows)) / 2 for q in range(min(count, self.count))])

    def internals(self, rows):
        values = self._random("internals", len(self.labels), len(rows), len(INTERNALS))
        return (values + self.heard[rows, : len(INTERNALS)]).astype(np.float64)

    def sensitivity(self, rows):
        moved = np.abs(self._random("sensitivity", *self.raw_logits[:, rows].shape) + self.heard[rows])
        return np.where(np.isneginf(self.raw_logits[:, rows]), 0.0, moved)

    def inputs(self, rows):
        return (self._random("inputs", len(rows), INPUTS) + self.heard[rows, :INPUTS]).astype(np.float64)

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Of every fragment by encoders that may have been trained with the models, [models, N, EMBEDDED]."""
        return self._random("embeddings", *self.labels.shape, EMBEDDED) + self.heard[:, :EMBEDDED]

    def _array(self, name, params, compute, uses=()):
        return compute()


class World(NamedTuple):
    """Where answers are given: which seed, behind what, of what kind; `targets` are attacked at once."""

    seed: int
    behind: str
    kind: str
    targets: int = 1

    @property
    def defense(self) -> str:
        return "none" if self.behind == PATIENT else self.behind


@cache
def _design(seed: int, patient: bool, targets: int) -> ShadowDesign:
    return ShadowDesign(Table(seed, patient, targets))


@cache
def _enrolled(_design: ShadowDesign) -> dict:
    """Who stands for whom, which does not depend on what is answered."""
    return {}


@cache
def _reference_splits(seed: int, patient: bool, reserved: float) -> list:
    base = ShadowStudy(Table(seed, patient, speakers=SPEAKERS_OF_REFERENCES))
    return ReferenceStudy(base, REFERENCES, KNOWN_SPEAKERS, reserved=reserved).splits


@cache
def shadows(world: World) -> ShadowStudy:
    """Targets with their shadows."""
    design = _design(world.seed, world.behind == PATIENT, world.targets)
    study = ShadowStudy(design.dataset, world.defense, design)
    study.released = RandomAnswers(study.pool, world.kind, copies=2)
    return study


class EmbeddedStudy(SpeakerStudy):
    """A study of persons whose signals hold embeddings besides."""

    def _signals(self, models, member):
        return replace(super()._signals(models, member), embeddings=self.released.embeddings[models])


@cache
def persons(world: World) -> SpeakerStudy:
    """The same targets and shadows, asked about persons."""
    study = EmbeddedStudy(shadows(world))
    study._members = _enrolled(study.base.design)
    return study


@cache
def references(world: World) -> ReferenceStudy:
    """Reference models, of which one or all are attacked; which one goes round with the seed."""
    patient = world.behind == PATIENT
    base = ShadowStudy(Table(world.seed, patient, speakers=SPEAKERS_OF_REFERENCES), world.defense)
    study = ReferenceStudy(base, REFERENCES, KNOWN_SPEAKERS, REFERENCES + 1)
    study.splits = _reference_splits(world.seed, patient, study.reserved)
    study.released = RandomAnswers(study.pool, world.kind, copies=4, recognised=2.0)
    if world.targets == 1:
        study.targets = lambda: [world.seed % study.count]
    return study


def set_aside_and_answered(name: str) -> tuple[bool, str]:
    """All that a defense can change where answers are random: whether recordings are set aside for it, and what it makes of
    an answer. How it trains changes nothing here, since nothing is trained."""
    kind = DEFENSES.get(name)
    return kind.needs_reference, name if kind.alters else ""


def behind() -> list[str]:
    """No defense, with and without validation, and the first of the registered defenses that change the same."""
    first = {(False, ""): "none"}
    for name in DEFENSES.names():
        first.setdefault(set_aside_and_answered(name), name)
    return [*first.values(), PATIENT]


Asked = tuple[Callable[[World], Study], Question]


def questions(attack: str) -> list[Asked]:
    """What an attack is asked, under every protocol and in every study that has what it needs."""
    if "person" in needs_of(attack):
        return [(persons, Question(attack, "speaker", enrolment)) for enrolment in (1, 2)]
    asked: list[Asked] = [(references, Question(attack))]
    if not ATTACKS.get(attack).calibrated:
        asked += [(shadows, Question(attack, protocol)) for protocol in (*PROTOCOLS, CONSUMED)]
    return asked


def label(asked: Asked) -> str:
    """What is asked in a word or two."""
    study, question = asked
    return " ".join([study.__name__, question.protocol, *[str(question.enrolment)] * bool(question.enrolment)])


def auc(audit: Audit) -> float:
    """Area under the curve."""
    return float(curve_rates(audit.scores, audit.member, np.ones((1, len(audit.member))), {})["auc"][0])


def _keys(audits: Sequence[Audit]) -> list[np.ndarray]:
    """Scores as complex numbers, of which NumPy compares the real part first: equal scores are in a random order."""
    rng = generator(0, "null ties")
    return [audit.scores + 1j * rng.random(len(audit.scores)) for audit in audits]


def found(audits: Sequence[Audit], level: float = 0.01) -> np.ndarray:
    """True positives of each audit, at a threshold that at most `level` of its own n non-members pass, less their chance.

    Of independent scores that is (floor(level n) + 1) / (n + 1): so often is a member above the first non-member that must
    not pass. It is exactly `level` where n + 1 is a multiple of 100, and more for fewer non-members.
    """
    rates = []
    for audit, key in zip(audits, _keys(audits), strict=True):
        others = np.sort(key[~audit.member])
        passed = int(level * len(others))
        rates.append((key[audit.member] > others[-1 - passed]).mean() - (passed + 1) / (len(others) + 1))
    return np.array(rates)


def alarms(audits: Sequence[Audit], together: int = 1, level: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives of each audit, [audits], at a nominal rate of false positives: a threshold is learnt from the
    known non-members of one half of the audits, and used on the other. `together`: so many that follow each other stay in
    one half.

    Such a threshold knows nothing of the audit it is used on: where answers do not depend on membership, members and
    non-members pass it equally often, however few they are and however alike those of a speaker or a recording.
    """
    keys, half = _keys(audits), np.arange(len(audits)) // together % 2
    rates = np.empty((2, len(audits)))
    for side in (0, 1):
        others = [key[~audit.member] for key, audit, h in zip(keys, audits, half, strict=True) if h != side]
        known = np.sort(np.concatenate(others))
        threshold = known[-1 - int(level * len(known))]
        for i in np.flatnonzero(half == side):
            accepted = keys[i] > threshold
            rates[:, i] = accepted[audits[i].member].mean(), accepted[~audits[i].member].mean()
    return rates[0], rates[1]


def decisions(audit: Audit) -> float:
    """True minus false positives at the threshold that was learnt with the attack."""
    accepted = audit.scores >= audit.threshold
    return float(accepted[audit.member].mean() - accepted[~audit.member].mean())


def deviation(values: np.ndarray) -> float:
    """How many standard errors the mean of independent draws is from zero."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() / error) if error else float(np.sign(values.mean()) * np.inf) if values.any() else 0.0

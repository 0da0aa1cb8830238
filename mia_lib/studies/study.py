"""One study, whatever it asks: attacks are fitted on some models of a pool, learn a threshold, and are tried on others.

Studies differ in their splits, and in who attacks whom: a subclass names its targets, from whose signals an attack on one
learns (`known`, `rehearsed`), and what is attacked (`victim`). Fitting, audits, negative controls and tables are here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.attacks.base import ATTACKS, Attack, needs_of, reads_names
from mia_lib.attacks.threshold import best_threshold
from mia_lib.defenses.base import defense_kinds, make_defense
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.evaluate import with_controls
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.records import Result, results_table
from mia_lib.fragments.splits import KNOWLEDGE, Split
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.released import NAMES, ReleasedSignals
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import Settings

DEFENDER_SHARE = 0.2  # of a speaker's recordings, for a defense that needs data beside what the model trains on


@dataclass(frozen=True)
class Question:
    """What an attack is asked: who is a member under a protocol."""

    attack: str
    protocol: str = "utterance"
    enrolment: int = 0  # recordings that stand for each person, for attacks on persons
    options: tuple = ()  # of the attack, (name, value) pairs

    @property
    def needs(self) -> tuple[str, ...]:
        """What the attack sees beside logits; NAMES in the place of altered copies of which it reads the speaker only."""
        needs = needs_of(self.attack)
        return tuple(NAMES if need == "copies" else need for need in needs) if reads_names(self.attack) else needs


@contextmanager
def naming(attack: str) -> Iterator[None]:
    """Errors within say which attack they are of: one bad attack among many is found at once."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise MiaError(f"attack {attack!r} failed: {type(error).__name__}: {error}") from error
    except MiaError as error:
        raise (error if repr(attack) in str(error) else type(error)(f"attack {attack!r}: {error}")) from error


@dataclass(frozen=True)
class Victim:
    """What is attacked: one model's signals, those of its columns that are audited, and what they are."""

    signals: Signals
    columns: np.ndarray  # int64 [n], of the signals
    member: np.ndarray  # bool [n]
    rows: np.ndarray  # int64 [n], which fragments of the dataset


def as_known(answers: Signals, protocol: str) -> Signals:
    """Answers as the attacker sees them under a protocol (`KNOWLEDGE`); who is a member is up to the study."""
    return answers if KNOWLEDGE[protocol].classes else answers.without_labels


class Study:
    """A pool of models behind one defense, and attacks on some of them."""

    def __init__(self, dataset: Dataset, settings: Settings, defense: str = "none"):
        make_defense(defense)  # refuses unknown names before anything is computed
        self.dataset, self.settings, self.defense, self.seed = dataset, settings, defense, dataset.seed
        self.device, self.cache, self.corpus = dataset.device, dataset.cache, dataset.corpus
        self.corpus_name, self.profile = dataset.corpus_name, dataset.profile
        self._fits: dict[tuple, tuple[Attack, float]] = {}

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models, in their order."""
        raise NotImplementedError

    @cached_property
    def pool(self) -> ModelPool:
        """The models."""
        raise NotImplementedError

    @cached_property
    def released(self) -> ReleasedSignals:
        """What they answer."""
        return ReleasedSignals(self.pool)

    @property
    def fragments(self):
        """The corpus cut into fragments."""
        return self.dataset.fragments

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per fragment."""
        return self.dataset.manifest

    @property
    def features(self):
        """Feature tensor [N, frames, bins], memory-mapped."""
        return self.dataset.features

    @property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]; -1 where its speaker is none of the classes."""
        return self.pool.labels

    @property
    def models(self):
        """The trained models."""
        return self.pool.models

    @property
    def logits(self) -> np.ndarray:
        """What every model releases of every fragment, float32 [models, N, classes]."""
        return self.released.logits

    def targets(self) -> list[int]:
        """The models that are attacked, by their place in the pool."""
        raise NotImplementedError

    def teachers(self, target: int, control: bool, count: int | None) -> tuple[int, ...]:
        """The models from whose signals an attack on a target learns: all that there are, or the first `count`."""
        raise NotImplementedError

    def known(self, question: Question, target: int, models: tuple[int, ...]) -> Signals:
        """The signals of these models with the membership that the attacker knows."""
        raise NotImplementedError

    def rehearsed(
        self, question: Question, target: int, models: tuple[int, ...], fitted: Attack
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, and membership, of the attack where these models are its targets: what a threshold is learnt from."""
        raise NotImplementedError

    def victim(self, question: Question, target: int, control: bool, models: tuple[int, ...]) -> Victim:
        """What is attacked in a target's audit; control: by a model that has trained on none of its audit set."""
        raise NotImplementedError

    @property
    def clusters(self) -> np.ndarray:
        """What is drawn as a whole for intervals, of every fragment: its speaker, str [N]. All recordings of a speaker
        rise and fall together, under every protocol."""
        return self.manifest["speaker"].astype(str).to_numpy()

    def fit(self, question: Question, target: int, known: Signals) -> Attack:
        """The attack of a question, fitted."""
        attack = ATTACKS.get(question.attack)(seed=self.seed * 1000 + target, **dict(question.options))
        with naming(question.attack):
            return attack.fit(known)

    @staticmethod
    def score(question: Question, fitted: Attack, signals: Signals) -> np.ndarray:
        """Scores [K, N] of signals whose membership is taken away before: no attack can read it. Raises MiaError naming the
        attack where it does not give a number for each that is asked about."""
        with naming(question.attack):
            return fitted.score(signals.with_members(np.full_like(signals.member, -1)))

    def fitted(self, question: Question, target: int, models: tuple[int, ...]) -> tuple[Attack, float]:
        """The attack fitted on models, and its threshold: its own, or that of the best balanced accuracy where it was
        rehearsed. Each is computed once."""
        key = (question, target, models)
        if key not in self._fits:
            attack = self.fit(question, target, self.known(question, target, models))
            threshold = getattr(attack, "threshold", None)
            if threshold is None:
                with naming(question.attack):
                    threshold = best_threshold(*self.rehearsed(question, target, models, attack))
            self._fits[key] = attack, threshold
        return self._fits[key]

    def ask(
        self, question: Question, control: bool = False, count: int | None = None, learnt_on: "Study | None" = None
    ) -> list[Audit]:
        """One audit per target.

        control: a model that has trained on none of the audit set answers in the target's place. count: models that the
        attack learns from, where fewer than there are. learnt_on: the study on whose models the attack is fitted (None: this
        one); the undefended one makes an attack that does not know the defense.
        """
        audits, clusters = [], self.clusters
        for target in self.targets():
            models = self.teachers(target, control, count)
            attack, threshold = (learnt_on or self).fitted(question, target, models)
            victim = self.victim(question, target, control, models)
            scores = self.score(question, attack, victim.signals)[0, victim.columns]
            with naming(question.attack):
                audits.append(Audit(scores, victim.member, clusters[victim.rows], threshold, victim.rows))
        return audits

    def with_controls(self, question: Question) -> list[Result]:
        """All rates of one attack, with its two negative controls."""
        audits = self.ask(question)
        controls = {"shuffled": shuffled(audits, self.seed), "unexposed": self.ask(question, control=True)}
        return with_controls(audits, controls, self.settings.bootstrap, self.seed)

    def correct(self, side: str, mask: np.ndarray | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Whether each target names the right speaker on its `train` or `held_out` fragments, or those within `mask` (float
        [n] of each), and the clusters of these."""
        values, clusters = [], []
        for k in self.targets():
            index = getattr(self.splits[k], side)()
            index = index if mask is None else index[mask[index]]
            values.append((self.logits[k][index].argmax(-1) == self.labels[k][index]).astype(float))
            clusters.append(self.clusters[index])
        return values, clusters

    def accuracy(self, side: str, mask: np.ndarray | None = None) -> Measure:
        """Accuracy of the targets on their `train` or `held_out` fragments, or those within `mask`."""
        return mean_measure(*self.correct(side, mask), self.settings.bootstrap, self.seed)

    def table(
        self, protocol: str, attack: str, results: Iterable[Result] | dict[str, Measure], adaptive: bool = False
    ) -> pd.DataFrame:
        """Tidy records, one row per result, or per measure of a dictionary."""
        if isinstance(results, dict):
            results = [Result(name, measure) for name, measure in results.items()]
        identity = dict(corpus=self.corpus_name, profile=self.profile, seed=self.seed, protocol=protocol)
        return results_table(identity | dict(defense=self.defense, attack=attack, adaptive=adaptive), results)

    def kept(
        self,
        of: str,
        tables: Callable[[], list[pd.DataFrame]],
        attacks: Sequence[str] = (),
        others: Sequence["Study"] = (),
    ) -> pd.DataFrame:
        """Tables as one cached stage. attacks: those that are looked up; others: studies whose signals are used besides."""

        def build(folder: Path, _scratch: Path) -> None:
            pd.concat(tables()).to_parquet(folder / "records.parquet", index=False)

        params = dict(of=of, answers=[study.released.key for study in (self, *others)], fragments=self.fragments.key)
        params |= dict(corpus=self.corpus_name, profile=self.profile, seed=self.seed, defense=self.defense)
        params |= dict(settings=self.settings.asdict())
        uses = [tables, type(self), *map(ATTACKS.get, attacks), *defense_kinds(self.defense)]
        return pd.read_parquet(self.cache.stage("records", params, build, uses) / "records.parquet")

    def context(self) -> dict:
        """What `run.json` says of the data."""
        return self.dataset.context()

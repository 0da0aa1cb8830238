"""Targets and shadow models: an attacker rehearses on models of other people's voices, then attacks the target."""

from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from mia_lib.attacks.base import Attack
from mia_lib.defenses.base import make_defense
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.records import Result
from mia_lib.fragments.splits import (
    HELD_OUT,
    PROTOCOLS,
    TRAIN,
    UNSEEN,
    Split,
    lab41_splits,
    membership,
    set_reference_aside,
    shadow_attack_splits,
    whole_recordings,
)
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.study import DEFENDER_SHARE, Question, Study, Victim, as_known
from mia_lib.support import draws
from mia_lib.support.errors import MiaError

PAPER_ATTACKS = ("largest_posterior", "top3_network")
MOST_HELD_OUT = 0.6  # of the held-out recordings that may be the defender's
VALIDATION_SHARE = 0.1  # of the training recordings, for early stopping


class ShadowDesign:
    """Who trains on what, the same behind any defense: `repeats` groups of one target and `shadows` shadow models.

    Group r is drawn with seed (seed, r), from r = `first` on. At least two shadows are trained in each group, unless told
    otherwise: the last plays the unexposed target of the negative control.
    """

    def __init__(self, dataset: Dataset, first: int = 0, repeats: int | None = None, shadows: int | None = None):
        s = dataset.settings
        self.dataset, self.first, self.repeats = dataset, first, s.repeats if repeats is None else repeats
        self.shadows = max(2, s.n_shadows) if shadows is None else shadows
        self.settings = s if shadows is None else replace(s, repeats=self.repeats, n_shadows=shadows)

    @cached_property
    def groups(self) -> list[tuple[Split, list[Split]]]:
        """Per repeat, the target's split and its shadows' splits."""
        s, manifest, groups = self.settings, self.dataset.manifest, []
        validation = VALIDATION_SHARE if s.patience else 0.0
        for repeat in range(self.first, self.first + self.repeats):
            seed = self.dataset.seed * 1000 + repeat
            if s.split == "lab41":
                groups.append(lab41_splits(manifest, self.shadows, seed, validation))
            else:
                groups.append(shadow_attack_splits(manifest, self.shadows, s.train_fraction, seed, validation))
        return groups

    @property
    def splits(self) -> list[Split]:
        """The splits of all models: target, shadows, next target, ..."""
        return [split for target, shadows in self.groups for split in (target, *shadows)]

    @cached_property
    def with_defender(self) -> list[Split]:
        """The same with held-out recordings set aside for the defender: what a `ShadowStudy` works on."""
        share = min(MOST_HELD_OUT, DEFENDER_SHARE / (1 - self.settings.train_fraction))
        manifest, seed = self.dataset.manifest, self.dataset.seed * 1000
        return [set_reference_aside(manifest, split, share, seed + k) for k, split in enumerate(self.splits)]

    @cached_property
    def detailed_rows(self) -> np.ndarray:
        """About `query_fragments` fragments, in whole recordings, that play a part for a target or a shadow model.

        The same behind any defense: what is set aside for the defender is not looked at.
        """
        audited = np.isin(np.stack([split.role for split in self.splits]), (TRAIN, HELD_OUT, UNSEEN)).any(0)
        sources = np.where(audited, self.dataset.manifest["source"].astype(str), "")
        return whole_recordings(sources, self.settings.query_fragments, self.dataset.seed)


class ShadowStudy(Study):
    """Target models, their shadow models, and the attacks on them. The pool holds the design's groups in their order.

    Recordings are set aside for the defender whether the defense needs them or not, so that all defenses, and none, are
    compared on the same fragments.
    """

    def __init__(self, dataset: Dataset, defense: str = "none", design: ShadowDesign | None = None):
        self.design = design or ShadowDesign(dataset)
        super().__init__(dataset, self.design.settings, defense)
        self.shadows = self.design.shadows
        self._details: dict[tuple, Signals] = {}

    def defended(self, defense: str) -> "ShadowStudy":
        """The same study with all models behind a defense, such as `label_smoothing:0.2` (see `make_defense`)."""
        return ShadowStudy(self.dataset, defense, self.design)

    def validation(self) -> "ShadowStudy":
        """One more target with one shadow, drawn as the others: strengths are chosen on it, never on the attacked ones."""
        return ShadowStudy(self.dataset, self.defense, ShadowDesign(self.dataset, self.settings.repeats, 1, 1))

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models in the order of the pool: target, shadows, next target, ..."""
        return self.design.with_defender

    @cached_property
    def pool(self) -> ModelPool:
        """All targets and shadows."""
        s = self.settings
        epochs = [s.epochs, *[s.shadow_epochs] * self.shadows] * s.repeats
        seeds = draws.seeds(self.seed, "targets and shadows", len(self.splits), self.design.first)
        followed = not make_defense(self.defense).trains
        return ModelPool(self.dataset, self.splits, epochs, seeds, self.defense, followed)

    def targets(self) -> list[int]:
        return [r * (1 + self.shadows) for r in range(self.settings.repeats)]

    def signals(self, model: int, protocol: str, split: int | None = None, needs: tuple[str, ...] = ()) -> Signals:
        """What a model releases, with its membership under `protocol`.

        With `split`, the audit set is that of another model. needs: extras, which are there on `fragments_for(needs)` only.
        """
        member = self._membership(model if split is None else split, protocol)[self.fragments_for(needs)]
        return self._answers_to(protocol, needs).pick([model]).with_members(member[None])

    def fragments_for(self, needs: tuple[str, ...]) -> np.ndarray:
        """Which fragments an attack is run on that needs these extras, int64 [n]: all of them if it needs none."""
        return self.design.detailed_rows if needs else np.arange(len(self.manifest))

    def _answers_to(self, protocol: str, needs: tuple[str, ...]) -> Signals:
        """`_answers_with`, as an attacker under `protocol` sees them."""
        answers = as_known(self._answers_with(needs), protocol)
        _ = answers.statistics  # computed once, for all that are picked from it
        return answers

    def _answers_with(self, needs: tuple[str, ...]) -> Signals:
        """Signals of all models with the extras that `needs` names, on `fragments_for(needs)`; no membership."""
        if not needs:
            return self.answers
        if needs not in self._details:
            rows = self.fragments_for(needs)
            nobody = np.full((len(self.splits), len(rows)), -1, np.int8)
            self._details[needs] = self.released.signals(rows, needs, nobody)
        return self._details[needs]

    @cached_property
    def answers(self) -> Signals:
        """Signals of all models, with no membership and with their statistics, which all attacks share."""
        answers = Signals(self.logits, self.labels, np.full(self.labels.shape, -1, np.int8))
        _ = answers.statistics
        return answers

    def _membership(self, row: int, protocol: str) -> np.ndarray:
        """Membership int8 [N] of a model."""
        return membership(self.splits[row], protocol, self.seed * 1000 + row)

    def teachers(self, target: int, control: bool, count: int | None = None) -> tuple[int, ...]:
        """Its shadows; in a control all but the last, which is attacked."""
        count = count or (self.shadows - 1 if control else self.settings.n_shadows)
        return tuple(range(target + 1, target + 1 + count))

    def known(self, question: Question, target: int, models: tuple[int, ...]) -> Signals:
        protocol, needs = question.protocol, question.needs
        member = np.stack([self._membership(k, protocol) for k in models])[:, self.fragments_for(needs)]
        return self._answers_to(protocol, needs).pick(list(models)).with_members(member)

    def rehearsed(
        self, question: Question, target: int, models: tuple[int, ...], fitted: Attack
    ) -> tuple[np.ndarray, np.ndarray]:
        known = self.known(question, target, models)
        mask, member = known.audited()
        return self.score(question, fitted, known)[mask], member

    def victim(self, question: Question, target: int, control: bool, models: tuple[int, ...]) -> Victim:
        model = target + self.shadows if control else target
        signals = self.signals(model, question.protocol, target, question.needs)
        mask, member = signals.audited()
        return Victim(signals, np.flatnonzero(mask[0]), member, self.fragments_for(question.needs)[mask[0]])

    def audits(
        self, attack: str, protocol: str, control: bool = False, shadows: "ShadowStudy | None" = None, **options
    ) -> list[Audit]:
        """One audit per repeat: the attack fitted on the repeat's shadow signals, applied to its target (see `ask`).

        shadows: the study whose shadow models the attack is fitted on. options: of the attack.
        """
        return self.ask(Question(attack, protocol, options=tuple(options.items())), control, learnt_on=shadows)

    def accepted(self, attack: str, protocol: str) -> dict[str, Measure]:
        """Share of fragments of each role that an attack under `protocol` calls members, whoever they are."""
        shares: dict[str, list] = {"train": [], "held_out": [], "unseen": []}
        question = Question(attack, protocol)
        fragments = self.fragments_for(question.needs)
        for target in self.targets():
            fit, threshold = self.fitted(question, target, self.teachers(target, False))
            scores = self.score(question, fit, self.signals(target, protocol, needs=question.needs))[0]
            for code, role in ((TRAIN, "train"), (HELD_OUT, "held_out"), (UNSEEN, "unseen")):
                rows = self.splits[target].role[fragments] == code
                clusters = self.clusters[fragments[rows]]
                shares[role].append(((scores[rows] >= threshold).astype(float), clusters))
        accepted = {}
        for role, pairs in shares.items():
            values, clusters = map(list, zip(*pairs, strict=True))
            accepted[role] = mean_measure(values, clusters, self.settings.bootstrap, self.seed)
        return accepted

    def by_condition(self, column: str, attack: str, protocol: str) -> pd.DataFrame:
        """Test accuracy and the attack's AUC for each value of a condition column of the manifest (room, distractor ...).

        A distractor of none comes first. Conditions on which an audit lacks members or non-members are left out.
        """
        audits, tables = self.audits(attack, protocol), []
        for value in sorted(self.manifest[column].dropna().astype(str).unique(), key=lambda v: (v != "none", v)):
            mask, condition = (self.manifest[column].astype(str) == value).to_numpy(), f"{column}_{value}"
            accuracy = Result("test_accuracy", self.accuracy("held_out", mask=mask), condition)
            tables.append(self.table("", "none", [accuracy]))
            try:
                auc = evaluate([audit.restricted_to(mask) for audit in audits], self.settings.bootstrap, self.seed)[
                    "auc"
                ]
            except MiaError:
                continue
            tables.append(self.table(protocol, attack, [Result("auc", auc, condition)]))
        return pd.concat(tables)

    def utility_records(self) -> pd.DataFrame:
        """Accuracies of the target models, and the time that training took."""
        measures = {"train_accuracy": self.accuracy("train"), "test_accuracy": self.accuracy("held_out")}
        seconds = self.models.seconds
        measures["train_seconds"] = Measure(seconds, seconds, seconds, len(self.splits))
        return self.table("", "none", measures)

    def attack_records(self, attack: str, protocol: str) -> pd.DataFrame:
        """All rates of one attack under one protocol, with its two negative controls."""
        return self.table(protocol, attack, self.with_controls(Question(attack, protocol)))

    def records(self) -> pd.DataFrame:
        """Utility and the paper's attacks under every protocol, as a cached stage (`results.csv` of this corpus)."""

        def tables() -> list[pd.DataFrame]:
            attacked = [self.attack_records(attack, p) for p in PROTOCOLS for attack in PAPER_ATTACKS]
            attacked.append(self.attack_records("gap", "utterance"))  # the floor; no answer is right for a stranger
            return [self.utility_records(), *attacked]

        return self.kept("targets", tables, (*PAPER_ATTACKS, "gap"))

"""Reference models: the stage for attacks that compare a fragment with itself in models that did and did not see it.

All models know all speakers. A fair coin decides for each recording and model whether it trains on it; a tenth of each
speaker's recordings trains none and is the attacker's population. Several models play the target in turn, each attacked
through all others.
"""

from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from mia_lib.attacks.base import ATTACKS, Attack, check_references, fragment_attacks, masked_mean
from mia_lib.attacks.lira import deviation
from mia_lib.defenses.base import make_defense
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.epsilon import measured_epsilon
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.one_run import DELTA, one_run_epsilon
from mia_lib.evaluation.records import Result
from mia_lib.fragments.splits import (
    HELD_OUT,
    KNOWLEDGE,
    NONE,
    POPULATION,
    TRAIN,
    Split,
    coin_splits,
    set_validation_aside,
    whole_recordings,
)
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.released import CHEAP
from mia_lib.studies.shadow import VALIDATION_SHARE
from mia_lib.studies.study import DEFENDER_SHARE, Question, Study, Victim, as_known
from mia_lib.support import draws
from mia_lib.support.progress import progress

POPULATION_SHARE = 0.1
PROTOCOL = "utterance"
GUESSES = (0.02, 0.1, 0.3)  # shares of the coins, of highest scores and of lowest, about which an attack guesses
PRETENDERS = 2  # reference models that play the target while a threshold is learnt


@lru_cache(maxsize=16)
def _coins(dataset: Dataset, speakers: int, models: int, seed: int, reserved: float) -> tuple[list[Split], int]:
    """`coin_splits` of a dataset's speakers (0: all), which are the same behind each defense."""
    manifest = dataset.manifest
    everybody = draws.generator(seed, "speakers of reference models").permutation(
        manifest["speaker"].astype(str).unique()
    )
    chosen = sorted(everybody[: speakers or None].tolist())
    return coin_splits(manifest, chosen, models, seed, POPULATION_SHARE, reserved)


class ReferenceStudy(Study):
    """Models whose memberships are coins, and one on the population alone: the negative control's target.

    base: the study whose dataset, settings and defense these models have. count: reference models behind each target (None:
    `n_references`). speakers: how many of them the models know, drawn by the seed (0: all); other people's fragments play no
    part. attacked: how many of the models play the target (None: `repeats`). reserved: share of each speaker's recordings
    that is the defender's, the same for all models (None: DEFENDER_SHARE where the defense needs some, else none). purpose:
    studies of another purpose have other speakers, coins and models.
    """

    def __init__(
        self,
        base: Study,
        count: int | None = None,
        speakers: int = 0,
        attacked: int | None = None,
        reserved: float | None = None,
        purpose: str = "",
    ):
        super().__init__(base.dataset, base.settings, base.defense)
        self.drawn_by = draws.seeds(self.seed, f"reference models {purpose}", 1)[0] if purpose else self.seed
        needed = DEFENDER_SHARE if make_defense(self.defense).needs_reference else 0.0
        self.speakers, self.reserved = speakers, needed if reserved is None else reserved
        self.count = (self.settings.n_references if count is None else count) + 1
        self.attacked = min(self.settings.repeats if attacked is None else attacked, self.count)
        self._details: dict[tuple, tuple] = {}

    @cached_property
    def _draw(self) -> tuple[list[Split], int]:
        return _coins(self.dataset, self.speakers, self.count, self.drawn_by, self.reserved)

    @property
    def redrawn(self) -> int:
        """How often a speaker's coins were thrown again, since they left a side of a model nearly empty."""
        return self._draw[1]

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models; the last one trains on the population and is held out from everything audited."""
        coins, _ = self._draw
        role = coins[0].role
        unexposed = np.select([role == POPULATION, np.isin(role, (TRAIN, HELD_OUT))], [TRAIN, HELD_OUT], role)
        splits = [*coins, Split(coins[0].speakers, unexposed.astype(np.int8))]
        if self.settings.patience:
            seed = self.seed * 1000
            splits = [set_validation_aside(self.manifest, s, VALIDATION_SHARE, seed + k) for k, s in enumerate(splits)]
        return splits

    @cached_property
    def pool(self) -> ModelPool:
        """All models. A model's seed does not depend on how many there are."""
        seeds = [*draws.seeds(self.drawn_by, "weights of reference models", self.count)]
        seeds += draws.seeds(self.drawn_by, "weights of the unexposed model", 1)
        return ModelPool(self.dataset, self.splits, [self.settings.epochs] * len(self.splits), seeds, self.defense)

    def targets(self) -> list[int]:
        return list(range(self.attacked))

    @cached_property
    def signals(self) -> Signals:
        """Signals of the reference models, with their own membership (the negative control's model is left out)."""
        roles = np.stack([split.role for split in self.splits[: self.count]])
        asked = KNOWLEDGE[PROTOCOL]
        member = np.select([roles == asked.members, roles == asked.non_members], [1, 0], -1).astype(np.int8)
        answers = Signals(self.logits[: self.count], self.labels[: self.count], member, True, self._population())
        return as_known(answers, PROTOCOL)

    def _population(self) -> np.ndarray:
        """Fragments, bool [N], that are set aside from all models for the attacker to compare with."""
        return self.splits[0].role == POPULATION

    @cached_property
    def _unexposed(self) -> Signals:
        """Signals of the model that trained on the population alone; nothing is audited."""
        nobody = np.full_like(self.signals.member[:1], -1)
        return Signals(self.logits[self.count :], self.labels[self.count :], nobody, True)

    @cached_property
    def detailed_rows(self) -> np.ndarray:
        """The fragments of whole recordings on which attacks run that see more than logits, int64 [n]."""
        sources = np.where(self.splits[0].role != NONE, self.manifest["source"].astype(str), "")
        return whole_recordings(sources, self.settings.query_fragments, self.seed)

    def seen(self, needs: tuple[str, ...]) -> tuple[Signals, Signals, np.ndarray]:
        """The references' signals with the extras that `needs` names, the unexposed model's, and which fragments they are of:
        all, or `detailed_rows` where an extra is costly to have. Assembled once."""
        if needs not in self._details:
            if not needs:
                self._details[needs] = self.signals, self._unexposed, np.arange(self.signals.member.shape[1])
                return self._details[needs]
            rows = np.arange(self.signals.member.shape[1]) if CHEAP.issuperset(needs) else self.detailed_rows
            member = np.concatenate([self.signals.member, self._unexposed.member])[:, rows]
            options = dict(aligned=True, population=self._population()[rows])
            everything = as_known(self.released.signals(rows, needs, member, **options), PROTOCOL)
            references = everything.pick(list(range(self.count)))
            self._details[needs] = references, everything.pick([self.count]), rows
        return self._details[needs]

    def teachers(self, target: int, control: bool, count: int | None) -> tuple[int, ...]:
        """All other models, or the first `count` of them."""
        return tuple([k for k in range(self.count) if k != target][:count])

    def known(self, question: Question, target: int, models: tuple[int, ...]) -> Signals:
        signals, _, _ = self.seen(question.needs)
        return signals.audit_only(np.isin(np.arange(self.count), models)[:, None])

    def rehearsed(
        self, question: Question, target: int, models: tuple[int, ...], fitted: Attack
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some of the models play the target, attacked through the rest."""
        signals, _, _ = self.seen(question.needs)
        scores, members = [], []
        for k in models[:PRETENDERS]:
            rest = tuple(m for m in models if m != k)
            mask = signals.member[k] >= 0
            attack = self.fit(question, target, self.known(question, target, rest))
            scores.append(self.score(question, attack, signals.pick([k]))[0, mask])
            members.append(signals.member[k, mask] == 1)
        return np.concatenate(scores), np.concatenate(members)

    def victim(self, question: Question, target: int, control: bool, models: tuple[int, ...]) -> Victim:
        signals, unexposed, fragments = self.seen(question.needs)
        member = signals.member[target]
        columns = np.flatnonzero(member >= 0)
        attacked = unexposed if control else signals.pick([target])
        return Victim(attacked, columns, member[columns] == 1, fragments[columns])

    def audits(self, attack: str, control: bool = False, count: int | None = None, **options) -> list[Audit]:
        """One audit per target: the attack fitted on the other models, or on the first `count` of them (see `ask`).

        The threshold is learnt where some of those models play the target, attacked through the rest. With `control`, the
        model that trained on the population alone answers in the target's place. options: of the attack.
        """
        return self.ask(Question(attack, PROTOCOL, options=tuple(options.items())), control, count)

    def attack_records(self, attack: str) -> pd.DataFrame:
        """All rates of one attack, with its two negative controls."""
        return self._table(attack, self.with_controls(Question(attack, PROTOCOL)))

    def mask_only(self) -> Result:
        """AUC of how many of its reference models trained on a fragment, without asking the target anything: the control of
        the design of splits. Members and non-members must not be told apart by who else trained on them."""
        audits = []
        for audit, target in zip(self.audits("gap"), self.targets(), strict=True):
            others = [k for k in range(self.count) if k != target]
            share = (self.signals.member[others] == 1).mean(0)[audit.rows]
            audits.append(replace(audit, scores=share))
        auc = evaluate(audits, self.settings.bootstrap, self.seed, control=True)["auc"]
        return Result("auc", auc, control="mask_only")

    def epsilon_records(self, attack: str, tests: int = 1) -> pd.DataFrame:
        """The epsilon that one attack proves (`measured_epsilon`), at a delta of 1 / (2 n) for n training fragments, and its
        negative control; tests: attacks of which the largest is looked at. It is a lower end: the upper end of the interval
        is infinite. n counts decisions, one a recording and model."""
        recordings, delta = self.manifest["source"].astype(str).to_numpy(), 1 / (2 * len(self.splits[0].train()))
        audits = [replace(audit, clusters=recordings[audit.rows]) for audit in self.audits(attack)]  # a coin each
        decisions, results = sum(len(set(audit.clusters)) for audit in audits), []
        for control, audited in (("", audits), ("shuffled", shuffled(audits, self.seed))):
            proven = measured_epsilon(audited, delta, tests)
            results.append(Result("epsilon_lower_bound", Measure(proven, proven, np.inf, decisions), control=control))
        return self._table(attack, results)

    def one_run_records(self, attack: str, tests: int = 1) -> pd.DataFrame:
        """The epsilon that one attack proves on a single model, the first target, from its coins alone: by the bound of
        Steinke, Nasr and Jagielski (2023) at DELTA, with its negative control. Corrected for GUESSES and for the number of
        `tests`."""
        recordings = self.manifest["source"].astype(str).to_numpy()
        audits = [replace(audit, clusters=recordings[audit.rows]) for audit in self.audits(attack)[:1]]
        results = []
        for control, audited in (("", audits), ("shuffled", shuffled(audits, self.seed))):
            coins = len(set(audited[0].clusters))
            guesses = [(round(share * coins), round(share * coins)) for share in GUESSES]
            proven = one_run_epsilon(audited[0], guesses, DELTA, 1 - 0.05 / tests)
            results.append(Result("epsilon_one_run", Measure(proven, proven, np.inf, coins), control=control))
        return self._table(attack, results)

    def _table(self, attack: str, results: list[Result]) -> pd.DataFrame:
        """Records; an attack that could also be fitted on shadows is named so that it shows that it was not."""
        name = attack if getattr(ATTACKS.get(attack), "calibrated", False) else f"{attack}_references"
        return self.table(PROTOCOL, name, results)

    def records(self) -> pd.DataFrame:
        """Accuracies of the targets and every attack, as a cached stage."""
        attacks = fragment_attacks()

        def tables() -> list[pd.DataFrame]:
            accuracies = dict(train_accuracy=self.accuracy("train"), test_accuracy=self.accuracy("held_out"))
            found = [self.table(PROTOCOL, "none", accuracies), self.table(PROTOCOL, "none", [self.mask_only()])]
            with progress("attacks", len(attacks), "attack") as bar:
                for attack in attacks:
                    found.append(self.attack_records(attack))
                    bar.update(1, attack)
            return found

        return self.kept("references", tables, attacks)

    def against_count(self, attacks: list[str], counts: list[int], metric: str = "tpr_at_fpr_1e-2") -> pd.DataFrame:
        """Records of one metric for attacks that know fewer reference models, with their number in `references`."""
        tables = []
        for attack in attacks:
            for count in counts:
                rates = evaluate(self.audits(attack, count=count), self.settings.bootstrap, self.seed)
                tables.append(self.table(PROTOCOL, attack, [Result(metric, rates[metric], references=count)]))
        return pd.concat(tables)

    def against_budget(self, attacks: list[str], budgets: list[int]) -> pd.DataFrame:
        """Records of attacks that ask `budget` times about each fragment, with that number in `queries`.

        The attacks must have an option `budget`, which counts the clean query. Metrics: AUC, and TPR at 1 % FPR.
        """
        tables = []
        for attack in attacks:
            for budget in budgets:
                rates = evaluate(self.audits(attack, budget=budget), self.settings.bootstrap, self.seed)
                results = [Result(metric, rates[metric], queries=budget) for metric in ("auc", "tpr_at_fpr_1e-2")]
                tables.append(self.table(PROTOCOL, attack, results))
        return pd.concat(tables)

    def exposure(self) -> pd.DataFrame:
        """How far each audited fragment gives itself away: speaker, row, confidence outside, exposure, and the seconds of its
        recording up to the end of its last fragment. `doubt` and `rise` are the confidence outside and the exposure by two
        halves of the models outside, so that no model's luck is in both; NaN where there is only one.

        Exposure is the mean logit-scaled confidence of the models that trained on the fragment minus that of the others,
        in standard deviations of the latter, pooled over fragments.
        """
        inside, outside = check_references(self.signals)
        phi = self.signals.statistics.phi
        rows = np.flatnonzero(inside.any(0) & outside.any(0))
        out = masked_mean(phi, outside)
        spread = deviation(phi, outside, out, shared=True)
        manifest = self.manifest
        turn = outside.cumsum(0) % 2 == 1  # every other one of the models that did not train on a fragment
        doubt, others = (masked_mean(phi, outside & half) for half in (turn, ~turn))
        rise = (masked_mean(phi, inside) - others) / spread
        last = manifest.groupby("utterance", observed=True)["start"].transform("max")
        table = manifest.assign(seconds=last + self.settings.fragment_seconds).iloc[rows].assign(row=rows)
        table = table[["speaker", "utterance", "gender", "start", "seconds", "row"]]
        exposure = (masked_mean(phi, inside) - out) / spread
        return table.assign(outside=out[rows], exposure=exposure[rows], doubt=doubt[rows], rise=rise[rows])

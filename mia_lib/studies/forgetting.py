"""Can a model forget a person? Every unlearning method judged on the same people, per recording and per person.

What is asked: does the model give away that the person was in it (U-LiRA, and the population attack that unlearning papers
report); what does it still know of the person; what did it cost those who stay, in accuracy and in exposure; and how long
did it take, beside training again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from mia_lib.attacks.lira import LiRA
from mia_lib.attacks.threshold import best_threshold
from mia_lib.attacks.u_lira import u_lira, without_class
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.evaluate import evaluate, thinnest
from mia_lib.evaluation.forgotten import ALL, BEFORE, LEAVERS, NO_CLASS, OTHERS, POPULATION, U_LIRA
from mia_lib.evaluation.intervals import Measure, mean_change, mean_measure, spread_of_weights
from mia_lib.evaluation.records import Result, results_table
from mia_lib.evaluation.strongest import change_of_strongest
from mia_lib.fragments.splits import HELD_OUT, TRAIN
from mia_lib.signals.signals import Signals
from mia_lib.studies.leaving import CONTROLS, Leaving, Pair
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.draws import generator
from mia_lib.unlearning.base import METHODS, make_method

EXPOSED = 8  # models at most in which the exposure of those who stay is measured
SHOWN = ("auc", "balanced_accuracy")


@dataclass(frozen=True)
class Stand:
    """Answers of models where some people may have left, float32. Rows of a person: as `Leaving.rows` gives them, from the
    beginning again where others have more."""

    inside: np.ndarray  # [people, group, longest, classes], of models that trained on the person, after their request
    outside: np.ndarray  # the same, of models that never saw them
    control: np.ndarray | None  # [people, CONTROLS, longest, classes], of such models that were asked to forget them
    everybody: np.ndarray  # [models, n, classes], to everybody's fragments, of models after one request each
    seconds: float  # that one request took


class ForgettingStudy:
    """One design of who leaves, and every method on it. base: the study whose dataset and settings are used."""

    def __init__(self, base: ShadowStudy):
        self.base, self.leaving, self.settings, self.seed = base, Leaving(base.dataset), base.settings, base.seed
        self._stands: dict[tuple, Stand] = {}

    def stand(self, method: str, people: Sequence[int], controls: bool = False) -> Stand:
        """The answers behind a method, or of the models as they are (BEFORE), where some people are asked about."""
        key = method, tuple(people), controls
        if key not in self._stands:
            if method == BEFORE:
                answers, seconds, group = self.leaving.before[:, self.leaving.known], 0.0, 0
            elif make_method(method).exact:
                (answers, seconds), group = self.leaving.anew(method), 2
            else:
                self._stands[key] = self._served(method, people, controls)
                return self._stands[key]
            inside, outside = (self._of_group(answers, people, side) for side in (group, 1))
            self._stands[key] = Stand(inside, outside, None, np.asarray(answers), seconds)
        return self._stands[key]

    def _of_group(self, answers: np.ndarray, people: Sequence[int], group: int) -> np.ndarray:
        """Answers of each person's models of a group to the person's fragments, from those to everybody's."""
        leaving, found = self.leaving, []
        longest = max(len(leaving.rows(p)) for p in range(len(leaving.leavers)))
        for p in people:
            columns = np.resize(np.searchsorted(leaving.known, leaving.rows(p)), longest)
            found.append(answers[leaving.groups[p, group]][:, columns])
        return np.stack(found)

    def _served(self, method: str, people: Sequence[int], controls: bool) -> Stand:
        groups, leaving = self.leaving.groups, self.leaving
        pairs: list[Pair] = [(int(m), p) for p in people for m in groups[p, 0]]
        shown, seen = [], set[int]()
        for model, _ in pairs:
            shown.append(model not in seen)
            seen.add(model)
        first = len(pairs)
        if controls:
            pairs += [(int(m), p) for p in people for m in groups[p, 2, :CONTROLS]]
        shown += [False] * (len(pairs) - len(shown))
        for model in sorted({*range(leaving.models)} - seen):
            for p in [p for p in range(len(leaving.leavers)) if model in groups[p, 0]][:1]:
                pairs.append((model, p))
                shown.append(True)
        own, open_, seconds = leaving.served(method, pairs, shown)
        everybody = np.array(leaving.before[:, leaving.known])
        everybody[[model for (model, _), yes in zip(pairs, shown, strict=True) if yes]] = open_
        shape = len(people), -1, *own.shape[1:]
        asked = own[first : first + len(people) * CONTROLS].reshape(shape) if controls else None
        outside = self._of_group(everybody, people, 1)
        return Stand(own[:first].reshape(shape), outside, asked, everybody, seconds)

    def _signals(self, answers: np.ndarray, people: Sequence[int], given: bool) -> Signals:
        """Answers [people, models, longest, classes] as signals of all people's fragments that were given, or were not."""
        leaving, logits, labels = self.leaving, [], []
        for own, p in zip(answers, people, strict=True):
            place = np.flatnonzero(leaving.given[leaving.rows(p)] == given)
            logits.append(own[:, place])
            labels += [leaving.splits[0].speakers.index(leaving.leavers[p])] * len(place)
        whole = np.concatenate(logits, 1)
        label = np.tile(np.array(labels), (len(whole), 1))
        return Signals(whole, label, np.full(label.shape, -1, np.int8), aligned=True)

    def _columns(self, people: Sequence[int], given: bool) -> tuple[np.ndarray, np.ndarray]:
        """Who speaks in the columns of `_signals`, str [n], and which fragments they are, int64 [n]."""
        rows = [self.leaving.rows(p, given) for p in people]
        names = [self.leaving.leavers[p] for p, own in zip(people, rows, strict=True) for _ in own]
        return np.array(names), np.concatenate(rows)

    def attacked(
        self, stand: Stand, people: Sequence[int], given: bool, removed: bool = False, control: bool = False
    ) -> list[Audit]:
        """U-LiRA: one audit of all pairs of models together. given: recordings one by one that members trained on, else
        persons, by their other recordings; removed: the person's class is not among the answers; control: in the place of
        members stand models that never saw the person and were asked to forget them.

        Each pair is attacked by means of all others, which are attacked in their turn. So pairs are no targets of their own,
        and what the attack learns of one is the luck of the others: intervals draw people alone, as wide as that asks
        (`spread_of_weights`). Of eight people who left no trace 93 % of them hold one half; 84 % did where pairs counted as
        targets and nothing as learnt (`tests/benchmarks/forgetting_coverage.py`).
        """
        signals = self._signals(np.concatenate([stand.inside, stand.outside], 1), people, given)
        controls = self._signals(stand.control, people, given) if control and stand.control is not None else None
        if removed:
            signals = without_class(signals)
            controls = None if controls is None else without_class(controls)
        names, rows = self._columns(people, given)
        sides: np.ndarray = np.array(u_lira(signals, controls))  # [pairs, inside and outside, n]
        if not given:
            names, start, person = np.unique(names, return_index=True, return_inverse=True)
            rows = rows[start]
            sides = np.apply_along_axis(lambda scores: np.bincount(person, scores), 2, sides)
        member = np.broadcast_to(np.array([True, False])[:, None], sides.shape)
        clusters, each = (np.broadcast_to(one, sides.shape).ravel() for one in (names, rows))
        spread = spread_of_weights(len(people), learnt=1.0)
        return [Audit(sides.ravel(), member.ravel(), clusters, 0.0, each, spread)]

    def swapped(self, audit: Audit) -> Audit:
        """The negative control of `attacked`: in each pair of models, for each person, a coin decides which of the two is
        called the one that trained on them. Nothing is learnt from these coins."""
        names, person = np.unique(audit.clusters, return_inverse=True)
        turned = generator(self.seed, "models that are swapped").random((self.leaving.group, len(names))) < 0.5
        pair = np.arange(len(person)) * self.leaving.group // len(person)
        return replace(audit, member=audit.member ^ turned[pair, person], spread=spread_of_weights(len(names)))

    def population(self, stand: Stand, people: Sequence[int]) -> list[Audit]:
        """The attack of unlearning papers: in each model that served a request, the person's training recordings against the
        person's others by one number, the logit-scaled confidence; its threshold is learnt on the other models."""
        sides = [self._signals(stand.inside, people, given).statistics.phi for given in (True, False)]
        columns = [self._columns(people, given) for given in (True, False)]
        names, rows = (np.concatenate([side[i] for side in columns]) for i in (0, 1))
        phi, member = np.concatenate(sides, 1), np.repeat([True, False], [side.shape[1] for side in sides])
        audits = []
        for k in range(len(phi)):
            others = np.delete(phi, k, 0)
            threshold = best_threshold(others.ravel(), np.tile(member, len(others)))
            audits.append(Audit(phi[k], member, names, threshold, rows))
        return audits

    @cached_property
    def _stayers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of those who stay: columns among everybody's fragments, roles [models, n], classes and names [n]."""
        speaker = self.base.manifest["speaker"].astype(str).to_numpy()[self.leaving.known]
        columns = np.flatnonzero(np.isin(speaker, self.leaving.stayers))
        roles = np.stack([split.role for split in self.leaving.splits])[:, self.leaving.known[columns]]
        labels = np.searchsorted(self.leaving.splits[0].speakers, speaker[columns])
        return columns, roles, labels, speaker[columns]

    def right(self, stand: Stand) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Whether each model names those who stay by recordings that it never heard, and who they are."""
        columns, roles, labels, names = self._stayers
        named = (stand.everybody[:, columns].argmax(-1) == labels).astype(float)
        held = roles == HELD_OUT
        return [named[k, held[k]] for k in range(len(named))], [names[held[k]] for k in range(len(named))]

    def exposed(self, stand: Stand) -> list[Audit]:
        """LiRA on the recordings of those who stay: is a recording found among others of the same people?"""
        columns, roles, labels, names = self._stayers
        member = np.select([roles == TRAIN, roles == HELD_OUT], [1, 0], -1).astype(np.int8)
        signals = Signals(stand.everybody[:, columns], np.tile(labels, (len(member), 1)), member, aligned=True)
        _, audits = signals.statistics, []
        for k in range(min(EXPOSED, len(member))):
            asked = np.flatnonzero(member[k] >= 0)
            scores = LiRA().fit(signals.without(k)).score(signals.pick([k]))[0, asked]
            rows = self.leaving.known[columns][asked]
            audits.append(Audit(scores, member[k, asked] == 1, names[asked], 0.0, rows))
        return audits

    def screened(self, method: str) -> dict[str, float]:
        """What a choice of strength needs, on people who are not audited: how far U-LiRA is from chance, and the accuracy on
        those who stay."""
        people = self.leaving.chosen_on
        stand = self.stand(method, people)
        aucs = [evaluate(self.attacked(stand, people, True, removed), 0)["auc"].value for removed in (False, True)]
        right = float(np.mean([own.mean() for own in self.right(stand)[0]]))
        return dict(auc=aucs[0], auc_without_class=aucs[1], accuracy=right)

    def screen(self) -> pd.DataFrame:
        """All methods with their strengths, and the models as they are, on the people on whom strengths are chosen."""
        names = [BEFORE, *(name for kind in METHODS.names() for name in self.leaving.candidates(kind))]
        return pd.DataFrame({name: self.screened(name) for name in names}).T

    def records(self, method: str) -> pd.DataFrame:
        """Everything that is measured of one method on the people who are audited; BEFORE: of the models as they are."""
        people, draws, seed = self.leaving.audited, self.settings.bootstrap, self.seed
        approximate = method != BEFORE and not make_method(method).exact
        stand = self.stand(method, people, approximate)
        tables = [self._utility(method, stand)]
        for protocol, given in (("paper", True), ("speaker", False)):
            results = []
            for condition, removed in ((ALL, False), (NO_CLASS, True)):
                audits = self.attacked(stand, people, given, removed)
                rates = evaluate(audits, draws, seed)
                results += [Result(name, rates[name], condition) for name in SHOWN]
                controls = {"shuffled": [self.swapped(audit) for audit in audits]}
                if approximate:
                    controls["unexposed"] = self.attacked(stand, people, given, removed, control=True)
                for control, audited in controls.items():
                    auc = evaluate(audited, draws, seed, control=True)["auc"]
                    results.append(Result("auc", auc, condition, control=control))
            results.append(Result("audit_units", thinnest(audits), ALL))
            tables.append(self._table(method, protocol, U_LIRA, results))
        audits, found = self.population(stand, people), []
        for control, audited in (("", audits), ("shuffled", shuffled(audits, seed))):
            rates = evaluate(audited, draws, seed, control=True)
            found += [Result(name, rate, LEAVERS, control=control) for name, rate in rates.items()]
        tables.append(self._table(method, "utterance", POPULATION, found))
        tables.append(self._exposure(method, stand))
        return pd.concat(tables, ignore_index=True)

    def _utility(self, method: str, stand: Stand) -> pd.DataFrame:
        """Accuracies on who left and on who stayed, and time as a share of training again."""
        people, draws, seed = self.leaving.audited, self.settings.bootstrap, self.seed
        before = self.stand(BEFORE, people)
        (right, names), (usual, _) = self.right(stand), self.right(before)
        results = [
            Result("test_accuracy", mean_measure(right, names, draws, seed), OTHERS),
            Result("test_accuracy_change", mean_change(right, usual, names, draws, seed), OTHERS),
        ]
        for name, given in (("train_accuracy", True), ("test_accuracy", False)):
            correct = self._signals(stand.inside, people, given).statistics.correct
            clusters = [self._columns(people, given)[0]] * len(correct)
            results.append(Result(name, mean_measure(list(correct), clusters, draws, seed), LEAVERS))
        if method != BEFORE:
            parts = make_method(method).pieces
            share = stand.seconds / parts / (self.leaving.pool.models.seconds / self.leaving.models)
            results.append(Result("train_seconds_ratio", Measure(share, share, share, self.leaving.models), LEAVERS))
        return self._table(method, "", "none", results)

    def _exposure(self, method: str, stand: Stand) -> pd.DataFrame:
        """How well LiRA finds recordings of those who stayed, and how far that is from before."""
        draws, seed = self.settings.bootstrap, self.seed
        after = self.exposed(stand)
        rates = evaluate(after, draws, seed)
        results = [Result(name, rates[name], OTHERS) for name in ("auc", "tpr_at_fpr_1e-2")]
        if method != BEFORE:
            usual = self.exposed(self.stand(BEFORE, self.leaving.audited))
            change = change_of_strongest({"lira_online": after}, {"lira_online": usual}, draws, seed)
            results.append(Result("auc_change", change, OTHERS))
        return self._table(method, "utterance", "lira_online", results)

    def _table(self, method: str, protocol: str, attack: str, results: list[Result]) -> pd.DataFrame:
        base = self.base
        identity = dict(corpus=base.corpus_name, profile=base.profile, seed=self.seed, protocol=protocol)
        return results_table(identity | dict(defense=method, attack=attack, adaptive=True), results)

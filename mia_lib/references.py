"""Reference models: the stage for attacks that compare a fragment with itself in models that did and did not see it.

All models know all speakers. Each recording trains a random half of the models; a tenth of each speaker's recordings
trains none and is the attacker's population. The first models play the target in turn, attacked through all others.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, masked_mean
from mia_lib.attacks.lira import deviation
from mia_lib.evaluation import Audit, Measure, best_threshold, evaluate, mean_measure, with_controls
from mia_lib.experiment import Experiment
from mia_lib.internals import read_internals
from mia_lib.models import MODELS
from mia_lib.progress import progress
from mia_lib.protocols import HELD_OUT, POPULATION, TRAIN, Split, audit_units, random_half_splits
from mia_lib.quick import summary_vectors
from mia_lib.signals import Signals
from mia_lib.stack import Stack
from mia_lib.stages import digest, file_digest

POPULATION_SHARE = 0.1
PROTOCOL = "utterance"
PRETENDERS = 2  # reference models that play the target while a threshold is learnt


class References:
    """`n_references` + 1 models on random halves, and one on the population alone: the negative control's target."""

    def __init__(self, experiment: Experiment):
        self.experiment, self.settings = experiment, experiment.settings
        self.count = self.settings.n_references + 1
        self._fits: dict[tuple, tuple] = {}

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models; the last one trains on the population and is held out from everything audited."""
        manifest = self.experiment.manifest
        speakers = sorted(manifest["speaker"].astype(str).unique())
        halves = random_half_splits(manifest, speakers, self.count, self.experiment.seed, POPULATION_SHARE)
        unexposed = np.where(halves[0].role == POPULATION, TRAIN, HELD_OUT).astype(np.int8)
        return [*self.experiment.set_aside(halves), Split(halves[0].speakers, unexposed)]

    @cached_property
    def stack(self) -> Stack:
        """All models, trained in one call."""
        seeds = np.random.SeedSequence([self.experiment.seed, 12]).generate_state(len(self.splits))
        epochs = [self.settings.epochs] * len(self.splits)
        return Stack(self.experiment, self.splits, epochs, seeds, self.experiment.defense)

    def targets(self) -> list[int]:
        """The models that are attacked in turn."""
        return list(range(min(self.settings.repeats, self.count)))

    @cached_property
    def signals(self) -> Signals:
        """Signals of the reference models, with their own membership (the negative control's model is left out)."""
        roles = np.stack([split.role for split in self.splits[: self.count]])
        member = np.select([roles == TRAIN, roles == HELD_OUT], [1, 0], -1).astype(np.int8)
        population = self.splits[0].role == POPULATION
        return Signals(self.stack.logits[: self.count], self.stack.labels[: self.count], member, True, population)

    @cached_property
    def _unexposed(self) -> Signals:
        """Signals of the model that trained on the population alone; nothing is audited."""
        nobody = np.full_like(self.signals.member[:1], -1)
        return Signals(self.stack.logits[self.count :], self.stack.labels[self.count :], nobody, True)

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        """What some of the fragments are like, whatever a model says: mean and deviation over time, float64 [n, D]."""
        return summary_vectors(self.experiment.features[rows].cpu()).astype(np.float64)

    def _internals(self, rows: np.ndarray) -> np.ndarray:
        """What their owner reads in all models (the unexposed one is last) for some fragments, float64 [models, n, W]."""
        stack, experiment = self.stack, self.experiment
        labels = stack.labels[:, rows]

        def build(folder: Path, _scratch: Path) -> None:
            network, features = stack.models.network, experiment.features[rows]
            np.save(folder / "internals.npy", read_internals(network, features, labels, experiment.device))

        params = stack._model_params() | dict(rows=digest(rows.tolist()), labels=digest(labels.tolist()))
        code = ["mia_lib.internals", "mia_lib.models.layers", MODELS.get(stack.config.model).__module__]
        return np.load(experiment.cache.stage("internals", params, code, build) / "internals.npy", allow_pickle=False)

    def units(self) -> np.ndarray:
        """What is drawn as a whole for intervals: the source of every fragment, str [N]."""
        return audit_units(self.experiment.manifest, PROTOCOL)

    def audits(self, attack: str, control: bool = False, count: int | None = None, **options) -> list[Audit]:
        """One audit per target: the attack fitted on the other models, or on the first `count` of them.

        The threshold is learnt where some of those models play the target, attacked through the rest. With `control`, the
        model that trained on the population alone answers in the target's place. options: of the attack. With `count`, the
        fragments that all or none of so few models trained on are left out.
        """
        audits = []
        for target in self.targets():
            others = [k for k in range(self.count) if k != target][:count]
            fitted, threshold = self._fitted(attack, target, tuple(others), tuple(options.items()))
            scores = fitted.score(self._unexposed if control else self.signals.pick([target]))[0]
            member = self.signals.member[target]
            rows = np.flatnonzero((member >= 0) & self._covered(others))
            audits.append(Audit(scores[rows], member[rows] == 1, self.units()[rows], threshold, rows))
        return audits

    def _covered(self, models: list[int]) -> np.ndarray:
        """Fragments, bool [N], that some but not all of the models trained on."""
        trained = self.signals.member[models] == 1
        return trained.any(0) & ~trained.all(0)

    def _fitted(self, attack: str, target: int, models: tuple[int, ...], options: tuple) -> tuple:
        """The attack fitted on `models`, and its threshold; each is computed once."""
        key = (attack, target, models, options)
        if key not in self._fits:
            scores, members = [], []
            for k in models[:PRETENDERS]:
                rest = [m for m in models if m != k]
                mask = (self.signals.member[k] >= 0) & self._covered(rest)
                scores.append(self._fit(key, rest).score(self.signals.pick([k]))[0, mask])
                members.append(self.signals.member[k, mask] == 1)
            threshold = best_threshold(np.concatenate(scores), np.concatenate(members))
            self._fits[key] = self._fit(key, list(models)), threshold
        return self._fits[key]

    def _fit(self, key: tuple, models: list[int]):
        attack, target, _, options = key
        used = np.isin(np.arange(self.count), models)[:, None] & self._covered(models)
        seed = self.experiment.seed * 1000 + target
        return ATTACKS.get(attack)(seed=seed, **dict(options)).fit(self.signals.audit_only(used))

    def accuracy(self, side: str) -> Measure:
        """Accuracy of the targets on their `train` or `held_out` fragments."""
        values, units = [], []
        for k in self.targets():
            index = getattr(self.splits[k], side)()
            values.append((self.stack.logits[k][index].argmax(-1) == self.stack.labels[k][index]).astype(float))
            units.append(self.units()[index])
        return mean_measure(values, units, self.settings.bootstrap, self.experiment.seed)

    def attack_records(self, attack: str) -> pd.DataFrame:
        """All rates of one attack, with its two negative controls.

        An attack that could also be fitted on shadows of other people gets a name that says that it was not.
        """
        name = attack if ATTACKS.get(attack).calibrated else f"{attack}_references"
        experiment, audits = self.experiment, self.audits(attack)
        controls = {"unexposed": self.audits(attack, control=True)}
        controls["shuffled"] = [audit.shuffled(experiment.seed * 1000 + i) for i, audit in enumerate(audits)]
        measures = with_controls(audits, controls, self.settings.bootstrap, experiment.seed)
        return experiment.table(PROTOCOL, name, measures)

    def records(self) -> pd.DataFrame:
        """Accuracies of the targets and every attack, as a cached stage."""
        experiment = self.experiment

        def build(folder: Path, _scratch: Path) -> None:
            accuracies = {
                f"{name}_accuracy": self.accuracy(side) for name, side in (("train", "train"), ("test", "held_out"))
            }
            tables = [experiment.table(PROTOCOL, "none", accuracies)]
            with progress("attacks", len(ATTACKS.names()), "attack") as bar:
                for attack in ATTACKS.names():
                    tables.append(self.attack_records(attack))
                    bar.update(1, attack)
            pd.concat(tables).to_parquet(folder / "records.parquet", index=False)

        attacks = [ATTACKS.get(name).__module__ for name in ATTACKS.names()]
        code = [f"mia_lib.{name}" for name in ("references", "evaluation", "protocols", "signals", "statistics")]
        params = {"logits": file_digest(Path(self.stack.logits.filename)), "corpus": experiment.corpus_name}
        params |= {"profile": experiment.profile, "seed": experiment.seed, "settings": self.settings.asdict()}
        return pd.read_parquet(experiment.cache.stage("records", params, [*code, *attacks], build) / "records.parquet")

    def against_count(self, attacks: list[str], counts: list[int], metric: str = "tpr_at_fpr_1e-2") -> pd.DataFrame:
        """Records of one metric for attacks that know fewer reference models, with their number in a column `models`."""
        tables = []
        for attack in attacks:
            for count in counts:
                measure = evaluate(self.audits(attack, count=count), self.settings.bootstrap, self.experiment.seed)[
                    metric
                ]
                table = self.experiment.table(PROTOCOL, attack, {f"{metric}_{count}_references": measure})
                tables.append(table.assign(models=count))
        return pd.concat(tables)

    def exposure(self) -> pd.DataFrame:
        """How far each audited fragment gives itself away: speaker, row, confidence outside, and exposure.

        Exposure is the mean logit-scaled confidence of the models that trained on the fragment minus that of the others,
        in standard deviations of the latter, pooled over fragments.
        """
        inside, outside = check_references(self.signals)
        phi = self.signals.statistics.phi
        rows = np.flatnonzero(inside.any(0))
        out = masked_mean(phi, outside)
        spread = deviation(phi, outside, out, shared=True)
        table = self.experiment.manifest.iloc[rows][["speaker", "utterance", "gender", "start"]].assign(row=rows)
        return table.assign(outside=out[rows], exposure=((masked_mean(phi, inside) - out) / spread)[rows])

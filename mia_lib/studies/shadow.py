"""One experiment from corpus to records: each step is a cached stage, computed when it is first asked for."""

import json
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.threshold import best_threshold
from mia_lib.corpora.base import open_corpus
from mia_lib.defenses.base import make_defense
from mia_lib.evaluation.audit import Audit, shuffled
from mia_lib.evaluation.evaluate import evaluate, with_controls
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.records import COLUMNS
from mia_lib.features.compute import compute_features
from mia_lib.features.resident import Waveforms, resident
from mia_lib.fragments.cutting import Fragments, make_fragments
from mia_lib.fragments.splits import (
    HELD_OUT,
    PROTOCOLS,
    TRAIN,
    UNSEEN,
    Split,
    audit_units,
    lab41_splits,
    membership,
    names_speakers,
    set_reference_aside,
    shadow_attack_splits,
    whole_recordings,
)
from mia_lib.signals.signals import Signals
from mia_lib.studies.pool import Stack, detailed_signals, needs_of
from mia_lib.support.cache import Cache
from mia_lib.support.device import choose_device
from mia_lib.support.digests import file_digest
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import resolve
from mia_lib.training.trained import TrainedModels

DEFENDER_SHARE = 0.6  # of the held-out recordings, for a defense that needs data beside what the model trains on
DATA = ("fragments", "features", "resident")
"""What is computed of the corpus alone, whoever trains on what."""
PAPER_ATTACKS = ("largest_posterior", "top3_network")


class Experiment:
    """Target models, their shadow models, and the attacks on them, for one corpus, profile and seed.

    The stack holds `repeats` groups of one target and `shadows` shadow models; group r is drawn with seed (seed, r). At
    least two shadows are trained in each group: the last plays the unexposed target of the negative control.
    """

    def __init__(
        self,
        corpus: str = "demo",
        profile: str = "standard",
        seed: int = 0,
        device: str = "auto",
        outputs: str | Path = "outputs",
        data_root: str | Path | None = None,
        settings: dict | None = None,
        max_bad: float = 0.05,
        defense: str = "none",
    ):
        self.corpus_name, self.profile, self.seed, self.max_bad = corpus, profile, seed, max_bad
        self.defense, self.first_repeat = defense, 0
        self.settings = resolve(profile, corpus, settings)
        self.device = choose_device(device)
        self.corpus = open_corpus(corpus, data_root or None, seed)
        self.cache = Cache(Path(outputs) / "cache")
        self.shadows = max(2, self.settings.n_shadows)

    def defended(self, defense: str) -> "Experiment":
        """The same experiment with all models behind a defense, such as `label_smoothing:0.2` (see `make_defense`)."""
        make_defense(defense)  # refuses unknown names before anything is computed
        other = self._sharing(*DATA, "groups", "_detailed_rows")
        other.defense = defense
        return other

    def validation(self) -> "Experiment":
        """One more target with one shadow, drawn as the others: strengths are chosen on it, never on the attacked ones."""
        other = self._sharing(*DATA)
        other.first_repeat, other.shadows = self.settings.repeats, 1
        other.settings = replace(self.settings, repeats=1, n_shadows=1)
        return other

    def _sharing(self, *kept: str) -> "Experiment":
        """A copy that shares of all that was computed only what is named."""
        other = copy(self)
        for name, kind in vars(type(self)).items():
            if isinstance(kind, cached_property) and name not in kept:
                other.__dict__.pop(name, None)
        return other

    def set_aside(self, splits: list[Split]) -> list[Split]:
        """The splits, with recordings for the defender where the defense needs some."""
        if not make_defense(self.defense).needs_reference:
            return splits
        seed = self.seed * 1000
        return [set_reference_aside(self.manifest, s, DEFENDER_SHARE, seed + k) for k, s in enumerate(splits)]

    @cached_property
    def fragments(self) -> Fragments:
        """The corpus cut into fragments."""
        return make_fragments(self.corpus, self.cache, self.settings, self.seed, self.max_bad)

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per fragment."""
        return self.fragments.manifest

    @cached_property
    def features(self) -> torch.Tensor:
        """Feature tensor [N, frames, bins], memory-mapped."""
        return compute_features(self.settings.feature, self.fragments, self.settings.hop, self.cache, self.device)

    @cached_property
    def resident(self) -> torch.Tensor | Waveforms:
        """The same where models read them: on the device, or computed anew from waveforms there."""
        return resident(self.features, self.settings.feature, self.fragments, self.settings.hop, self.device)

    @cached_property
    def groups(self) -> list[tuple[Split, list[Split]]]:
        """Per repeat, the target's split and its shadows' splits."""
        s = self.settings
        validation = 0.1 if s.patience else 0.0
        groups = []
        for repeat in range(self.first_repeat, self.first_repeat + s.repeats):
            seed = self.seed * 1000 + repeat
            if s.split == "lab41":
                groups.append(lab41_splits(self.manifest, self.shadows, seed, validation))
            else:
                groups.append(shadow_attack_splits(self.manifest, self.shadows, s.train_fraction, seed, validation))
        return groups

    @cached_property
    def splits(self) -> list[Split]:
        """The splits of all models in the order of the stack: target, shadows, next target, ..."""
        return self.set_aside([split for target, shadows in self.groups for split in (target, *shadows)])

    @cached_property
    def stack(self) -> Stack:
        """All targets and shadows, trained in one call."""
        s = self.settings
        epochs = [s.epochs, *[s.shadow_epochs] * self.shadows] * s.repeats
        seeds = np.random.SeedSequence([self.seed, 8, self.first_repeat]).generate_state(len(self.splits))
        return Stack(self, self.splits, epochs, seeds, self.defense, followed=not make_defense(self.defense).trains)

    @property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]; -1 where its speaker is none of the classes."""
        return self.stack.labels

    @property
    def models(self) -> TrainedModels:
        """The trained targets and shadows."""
        return self.stack.models

    @property
    def logits(self) -> np.ndarray:
        """Answers of every model to every fragment, float32 [models, N, classes]."""
        return self.stack.logits

    def targets(self) -> list[int]:
        """Rows of the stack that are target models."""
        return [r * (1 + self.shadows) for r in range(self.settings.repeats)]

    def feature_params(self) -> dict:
        """What decides the features: part of the key of every stage computed from them."""
        return {"fragments": self.fragments.key, "feature": self.settings.feature, "hop": self.settings.hop}

    def signals(self, model: int, protocol: str, split: int | None = None, needs: tuple[str, ...] = ()) -> Signals:
        """What a model of the stack answers, with its membership under `protocol`.

        With `split`, the audit set is that of another row of the stack. needs: extras, which are there on
        `fragments_for(needs)` only.
        """
        row = model if split is None else split
        member = self._membership(row, protocol)[self.fragments_for(needs)]
        return self._answers_to(protocol, needs).pick([model]).with_members(member[None])

    def fragments_for(self, needs: tuple[str, ...]) -> np.ndarray:
        """Which fragments an attack is run on that needs these extras, int64 [n]: all of them if it needs none."""
        return self._detailed_rows if needs else np.arange(len(self.manifest))

    @cached_property
    def _detailed_rows(self) -> np.ndarray:
        """About `query_fragments` fragments, in whole recordings, that play a part for a target or a shadow model.

        The same behind any defense: what is set aside for the defender is not looked at.
        """
        roles = np.stack([split.role for target, shadows in self.groups for split in (target, *shadows)])
        audited = np.isin(roles, (TRAIN, HELD_OUT, UNSEEN)).any(0)
        sources = np.where(audited, self.manifest["source"].astype(str), "")
        return whole_recordings(sources, self.settings.query_fragments, self.seed)

    @cached_property
    def _details(self) -> dict[tuple, Signals]:
        return {}

    def _answers_to(self, protocol: str, needs: tuple[str, ...]) -> Signals:
        """`_answers_with`, as an attacker under `protocol` sees them."""
        answers = self._answers_with(needs)
        answers = answers if names_speakers(protocol) else answers.unnamed
        _ = answers.statistics  # computed once, for all that are picked from it
        return answers

    def _answers_with(self, needs: tuple[str, ...]) -> Signals:
        """Signals of all models with the extras that `needs` names, on `fragments_for(needs)`; no membership."""
        if not needs:
            return self.answers
        if needs not in self._details:
            rows = self._detailed_rows
            nobody = np.full((len(self.splits), len(rows)), -1, np.int8)
            self._details[needs] = detailed_signals(self.stack, rows, needs, nobody)
        return self._details[needs]

    @cached_property
    def answers(self) -> Signals:
        """Signals of all models, with no membership and with their statistics, which all attacks share."""
        answers = Signals(self.logits, self.labels, np.full(self.labels.shape, -1, np.int8))
        _ = answers.statistics
        return answers

    def _membership(self, row: int, protocol: str) -> np.ndarray:
        """Membership int8 [N] of a row of the stack."""
        return membership(self.splits[row], protocol, self.seed * 1000 + row)

    def units(self, protocol: str) -> np.ndarray:
        """What is drawn as a whole for intervals, of every fragment: source (`utterance`) or speaker; str [N]."""
        return audit_units(self.manifest, protocol)

    def _shadow_signals(self, target: int, protocol: str, count: int, needs: tuple[str, ...] = ()) -> Signals:
        """The signals of the first `count` shadows of a target, with the extras that `needs` names."""
        rows = list(range(target + 1, target + 1 + count))
        member = np.stack([self._membership(k, protocol) for k in rows])[:, self.fragments_for(needs)]
        return self._answers_to(protocol, needs).pick(rows).with_members(member)

    @cached_property
    def _fits(self) -> dict[tuple, tuple]:
        return {}

    def _fitted(self, attack: str, protocol: str, target: int, count: int, options: tuple = ()) -> tuple:
        """An attack fitted on the first `count` shadows of a target, and the threshold learnt there; each is fitted once."""
        key = (attack, protocol, target, count, options)
        if key not in self._fits:
            known = self._shadow_signals(target, protocol, count, needs_of(attack))
            fit = ATTACKS.get(attack)(seed=self.seed * 1000 + target, **dict(options)).fit(known)
            mask, member = known.audited()
            self._fits[key] = fit, best_threshold(fit.score(known)[mask], member)
        return self._fits[key]

    def audits(
        self, attack: str, protocol: str, control: bool = False, shadows: "Experiment | None" = None, **options
    ) -> list[Audit]:
        """One audit per repeat: the attack fitted on the repeat's shadow signals, applied to its target.

        The threshold is the one of the best balanced accuracy on the shadows. With `control`, the last shadow, which has
        trained on none of the target's audit set, stands in for the target, and the attack is fitted without it.
        shadows: the experiment whose shadow models the attack is fitted on (None: this one); the undefended experiment
        makes an attack that does not know the defense. options: of the attack.
        """
        audits, needs = [], needs_of(attack)
        for target in self.targets():
            count = self.shadows - 1 if control else self.settings.n_shadows
            fit, threshold = (shadows or self)._fitted(attack, protocol, target, count, tuple(options.items()))
            victim = self.signals(target + self.shadows if control else target, protocol, target, needs)
            mask, member = victim.audited()
            rows = self.fragments_for(needs)[mask[0]]
            audits.append(Audit(fit.score(victim)[mask], member, self.units(protocol)[rows], threshold, rows))
        return audits

    def accuracy(self, side: str, models: list[int] | None = None, mask: np.ndarray | None = None) -> Measure:
        """Accuracy of models (default: the targets) on their `train` or `held_out` fragments, or those within `mask`."""
        models = self.targets() if models is None else models
        values, units = [], []
        for k in models:
            index = getattr(self.splits[k], side)()
            index = index if mask is None else index[mask[index]]
            values.append((self.logits[k][index].argmax(-1) == self.labels[k][index]).astype(float))
            units.append(self.units("utterance")[index])
        return mean_measure(values, units, self.settings.bootstrap, self.seed)

    def accepted(self, attack: str, protocol: str) -> dict[str, Measure]:
        """Share of fragments of each role that an attack under `protocol` calls members, whoever they are."""
        shares: dict[str, list] = {"train": [], "held_out": [], "unseen": []}
        needs = needs_of(attack)
        fragments = self.fragments_for(needs)
        for target in self.targets():
            fit, threshold = self._fitted(attack, protocol, target, self.settings.n_shadows)
            scores = fit.score(self.signals(target, protocol, needs=needs))[0]
            for code, role in ((TRAIN, "train"), (HELD_OUT, "held_out"), (UNSEEN, "unseen")):
                rows = self.splits[target].role[fragments] == code
                units = self.units("speaker")[fragments[rows]]
                shares[role].append(((scores[rows] >= threshold).astype(float), units))
        return {
            role: mean_measure(*map(list, zip(*pairs, strict=True)), self.settings.bootstrap, self.seed)
            for role, pairs in shares.items()
        }

    def by_condition(self, column: str, attack: str, protocol: str) -> pd.DataFrame:
        """Test accuracy and the attack's AUC for each value of a condition column of the manifest (room, distractor ...).

        Conditions on which an audit lacks members or non-members are left out. The metric names end in the condition.
        """
        audits, tables = self.audits(attack, protocol), []
        for value in sorted(self.manifest[column].dropna().astype(str).unique()):
            mask = (self.manifest[column].astype(str) == value).to_numpy()
            measures = {f"test_accuracy_{column}_{value}": self.accuracy("held_out", mask=mask)}
            tables.append(self.table("", "none", measures))
            try:
                auc = evaluate([audit.where(mask) for audit in audits], self.settings.bootstrap, self.seed)["auc"]
            except MiaError:
                continue
            tables.append(self.table(protocol, attack, {f"auc_{column}_{value}": auc}))
        return pd.concat(tables)

    def utility_records(self) -> pd.DataFrame:
        """Accuracies of the target models, and the time that training took."""
        measures = {"train_accuracy": self.accuracy("train"), "test_accuracy": self.accuracy("held_out")}
        seconds = self.models.seconds
        measures["train_seconds"] = Measure(seconds, seconds, seconds, len(self.splits))
        return self.table("", "none", measures)

    def attack_records(self, attack: str, protocol: str) -> pd.DataFrame:
        """All rates of one attack under one protocol, with its two negative controls."""
        audits = self.audits(attack, protocol)
        unexposed = self.audits(attack, protocol, control=True)
        controls = {"shuffled": shuffled(audits, self.seed), "unexposed": unexposed}
        return self.table(protocol, attack, with_controls(audits, controls, self.settings.bootstrap, self.seed))

    def table(self, protocol: str, attack: str, measures: dict[str, Measure], adaptive: bool = False) -> pd.DataFrame:
        """Tidy records, one row per measure, with the columns that `results.csv` has."""
        common = [self.corpus_name, self.profile, self.seed, protocol, self.defense, attack, adaptive]
        rows = [[*common, metric, m.value, m.low, m.high, m.n] for metric, m in measures.items()]
        return pd.DataFrame(rows, columns=COLUMNS)

    def records(self) -> pd.DataFrame:
        """Utility and the paper's attacks under every protocol, as a cached stage (`results.csv` of this corpus)."""

        def build(folder: Path, _scratch: Path) -> None:
            tables = [self.attack_records(attack, p) for p in PROTOCOLS for attack in PAPER_ATTACKS]
            tables.append(self.attack_records("gap", "utterance"))  # the floor; no answer is right for a stranger
            pd.concat([self.utility_records(), *tables]).to_parquet(folder / "records.parquet", index=False)

        attacks = [ATTACKS.get(name).__module__ for name in (*PAPER_ATTACKS, "gap")]
        code = [f"mia_lib.{name}" for name in ("experiment", "evaluation", "protocols", "signals", "statistics")]
        params = {"logits": file_digest(Path(self.logits.filename)), "corpus": self.corpus_name}
        params |= {"profile": self.profile, "seed": self.seed, "settings": self.settings.asdict()}
        return pd.read_parquet(self.cache.stage("records", params, [*code, *attacks], build) / "records.parquet")

    def context(self) -> dict:
        """What `run.json` says of this experiment: device, data, counts."""
        report = {k: v for k, v in self.fragments.report.items() if not isinstance(v, list)}
        return {
            "device": str(self.device),
            "data_hash": self.fragments.key,
            "fragments": json.loads(json.dumps(report)),
        }

"""Who is at risk, asked of reference models: persons, forecasts from what training leaves behind, and how many recordings."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.evaluation import people
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.rates import threshold_at
from mia_lib.evaluation.records import Result
from mia_lib.fragments.splits import NONE, Split, coin_splits
from mia_lib.models.network import MODELS
from mia_lib.studies.reference import POPULATION_SHARE, PROTOCOL, ReferenceStudy
from mia_lib.studies.study import Study
from mia_lib.support.draws import generator
from mia_lib.training.traces import FollowedLosses, interquartile_range
from mia_lib.training.train import train_job

TRIED = ("lira_online", "rmia_online", "top3_network", "loss")
JUDGE = "lira_online"
FORECASTS = ("loss_spread", "last_loss", "fewest_recordings", "by_chance")
TOP = 0.01
FEW, FEW_SPEAKERS = 8, 30  # reference models, and speakers, where recordings are few


def audits_of(references: ReferenceStudy, attacks: Sequence[str] = TRIED) -> dict[str, list[Audit]]:
    """The audits of some attacks that ask about every fragment."""
    return {attack: references.audits(attack) for attack in attacks}


def loss_traces(references: ReferenceStudy) -> list[np.ndarray]:
    """Losses of each target's training fragments in every pass, [n, passes] each, as a cached stage: the targets train as
    they did, in one stack, and note what they meet."""
    pool, targets = references.pool, references.targets()

    def build(folder: Path, scratch: Path) -> None:
        objective = FollowedLosses()
        train_job(replace(pool.job(), test=None, label="follow losses of targets").pick(targets), objective)
        for place in range(len(targets)):
            np.save(folder / f"{place}.npy", objective.of(place))

    params = dict(models=[pool.keys[k] for k in targets])
    folder = references.cache.stage("loss-traces", params, build, [MODELS.get(pool.config.model)])
    return [np.load(folder / f"{place}.npy", allow_pickle=False) for place in range(len(targets))]


def forecasts(references: ReferenceStudy) -> pd.DataFrame:
    """One row per target and member: what can be known of it before any attack, and whether LiRA then finds it.

    loss_spread: LT-IQR; last_loss: the loss in the last pass; fewest_recordings: minus the number of the person's training
    recordings; by_chance: drawn; vulnerable: accepted by LiRA at 0.1 % false alarms. Higher means more exposed.
    """
    source, tables = references.manifest["source"].astype(str), []
    for place, audit in enumerate(references.audits(JUDGE)):
        split = references.splits[references.targets()[place]]
        own, trace = split.train(), loss_traces(references)[place]
        recordings = source.iloc[own].groupby(references.clusters[own]).nunique()
        last = np.array([row[~np.isnan(row)][-1] for row in trace])
        threshold = threshold_at(audit.scores, audit.member, people.STRICT)
        scores = pd.Series(audit.scores, index=audit.rows).reindex(own)
        table = pd.DataFrame(dict(
            target=place, row=own, speaker=references.clusters[own], loss_spread=interquartile_range(trace), last_loss=last,
            fewest_recordings=-recordings.reindex(references.clusters[own]).to_numpy(), score=scores.to_numpy(),
            by_chance=generator(references.seed, "forecast by chance", place).random(len(own)),
        ))  # fmt: skip
        tables.append(table.assign(vulnerable=table["score"] >= threshold).dropna(subset=["score"]))
    return pd.concat(tables, ignore_index=True)


def forecast_records(references: ReferenceStudy, table: pd.DataFrame) -> pd.DataFrame:
    """`precision_at_1e-2` of each forecast, over the most exposed hundredth of every target, with intervals that draw
    persons; and how many members are vulnerable at all (`share_vulnerable`). The forecast stands in `condition`."""
    draws, seed, results = references.settings.bootstrap, references.seed, []
    for name in FORECASTS:
        parts = [part.nlargest(max(1, round(TOP * len(part))), name) for _, part in table.groupby("target")]
        values = [part["vulnerable"].to_numpy(float) for part in parts]
        clusters = [part["speaker"].to_numpy(str) for part in parts]
        results.append(Result("precision_at_1e-2", mean_measure(values, clusters, draws, seed), name))
    parts = [part for _, part in table.groupby("target")]
    values = [part["vulnerable"].to_numpy(float) for part in parts]
    everyone = mean_measure(values, [part["speaker"].to_numpy(str) for part in parts], draws, seed)
    return references.table(PROTOCOL, JUDGE, [*results, Result("share_vulnerable", everyone)])


def tail_records(references: ReferenceStudy) -> pd.DataFrame:
    """The share of non-members that the loss alone rules out, mean over targets (`true_negative_rate`), as an estimate,
    without reference models, of what LiRA finds at 1 % false alarms."""
    rates = [people.true_negative_rate(-audit.scores, audit.member) for audit in references.audits("loss")]
    count = sum(len(audit.member) for audit in references.audits("loss"))
    mean = float(np.mean(rates))
    ends = (min(rates), max(rates))
    return references.table(PROTOCOL, "loss", {"true_negative_rate": Measure(mean, *ends, count)})


def people_records(references: ReferenceStudy, audits: dict[str, list[Audit]], table: pd.DataFrame) -> pd.DataFrame:
    """Whether it is the same persons over targets and over attacks, and what any attack finds at 0.1 % false alarms.

    table: of `people.people`."""
    draws, seed = references.settings.bootstrap, references.seed
    found = people.found_by_any(audits, draws, seed)
    results = [Result(f"found_by_any_{side}", measure) for side, measure in found.items()]
    for across, within in (("target", "attack"), ("attack", "target")):
        if table[across].nunique() > 1:
            results.append(Result("exposure_agreement", people.agreement(table, within, across, draws, seed), across))
    return references.table(PROTOCOL, "none", results)


class FewRecordings(ReferenceStudy):
    """Reference models that know `kept` recordings of each person at most, of which coins decide."""

    def __init__(self, base: Study, kept: int):
        super().__init__(base, FEW, FEW_SPEAKERS, FEW + 1)
        self.kept_recordings = kept

    @cached_property
    def _draw(self) -> tuple[list[Split], int]:
        manifest = self.manifest
        rng = generator(self.seed, "few recordings")
        everybody = rng.permutation(np.sort(manifest["speaker"].astype(str).unique()))
        speakers = sorted(everybody[: self.speakers or None].tolist())
        sources = manifest.groupby("speaker", observed=True)["source"].unique()
        kept = {
            name
            for person in speakers
            for name in rng.permutation(np.sort(sources[person].astype(str)))[: self.kept_recordings]
        }
        mine = manifest["source"].astype(str).isin(kept).to_numpy()
        splits, redrawn = coin_splits(
            manifest[mine].reset_index(drop=True), speakers, self.count, self.seed, POPULATION_SHARE
        )
        whole = []
        for split in splits:
            role = np.full(len(manifest), NONE, np.int8)
            role[mine] = split.role
            whole.append(Split(split.speakers, role))
        return whole, redrawn


def against_recordings(base: Study, counts: Sequence[int]) -> pd.DataFrame:
    """What LiRA finds at 1 % false alarms, and its AUC, where people are known by fewer recordings: `condition` has the
    number that each trains a model with, on average (half of those that there are)."""
    tables = []
    for count in counts:
        study = FewRecordings(base, count)
        rates = evaluate(study.audits(JUDGE), study.settings.bootstrap, study.seed)
        condition = f"recordings_{trained_recordings(study):.1f}"
        results = [Result(name, rates[name], condition) for name in ("auc", "tpr_at_fpr_1e-2")]
        tables.append(
            study.table(PROTOCOL, JUDGE, [*results, Result("test_accuracy", study.accuracy("held_out"), condition)])
        )
    return pd.concat(tables)


def trained_recordings(study: ReferenceStudy) -> float:
    """Mean number of recordings of a person that a model trains on."""
    source, speaker = study.manifest["source"].astype(str), study.clusters
    own = [split.train() for split in study.splits[: study.count]]
    return float(np.mean([source.iloc[rows].groupby(speaker[rows]).nunique().mean() for rows in own]))

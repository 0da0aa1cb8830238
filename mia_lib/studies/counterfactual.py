"""One recording in two worlds: a model that trained on it beside one that did not, and others on either side.

The two differ in nothing else: they have the same speakers, the same other recordings and the same first weights. Beside
them stand models for which a coin decided about every recording, this one too.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.fragments.splits import HELD_OUT, TRAIN, Split, coin_splits, example_fragments
from mia_lib.models.network import MODELS
from mia_lib.signals.statistics import confidence
from mia_lib.studies.dataset import Dataset
from mia_lib.support import draws
from mia_lib.training.job import TrainingConfig
from mia_lib.training.train import train_models
from mia_lib.training.watching import Watched

SPEAKERS, MODELS_BESIDE = 16, 10
WITH, WITHOUT = 0, 1
"""The two models, by their place."""


@dataclass(frozen=True)
class Counterfactual:
    """What became of some recordings, one of each speaker, while models trained.

    table: one row per look, with the columns model, epoch, row (the fragment), inside (whether the model trained on it), phi
    (logit-scaled confidence in the right speaker, nats) and answer (the posterior of the right speaker). recording: the
    fragment about which the models WITH and WITHOUT differ. bystander: one that neither of them trained on.
    """

    table: pd.DataFrame
    recording: int
    bystander: int

    @property
    def last(self) -> pd.DataFrame:
        """The last look at every model and fragment."""
        return self.table[self.table["epoch"] == self.table.groupby("model")["epoch"].transform("max")]

    def end(self, model: int, row: int) -> pd.Series:
        """What a model says of a fragment when its training is over."""
        last = self.last
        return last[(last["model"] == model) & (last["row"] == row)].iloc[0]

    def surer(self) -> pd.Series:
        """For each fragment that models on both sides were asked about, how much surer (phi, nats, on average) those are that
        trained on it; the two that were trained for one fragment do not count."""
        beside = self.last[self.last["model"] > WITHOUT]
        sides = beside.pivot_table(index="row", columns="inside", values="phi", aggfunc="mean").dropna()
        return sides[True] - sides[False]


def plan(manifest: pd.DataFrame, seed: int) -> tuple[list[Split], list[int], int, int]:
    """Who trains on what: the splits of WITH, WITHOUT and those beside; the fragments that are watched; among them the one
    about which the two differ, and one that neither trains on."""
    drawn = draws.generator(seed, "speakers of the counterfactual").permutation(
        manifest["speaker"].astype(str).unique()
    )
    speakers = sorted(drawn[:SPEAKERS].tolist())
    tossed = coin_splits(manifest, speakers, 1 + MODELS_BESIDE, draws.seeds(seed, "counterfactual", 1)[0])[0]
    common, beside = tossed[0], tossed[1:]
    known = np.isin(common.role, (TRAIN, HELD_OUT))
    watched = example_fragments(manifest, known, SPEAKERS, seed)
    recording = watched[0]
    own = (manifest["source"] == manifest["source"][recording]).to_numpy()
    pair = [Split(common.speakers, np.where(own, role, common.role).astype(np.int8)) for role in (TRAIN, HELD_OUT)]
    outside = [row for row in watched[1:] if common.role[row] == HELD_OUT]
    bystander = (outside or example_fragments(manifest, (common.role == HELD_OUT) & ~own, 1, seed))[0]
    return [*pair, *beside], list(dict.fromkeys([*watched, bystander])), recording, bystander


def counterfactual(data: Dataset) -> Counterfactual:
    """The counterfactual of a dataset, as a cached stage; it takes about a dozen small models."""
    s = data.settings
    splits, watched, recording, bystander = plan(data.manifest, data.seed)
    config = TrainingConfig(s.model, s.epochs, s.batch_size, s.learning_rate, s.schedule)

    def build(folder: Path, _scratch: Path) -> None:
        train = [split.train() for split in splits]
        labels = np.stack([split.labels(data.manifest) for split in splits])
        first = draws.seeds(data.seed, "first weights of the two worlds", 1)
        seeds = [*first, *first, *draws.seeds(data.seed, "models beside the two worlds", MODELS_BESIDE)]
        objective = Watched(watched, max(1, round(float(np.mean([*map(len, train)])) / s.batch_size)))
        trained = train_models(
            data.resident, labels, train, config, seeds, objective=objective, device=data.device, label="two worlds"
        )
        objective.look(trained.network)
        objective.epochs.append(np.full(len(splits), float(s.epochs)))
        _table(objective, splits, labels).to_parquet(folder / "looks.parquet", index=False)

    params = data.key | dict(seed=data.seed, settings=s.asdict(), watched=watched, device=data.device.type)
    folder = data.cache.stage("counterfactual", params, build, [MODELS.get(s.model)])
    return Counterfactual(pd.read_parquet(folder / "looks.parquet"), recording, bystander)


def _table(objective: Watched, splits: list[Split], labels: np.ndarray) -> pd.DataFrame:
    """Looks as rows, see `Counterfactual`; what a model was asked after its own end is left out."""
    rows, tables = objective.rows, []
    models, places = (grid.ravel() for grid in np.indices((len(splits), len(rows))))
    inside = np.stack([split.role[rows] == TRAIN for split in splits])
    for epochs, logits in zip(objective.epochs, objective.looks, strict=True):
        phi = confidence(logits, labels[:, rows]).ravel()
        about = dict(
            model=models, epoch=np.repeat(epochs, len(rows)), row=np.array(rows)[places], inside=inside.ravel()
        )
        tables.append(pd.DataFrame(about | dict(phi=phi, answer=1 / (1 + np.exp(-phi)))))
    return pd.concat(tables).drop_duplicates(["model", "epoch", "row"], keep="last")

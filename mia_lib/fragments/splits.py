"""Who trains on what, and who counts as a member: splits of fragments for the target and its shadow models.

A split gives every fragment one role for one model. Speakers are divided first, then the source segments of each
training speaker: everything cut from one source (all fragments of a recording and, for re-recorded corpora, all its
recordings) falls on one side. The three membership protocols read members and non-members off the same roles.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError, UsageError

NONE, TRAIN, HELD_OUT, UNSEEN, VALIDATION, POPULATION, REFERENCE = range(7)
"""Roles: not used; trained on; other recordings of training speakers; speakers never seen; for early stopping; recordings
of training speakers that no model trains on or is audited on, for the attacker to compare with; the same for the defender."""

PROTOCOLS = {
    "utterance": "members: training utterances; non-members: other utterances of the same speakers",
    "speaker": "members: other utterances of training speakers; non-members: utterances of speakers never seen",
    "paper": "members: training utterances; non-members: utterances of speakers never seen (arXiv 1911.01888)",
}
CONSUMED = "consumed"
"""Beside the protocols: members are the recordings that a defense was given, private speech of the same people as well."""


@dataclass(frozen=True)
class Knowledge:
    """What is asked under a protocol, and the mask under which an attack sees signals: what is known beside answers.

    Under every protocol an attacker knows both sides of the models that are its own, shadows or references, and neither of
    the target; the population, where there is one; and whose voice a fragment is, where persons are audited.
    """

    members: int  # their role
    non_members: int
    classes: bool  # whether a speaker's class is known, and with it what is read at that class (`Signals.internals`)


KNOWLEDGE = {
    "utterance": Knowledge(TRAIN, HELD_OUT, classes=True),
    "speaker": Knowledge(HELD_OUT, UNSEEN, classes=False),
    "paper": Knowledge(TRAIN, UNSEEN, classes=False),
    CONSUMED: Knowledge(REFERENCE, HELD_OUT, classes=True),
}
"""Strangers have no class: where they are the non-members, to know who has one would be to know who is a member."""

TARGET_SHARE, UNSEEN_SHARE = 0.375, 0.125
"""Share of all speakers that the target trains on, and that are its unseen speakers; the shadows get the other half."""
FEWEST_UNSEEN = 2
"""Unseen speakers of a target, however few there are: one alone cannot tell how far another would be from it, so no interval
could be drawn."""


@dataclass(frozen=True)
class Split:
    """The part that every fragment plays for one model."""

    speakers: tuple[str, ...]  # the model's classes, in class order
    role: np.ndarray  # int8 [N]

    def train(self) -> np.ndarray:
        """Indices of the fragments that the model trains on."""
        return np.flatnonzero(self.role == TRAIN)

    def held_out(self) -> np.ndarray:
        """Indices of other recordings of the same speakers: the test set."""
        return np.flatnonzero(self.role == HELD_OUT)

    def labels(self, manifest: pd.DataFrame) -> np.ndarray:
        """Class of every fragment for this model, int64 [N]; -1 where the speaker is not one of its classes."""
        return pd.Index(self.speakers).get_indexer(manifest["speaker"].astype(str)).astype(np.int64)


def split_sources(manifest: pd.DataFrame, speakers: list[str], share: float, rng: np.random.Generator) -> np.ndarray:
    """Mask [N] of the fragments of a random `share` of each speaker's source segments (at least one in and one out)."""
    chosen: list[str] = []
    of_speaker = manifest[manifest["speaker"].isin(speakers)].groupby("speaker", observed=True)["source"].unique()
    for speaker in sorted(speakers):
        sources = sorted(of_speaker[speaker])
        if len(sources) < 2:
            raise MiaError(f"speaker {speaker!r} has only one utterance here, which cannot be on both sides of a split")
        count = min(max(round(share * len(sources)), 1), len(sources) - 1)
        chosen += list(rng.permutation(sources)[:count])
    return manifest["source"].isin(chosen).to_numpy()


def make_split(
    manifest: pd.DataFrame,
    speakers: list[str],
    unseen: list[str],
    share: float,
    rng: np.random.Generator,
    validation_share: float = 0.0,
) -> Split:
    """One model's split: `share` of the sources of `speakers` train, the rest are held out; `unseen` stay unseen.

    With `validation_share`, that share of the training sources is set aside for early stopping: neither trained on nor
    audited.
    """
    role = np.full(len(manifest), NONE, dtype=np.int8)
    mine = manifest["speaker"].isin(speakers).to_numpy()
    training = mine & split_sources(manifest, speakers, share, rng)
    role[mine] = HELD_OUT
    role[training] = TRAIN
    if validation_share:
        kept = split_sources(manifest[training], speakers, 1 - validation_share, rng)
        role[np.flatnonzero(training)[~kept]] = VALIDATION
    role[manifest["speaker"].isin(unseen).to_numpy()] = UNSEEN
    return Split(tuple(sorted(speakers)), role)


def set_reference_aside(manifest: pd.DataFrame, split: Split, share: float, seed: int) -> Split:
    """The split with that share of each speaker's held-out sources as REFERENCE: at least one of two or more.

    For defenses that need data which the model does not train on; these fragments are then not audited.
    """
    held_out, role = split.role == HELD_OUT, split.role.copy()
    counts = manifest[held_out].groupby("speaker", observed=True)["source"].nunique()
    speakers = counts.index[counts > 1].astype(str).tolist()
    taken = split_sources(manifest[held_out], speakers, share, generator(seed, "recordings of the defender"))
    role[np.flatnonzero(held_out)[taken]] = REFERENCE
    return Split(split.speakers, role)


def set_validation_aside(manifest: pd.DataFrame, split: Split, share: float, seed: int) -> Split:
    """The split with that share of its training sources as VALIDATION, for early stopping: neither trained on nor audited.

    At least one source of each speaker who has two or more; where nobody has, of all sources together.
    """
    training, role = split.role == TRAIN, split.role.copy()
    rng, mine = generator(seed, "recordings for early stopping"), manifest[training]
    counts = mine.groupby("speaker", observed=True)["source"].nunique()
    speakers = counts.index[counts > 1].astype(str).tolist()
    if speakers:
        taken = ~split_sources(mine, speakers, 1 - share, rng) & mine["speaker"].isin(speakers).to_numpy()
    else:
        sources = rng.permutation(sorted(mine["source"].astype(str).unique()))
        taken = mine["source"].isin(sources[: max(1, round(share * len(sources)))]).to_numpy()
    role[np.flatnonzero(training)[taken]] = VALIDATION
    return Split(split.speakers, role)


def shadow_attack_splits(
    manifest: pd.DataFrame, shadows: int, share: float, seed: int, validation_share: float = 0.0
) -> tuple[Split, list[Split]]:
    """The target's split and the splits of its shadow models, which share no speaker with it.

    The speakers fall into target speakers, target-unseen speakers and a pool for the shadows; each shadow model divides
    the pool anew into training and unseen speakers, and draws its own training utterances.
    """
    rng = generator(seed, "speakers of target and shadows")
    speakers = [str(s) for s in rng.permutation(sorted(manifest["speaker"].astype(str).unique()))]
    unseen = max(FEWEST_UNSEEN, round(UNSEEN_SHARE * len(speakers)))
    trained = max(2, round(TARGET_SHARE * len(speakers)))
    if len(speakers) < trained + unseen + 3:
        raise MiaError(
            f"{len(speakers)} speakers are too few for a target and its shadow models: at least 8 are needed"
        )
    pool = speakers[trained + unseen :]
    target = make_split(
        manifest, speakers[:trained], speakers[trained : trained + unseen], share, rng, validation_share
    )
    pool_unseen = max(1, round(len(pool) * unseen / (trained + unseen)))
    splits = []
    for k in range(shadows):
        rng = generator(seed, "a shadow model's split", k)
        order = [str(s) for s in rng.permutation(sorted(pool))]
        splits.append(make_split(manifest, order[pool_unseen:], order[:pool_unseen], share, rng, validation_share))
    return target, splits


def lab41_splits(manifest: pd.DataFrame, shadows: int, seed: int, validation_share: float = 0.0):
    """The paper's own LibriSpeech split (Lab41/cyphercat); returns the target's split and the shadows'.

    125 speakers of train-clean-100 for the target, 80 % of their utterances for training; its unseen speakers are the 40
    of test-clean. 62 other speakers of train-clean-100 train the shadows, 64 are the shadows' unseen speakers.
    """
    rng = generator(seed, "speakers of the paper's own split")
    subset = manifest["subset"].astype(str)
    clean = sorted(manifest.loc[subset == "train-clean-100", "speaker"].astype(str).unique())
    test = sorted(manifest.loc[subset == "test-clean", "speaker"].astype(str).unique())
    if len(clean) < 251 or len(test) < 40:
        raise MiaError(
            f"the split 'lab41' needs the 251 speakers of LibriSpeech train-clean-100 and the 40 of test-clean, "
            f"but {len(clean)} and {len(test)} are there: use librispeech:train-clean-100+test-clean, or --set "
            "split=proportional"
        )
    order = [str(s) for s in rng.permutation(clean)]
    target = make_split(manifest, order[:125], test[:40], 0.8, rng, validation_share)
    splits = [
        make_split(
            manifest,
            order[125:187],
            order[187:251],
            0.8,
            generator(seed, "a shadow of the paper's own split", k),
            validation_share,
        )
        for k in range(shadows)
    ]
    return target, splits


def coin_splits(
    manifest: pd.DataFrame,
    speakers: list[str],
    models: int,
    seed: int,
    population_share: float = 0.0,
    defender_share: float = 0.0,
) -> tuple[list[Split], int]:
    """Splits of `models` reference models on the same speakers, and how many draws were thrown away.

    An independent fair coin decides for each source and model whether it trains on it: who trained on what among the others
    says nothing of a model. A speaker whose coins leave a side with fewer than two sources (with one, where there are at most
    three) is drawn again as a whole for that model. With `population_share`, that share of each speaker's sources (at least
    one, and at least two are left) is set aside from all models as the attacker's; with `defender_share` another, likewise,
    as the defender's. Coins of model k follow from k: more models leave the first ones as they are.
    """
    mine = manifest["speaker"].isin(speakers).to_numpy()
    role_of: dict[str, int] = {}
    tossed: list[np.ndarray] = []  # per speaker
    rng = generator(seed, "recordings that no coin decides")
    for _, sources in manifest[mine].groupby("speaker", observed=True)["source"]:
        names = rng.permutation(sorted(sources.astype(str).unique()))
        for role, share in ((POPULATION, population_share), (REFERENCE, defender_share)):
            reserved = min(max(1, round(share * len(sources.unique()))), max(len(names) - 2, 0)) if share else 0
            role_of |= dict.fromkeys(names[:reserved], role)
            names = names[reserved:]
        tossed.append(names)
    of_fragment = manifest["source"].astype(str)
    common = np.where(mine, of_fragment.map(role_of).fillna(NONE), NONE).astype(np.int8)
    order, splits, redrawn = tuple(sorted(speakers)), [], 0
    for k in range(models):
        rng, trained = generator(seed, "coins", k), set()
        for names in tossed:
            heads = _coins(rng, len(names))
            while min(heads.sum(), (~heads).sum()) < min(2, len(names) // 2):
                heads, redrawn = _coins(rng, len(names)), redrawn + 1
            trained |= set(names[heads])
        audited = mine & (common == NONE)
        roles = np.where(audited, np.where(of_fragment.isin(trained), TRAIN, HELD_OUT), common)
        splits.append(Split(order, roles.astype(np.int8)))
    return splits, redrawn


def _coins(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.random(count) < 0.5


def membership(split: Split, protocol: str, seed: int) -> np.ndarray:
    """Membership of every fragment under `protocol`, int8 [N]: 1 member, 0 non-member, -1 not in the audit set.

    The larger side is thinned at random, so that the audit set is balanced. Raises UsageError for an unknown protocol
    and MiaError when a side is empty.
    """
    if protocol not in KNOWLEDGE:
        raise UsageError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    asked = KNOWLEDGE[protocol]
    sides = [np.flatnonzero(split.role == role) for role in (asked.members, asked.non_members)]
    if not min(map(len, sides)):
        raise MiaError(f"protocol {protocol!r} has no {'members' if not len(sides[0]) else 'non-members'} to audit")
    rng = generator(seed, "balanced audit sets")
    member = np.full(len(split.role), -1, dtype=np.int8)
    for value, side in zip((1, 0), sides, strict=True):
        member[rng.choice(side, min(map(len, sides)), replace=False)] = value
    return member


def whole_recordings(sources: np.ndarray, count: int, seed: int) -> np.ndarray:
    """About `count` fragments, int64 [n], ascending: all fragments of sources drawn at random until there are enough.

    sources: str [N], of every fragment, "" for those that must not be drawn. A smaller count draws some of the same.
    """
    names, code = np.unique(sources, return_inverse=True)
    order = generator(seed, "whole recordings").permutation(np.flatnonzero(names != ""))
    sizes = np.bincount(code, minlength=len(names))[order]
    chosen = order[np.cumsum(sizes) - sizes < count]
    return np.flatnonzero(np.isin(code, chosen))


def example_fragments(manifest: pd.DataFrame, mask: np.ndarray, count: int, seed: int = 0) -> list[int]:
    """Rows of up to `count` fragments within `mask`, of different speakers where possible."""
    rows = generator(seed, "examples to show").permutation(np.flatnonzero(mask))
    return manifest.iloc[rows].drop_duplicates("speaker").index[:count].tolist()

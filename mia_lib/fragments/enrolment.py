"""Who stands for whom when persons, not fragments, are audited: each person is a few random recordings."""

import numpy as np
import pandas as pd

from mia_lib.fragments.splits import KNOWLEDGE, Split
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

ASKED = KNOWLEDGE["speaker"]


def person_codes(manifest: pd.DataFrame) -> np.ndarray:
    """The speaker of every fragment as a number from 0, int64 [N]."""
    return np.unique(manifest["speaker"].astype(str), return_inverse=True)[1].astype(np.int64)


def auditable_sources(manifest: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The recordings that may represent a person: speaker, source, member, and the `count` of such recordings of the speaker.

    Those of members are held out from training; non-members are the unseen speakers.
    """
    rows = np.isin(split.role, (ASKED.members, ASKED.non_members))
    table = manifest.loc[rows, ["speaker", "source"]].astype(str).assign(member=split.role[rows] == ASKED.members)
    table = table.drop_duplicates().sort_values(["speaker", "source"], ignore_index=True)
    return table.assign(count=table.groupby("speaker")["source"].transform("size"))


def largest_enrolment(manifest: pd.DataFrame, split: Split) -> int:
    """The largest number of recordings that at least one member and one non-member have."""
    return _largest(auditable_sources(manifest, split))


def _largest(sources: pd.DataFrame) -> int:
    counts = sources.groupby("member")["count"].max()
    return int(counts.min()) if len(counts) == 2 else 0


def enrol(manifest: pd.DataFrame, split: Split, enrolment: int, seed: int) -> np.ndarray:
    """Membership int8 [N] under protocol `speaker` with each person represented by `enrolment` random recordings (sources).

    1 for a training speaker's, 0 for an unseen speaker's, -1 for fragments that represent nobody. Persons with fewer
    recordings are left out on both sides. Raises MiaError when a side is then empty.
    """
    sources = auditable_sources(manifest, split)
    largest = _largest(sources)
    if not 1 <= enrolment <= largest:
        raise MiaError(f"an enrolment must be 1 to {largest} recordings, which both sides have, not {enrolment}")
    sources = sources.iloc[generator(seed, "recordings that stand for a person").permutation(len(sources))]
    chosen = sources[(sources["count"] >= enrolment) & (sources.groupby("speaker").cumcount() < enrolment)]
    rows = manifest["source"].astype(str).isin(chosen["source"]).to_numpy()  # a source plays one part only
    return np.where(rows, split.role == ASKED.members, -1).astype(np.int8)

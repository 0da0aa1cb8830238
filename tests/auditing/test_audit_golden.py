"""Signals of a model of the series, saved and audited, give the series' own numbers, whatever they were saved in.

Intervals are those of a single model, and know how many speakers there are; the shuffled control deals recordings."""

import numpy as np
import pandas as pd
import pytest

from mia_lib.auditing.report import judge
from mia_lib.auditing.saved import read_signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy

DRAWS, COUNT = 20, 4
COMPARED = ["gap", "lira_online", "rmia_online", "shokri", "combined", "label_only_calibrated"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    settings = dict(epochs=3, n_references=COUNT, repeats=1, bootstrap=DRAWS, max_speakers=0, max_utterances=0)
    outputs = tmp_path_factory.mktemp("outputs")
    return ReferenceStudy(ShadowStudy(Dataset("demo:10x8", "smoke", 0, "cpu", outputs, settings=settings)))


def saved(study, rows):
    """What an owner of the study's first model would save, of some rows, as float64 for formats that write decimals."""
    signals, manifest = study.signals.columns(rows), study.manifest.iloc[rows]
    logits = signals.logits.astype(np.float64)
    return dict(
        logits=logits[0],
        label=signals.labels[0],
        member=signals.member[0],
        speaker=manifest["speaker"].astype(str).to_numpy(dtype=str),
        recording=manifest["utterance"].astype(str).to_numpy(dtype=str),
        population=signals.population,
        reference_logits=logits[1:],
        reference_member=signals.member[1:],
        control=study.logits[COUNT + 1][rows].astype(np.float64),
    )


def as_table(arrays):
    table = {name: arrays[name] for name in ("label", "member", "speaker", "recording", "population")}
    for c in range(arrays["logits"].shape[1]):
        table[f"logits_{c}"] = arrays["logits"][:, c]
        table[f"control_logits_{c}"] = arrays["control"][:, c]
        for k, reference in enumerate(arrays["reference_logits"]):
            table[f"reference_{k}_logits_{c}"] = reference[:, c]
    for k, member in enumerate(arrays["reference_member"]):
        table[f"reference_{k}_member"] = member
    return pd.DataFrame(table)


def check_the_same(found, wanted):
    """An audit's measures are those of records of the series, value and n; its intervals are wider."""
    wanted = wanted[wanted["control"] != "shuffled"]
    mine = found[found["attack"] == wanted["attack"].iloc[0]].set_index("metric").loc[wanted["metric"]]
    same = ["value", "n"]
    np.testing.assert_allclose(mine[same].to_numpy(float), wanted[same].to_numpy(float), rtol=0, atol=1e-12)
    wide, usual = (np.nanmean((table["high"] - table["low"]).to_numpy(float)) for table in (mine, wanted))
    assert len(wanted) > 9 and usual < wide < 1.5 * usual


@pytest.mark.parametrize("form", ["npz", "parquet", "csv"])
def test_every_format_gives_the_numbers_of_the_series(study, form, tmp_path):
    arrays, path = saved(study, np.arange(len(study.manifest))), tmp_path / f"saved.{form}"
    if form == "npz":
        np.savez(path, **arrays)
    elif form == "parquet":
        as_table(arrays).to_parquet(path)
    else:
        as_table(arrays).to_csv(path, index=False)
    report = judge(read_signals(path), draws=DRAWS, attacks=COMPARED)
    for attack in COMPARED[:-1]:
        check_the_same(report.results, study.attack_records(attack))


def test_answers_to_altered_versions_give_the_numbers_of_the_series(study, tmp_path):
    seen, _, rows = study.seen(("copies",))
    arrays = saved(study, rows) | dict(copies=seen.copies[:, 0], reference_copies=seen.copies[:, 1:])
    np.savez(tmp_path / "saved.npz", **arrays)
    report = judge(read_signals(tmp_path / "saved.npz"), draws=DRAWS, attacks=COMPARED)
    wanted = study.attack_records("label_only_calibrated")
    check_the_same(report.results, wanted[wanted["control"] != "unexposed"])

"""Saved signals: what they may look like, and one clear sentence for each way in which they may be wrong."""

import gc
import zipfile

import numpy as np
import pandas as pd
import pytest
from made_up import save, signals

from mia_lib.auditing import saved, tables
from mia_lib.auditing.answers import fresh
from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.report import judge
from mia_lib.auditing.saved import read_signals
from mia_lib.auditing.tables import arrays_of
from mia_lib.support.errors import MiaError, UsageError


def table(arrays, kind="logits"):
    columns = {name: arrays[name] for name in ("label", "member", "speaker", "recording")}
    return pd.DataFrame(columns | {f"{kind}_{c}": arrays[kind][:, c] for c in range(arrays[kind].shape[1])})


def posteriors(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_all_separators_and_encodings_are_the_same(separator, encoding, tmp_path):
    arrays = signals()
    arrays["speaker"] = np.char.add(arrays["speaker"], " Zoë")
    table(arrays).to_csv(tmp_path / "a.csv", sep=separator, index=False, encoding=encoding)
    found = read_signals(tmp_path / "a.csv")
    np.testing.assert_array_equal(found.answers, arrays["logits"])
    np.testing.assert_array_equal(found.speaker, arrays["speaker"])


def test_answers_may_be_lists_in_parquet(tmp_path):
    arrays = signals()
    pd.DataFrame(dict(label=arrays["label"], member=arrays["member"], logits=list(arrays["logits"]))).to_parquet(
        tmp_path / "a.parquet"
    )
    np.testing.assert_array_equal(read_signals(tmp_path / "a.parquet").answers, arrays["logits"])


def test_speakers_are_classes_where_none_is_named_and_rows_stand_alone_where_none_is_known(tmp_path):
    arrays = signals()
    few = {name: arrays[name] for name in ("logits", "label", "member")}
    known = read_signals(save(tmp_path / "a.npz", few))
    assert known.speakers_known and known.protocol == "utterance" and len(set(known.speaker)) == 12
    unknown = read_signals(save(tmp_path / "b.npz", few | dict(label=np.full(120, -1))))
    assert not unknown.speakers_known and len(set(unknown.recording)) == 120


def test_the_protocol_is_guessed_from_whether_the_sides_share_speakers(tmp_path):
    arrays = signals()
    assert read_signals(save(tmp_path / "a.npz", arrays)).protocol == "utterance"
    apart = arrays | dict(member=(arrays["label"] < 6).astype(int))
    assert read_signals(save(tmp_path / "b.npz", apart)).protocol == "speaker"
    with pytest.raises(MiaError, match="'s00' is member and non-member: use the protocol utterance"):
        read_signals(tmp_path / "a.npz", protocol="speaker")


def test_large_answers_stay_on_disk_and_give_the_same_statistics(tmp_path, monkeypatch):
    from mia_lib.auditing import answers

    arrays = signals(leak=2.0, references=4)
    path = save(tmp_path / "a.npz", arrays)
    some = ["gap", "largest_posterior", "lira_online", "modified_entropy", "rmia_online", "label_only", "speaker_level"]
    whole = judge(read_signals(path), draws=20, attacks=some)
    monkeypatch.setattr(saved, "LARGE", 1)
    monkeypatch.setattr(answers, "IN_MEMORY", 0)
    monkeypatch.setattr(answers, "BLOCK", 100)
    evidence = read_signals(path)
    assert isinstance(evidence.answers, np.memmap) and isinstance(evidence.reference_answers, np.memmap)
    np.testing.assert_array_equal(
        answers.fresh(evidence.reference_answers[2], 7, 30), arrays["reference_logits"][2, 7:30]
    )
    streamed = judge(evidence, draws=20, attacks=some)
    both = whole.results.merge(streamed.results, on=["attack", "metric"], suffixes=("", "_streamed"))
    assert len(both) == len(whole.results) == len(streamed.results)
    np.testing.assert_allclose(both["value"], both["value_streamed"], rtol=0, atol=1e-12)


WRONG = {
    "a misspelt name": (lambda a: a | dict(membr=a.pop("member")), "unknown array 'membr'"),
    "no member": (lambda a: a.pop("member") is None or a, "lacks 'member'"),
    "no label": (lambda a: a.pop("label") is None or a, "lacks 'label'"),
    "nobody is a member": (lambda a: a | dict(member=a["member"] * 0), "holds no members"),
    "everybody is a member": (lambda a: a | dict(member=a["member"] * 0 + 1), "holds no non-members"),
    "membership of another kind": (lambda a: a | dict(member=np.full(120, "yes")), "member of row 1 is 'yes'"),
    "membership of 2": (lambda a: a | dict(member=a["member"] + 1), "must be a whole number from -1 to 1"),
    "membership in halves, as text": (lambda a: a | dict(member=np.full(120, "0.5")), "member of row 1 is '0.5': it must"),
    "a label of endless digits": (lambda a: a | dict(label=np.full(120, "9" * 400)), "label of row 1 is '999"),
    "labels out of range": (lambda a: a | dict(label=a["label"] + 1), "label of row 111 is 12"),
    "labels of fewer rows": (lambda a: a | dict(label=a["label"][:50]), "label must have one entry for each of 120 rows"),
    "one class": (lambda a: a | dict(logits=a["logits"][:, :1]), "logits of 1 class cannot be audited"),
    "three axes": (lambda a: a | dict(logits=a["logits"][None]), "logits must have 2 axes"),
    "text": (lambda a: a | dict(logits=a["logits"].astype(str)), "logits must hold numbers"),
    "no row": (lambda a: {name: part[:0] for name, part in a.items()}, "logits hold no rows"),
    "two kinds": (lambda a: a | dict(posteriors=posteriors(a["logits"])), "holds logits and posteriors"),
    "no answers": (lambda a: a.pop("logits") is None or a, "must hold one of logits, posteriors and embeddings"),
    "a recording on both sides": (lambda a: a | dict(recording=np.full(120, "r")), "recording 'r' is member and non-member"),
    "an audited population": (lambda a: a | dict(population=np.full(120, True)), "row 1 is of the population and audited"),
    "references without membership": (lambda a: a | dict(reference_logits=a["logits"][None]), "lacks reference_member"),
    "references of other shape": (
        lambda a: a | dict(reference_logits=a["logits"][None, :50], reference_member=a["member"][None]),
        "reference_answers must end with the axes",
    ),
    "a speaker without a name": (
        lambda a: a | dict(speaker=np.where(np.arange(120) == 3, "", a["speaker"])),
        "speaker of row 4 is empty: name each, or leave speaker out",
    ),
    "an endless name": (
        lambda a: a | dict(recording=np.where(np.arange(120) == 3, "x" * 1001, a["recording"])),
        "recording of row 4 has 1,001 letters",
    ),
    "blind of fewer rows": (lambda a: a | dict(blind=np.zeros((5, 3))), "blind must have 120 rows"),
    "blind without a column": (lambda a: a | dict(blind=np.zeros((120, 0))), "blind must have 120 rows and one column"),
    "endless blind": (lambda a: a | dict(blind=np.full((120, 1), 1e200)), "blind of row 1 holds a value that is no finite"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(case, tmp_path):
    change, sentence = WRONG[case]
    path = save(tmp_path / "a.npz", change(signals()))
    with pytest.raises(MiaError, match=sentence.replace("(", r"\(")) as caught:
        read_signals(path)
    assert str(caught.value).startswith("a.npz: ") and "\n" not in str(caught.value)


UNFIT = {
    "NaN": (lambda a: a["logits"].__setitem__((3, 2), np.nan), "logits of row 4 hold a value that is not a number"),
    "infinite": (lambda a: a["logits"].__setitem__((3, 2), np.inf), "logits of row 4 hold"),
    "no finite logit": (lambda a: a["logits"].__setitem__(3, -np.inf), "logits of row 4 hold"),
    "endless": (lambda a: a["logits"].__setitem__((3, 2), 1e300), "logits of row 4 hold numbers beyond 1e\\+30"),
    "an own class that is not there": (
        lambda a: a["logits"].__setitem__((3, a["label"][3]), -np.inf),
        "the logit of the own class of row 4 is -inf, as of a class that the model does not have",
    ),
    "an own class that is masked": (
        lambda a: a["logits"].__setitem__((3, a["label"][3]), np.finfo(np.float32).min),
        r"the logit of the own class of row 4 is -3\.4e\+38",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_answers_that_are_no_numbers_are_named_by_their_row(case, tmp_path):
    change, sentence = UNFIT[case]
    arrays = signals()
    change(arrays)
    with pytest.raises(MiaError, match=sentence):
        judge(read_signals(save(tmp_path / "a.npz", arrays)), draws=20)


@pytest.mark.parametrize(
    ("add", "sentence"), [(0.2, "posteriors of row 6 sum to 1.2"), (-2.0, "posteriors of row 6 hold -")]
)
def test_posteriors_that_are_none_are_named_by_their_row(add, sentence, tmp_path):
    arrays = signals()
    arrays["posteriors"] = posteriors(arrays.pop("logits"))
    judge(read_signals(save(tmp_path / "good.npz", arrays)), draws=20, attacks=["loss"])
    arrays["posteriors"][5, 0] += add
    with pytest.raises(MiaError, match=sentence):
        judge(read_signals(save(tmp_path / "a.npz", arrays)), draws=20)


TABLES = {
    "decimal commas": (lambda t: t.map(lambda v: str(v).replace(".", ",")), "logits_0 of row 1 is"),
    "a column less": (lambda t: t.drop(columns="logits_3"), "lacks the column 'logits_3'"),
    "no answers": (lambda t: t[["label", "member"]], "has no columns of answers"),
    "two kinds": (lambda t: t.assign(posteriors_0=0.5), "holds logits and posteriors"),
}


@pytest.mark.parametrize("case", TABLES)
def test_what_is_wrong_with_a_table_is_said_in_one_sentence(case, tmp_path):
    change, sentence = TABLES[case]
    change(table(signals())).to_csv(tmp_path / "a.csv", sep=";", index=False)
    with pytest.raises(MiaError, match=sentence) as caught:
        read_signals(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_a_table_whose_rows_have_more_cells_than_names_is_refused_and_not_cut(tmp_path):
    header, row = (
        "label,member,logits_0,logits_1",
        "{},{},0,5,-0,7",
    )  # decimal commas between commas: half a number each
    lines = [header, *(row.format(i % 2, i // 2 % 2) for i in range(8))]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        MiaError, match=r"a\.csv: .*more cells than the header line, as where decimals are written with c"
    ):
        read_signals(tmp_path / "a.csv")


LISTS = {
    "no list": (None, "logits of row 4 is no list of numbers"),
    "text": (["a"] * 12, "logits of row 4 is no list of numbers"),
    "lists in it": ([[1.0, 2.0]] * 12, "logits of row 4 is no list of numbers"),
    "fewer": ([1.0] * 3, "logits of row 4 has 3 numbers, and row 1 12"),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_that_are_none_are_named_by_their_row(case):
    other, sentence = LISTS[case]
    lists = [other if i == 3 else row.tolist() for i, row in enumerate(signals()["logits"])]
    with pytest.raises(MiaError, match=sentence):
        arrays_of(pd.DataFrame({"logits": lists}), "a.parquet")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_is_read_a_part_at_a_time_and_rows_are_counted_through(form, tmp_path, monkeypatch):
    arrays, path = signals(references=3), tmp_path / f"a.{form}"
    whole = table(arrays).assign(
        **{f"reference_{k}_logits_{c}": arrays["reference_logits"][k][:, c] for k in range(3) for c in range(12)},
        **{f"reference_{k}_member": arrays["reference_member"][k] for k in range(3)},
    )
    write = pd.DataFrame.to_csv if form == "csv" else pd.DataFrame.to_parquet
    write(whole, path, index=False)
    monkeypatch.setattr(tables, "AT_ONCE", 7 * whole.shape[1])
    seen, split = [], tables.arrays_of
    monkeypatch.setattr(tables, "arrays_of", lambda part, *rest: seen.append(len(part)) or split(part, *rest))
    found = tables.read_table(path)
    assert max(seen) <= 7 and sum(seen) == 120
    assert found["reference_logits"].shape == (3, 120, 12) and found["reference_member"].shape == (3, 120)
    np.testing.assert_allclose(found["reference_logits"], arrays["reference_logits"], rtol=0, atol=1e-15)
    assert list(found["speaker"]) == list(arrays["speaker"])
    if form == "parquet":
        return
    write(
        whole.assign(logits_2=[*map(str, whole["logits_2"][:50]), "none", *map(str, whole["logits_2"][51:])]),
        path,
        index=False,
    )
    with pytest.raises(MiaError, match="logits_2 of row 51 is 'none', not a number"):
        tables.read_table(path)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, "", " "])
def test_a_table_in_which_a_speaker_is_missing_is_refused_and_nobody_is_called_none(nothing):
    rows = table(signals())
    rows["speaker"] = pd.Series([nothing if i == 3 else name for i, name in enumerate(rows["speaker"])], dtype=object)
    with pytest.raises(MiaError, match="speaker of row 4 is empty: name each, or leave speaker out"):
        evidence_of(arrays_of(rows, "a"), "a")


def test_names_of_files_that_are_not_utf8_are_read(tmp_path):
    names = np.where(np.arange(120) == 3, "caf\udce9", "other")
    evidence = evidence_of(signals() | dict(sound=names), "a")
    assert evidence.sound[3] == r"caf\udce9" and set(evidence.sound[4:]) == {"other"}


def test_a_class_that_the_model_does_not_have_is_no_obstacle(tmp_path):
    arrays = signals()
    arrays["logits"] = np.concatenate([arrays["logits"], np.full((120, 1), np.finfo(np.float32).min)], axis=1)
    judge(read_signals(save(tmp_path / "a.npz", arrays)), draws=20, attacks=["loss"])


def test_nothing_is_unpickled(tmp_path):
    path = save(tmp_path / "a.npz", signals() | dict(speaker=np.array(["a", None] * 60, dtype=object)))
    with pytest.raises(MiaError, match="speaker holds Python objects, which are never unpickled"):
        read_signals(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x80\x04\x95pickle"])
@pytest.mark.parametrize("name", ["a.npz", "a.parquet", "a.csv"])
def test_damaged_files_are_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MiaError, match=name):
        read_signals(tmp_path / name)


@pytest.mark.parametrize("name", ["a.pkl", "a.pt", "there/is/none.npz", ""])
def test_other_files_are_refused(name, tmp_path):
    if name.startswith("a."):
        (tmp_path / name).write_bytes(b"\x80\x04")
    with pytest.raises(UsageError, match=r"give an .npz, .parquet or .csv file"):
        read_signals(tmp_path / name)


def test_large_compressed_answers_are_written_out_and_go_with_the_evidence(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "LARGE", 1)
    monkeypatch.setattr(saved.tempfile, "tempdir", str(tmp_path))
    arrays = signals(references=3)
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    evidence = read_signals(tmp_path / "a.npz")
    assert isinstance(evidence.answers, np.memmap)
    np.testing.assert_array_equal(evidence.answers, arrays["logits"])
    np.testing.assert_array_equal(fresh(evidence.reference_answers[2], 7, 30), arrays["reference_logits"][2, 7:30])
    written = list(tmp_path.glob("mia-*/*.npy"))
    assert len(written) == 3
    del evidence
    gc.collect()
    assert [*tmp_path.iterdir()] == [tmp_path / "a.npz"]


def test_where_large_compressed_answers_find_no_room_it_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "LARGE", 1)
    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    np.savez_compressed(tmp_path / "a.npz", **signals())
    with pytest.raises(MiaError, match=r"a.npz: logits is compressed, .* \(No space left on device\): set TMPDIR"):
        read_signals(tmp_path / "a.npz")


def test_large_answers_that_are_ordered_by_columns_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "LARGE", 1)
    arrays = signals()
    np.savez(tmp_path / "a.npz", **arrays | dict(logits=np.asfortranarray(arrays["logits"])))
    with pytest.raises(MiaError, match=r"logits is ordered by columns, .*: save np.ascontiguousarray\(logits\)"):
        read_signals(tmp_path / "a.npz")


def test_a_damaged_compressed_array_is_one_sentence(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **signals())
    content = bytearray(path.read_bytes())
    content[200:2000] = b"\xff" * 1800
    path.write_bytes(content)
    with pytest.raises(MiaError, match=r"a.npz: cannot be read as an .npz file"):
        read_signals(path)

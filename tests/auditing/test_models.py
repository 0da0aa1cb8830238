"""Models of any form give the same answers, and none is unpickled on the way."""

import io
import os
import pickle
import re
import sys
import zipfile

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, save
from voices import RATE, folder

from mia_lib.auditing.recordings import evidence_of_recordings
from mia_lib.auditing.report import judge
from mia_lib.features.foreign.models import EXPORT, load_model, plain
from mia_lib.support.errors import MiaError, UsageError


class Small(torch.nn.Module):
    """A classifier of waveforms [B, T] into three speakers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.output = torch.nn.Conv1d(1, 8, 400, 160), torch.nn.Linear(8, 3)

    def forward(self, waves):
        return self.output(torch.relu(self.convolution(waves[:, None])).mean(2))


small = Small()


class Touch:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


HALF, DYNAMIC = torch.zeros(2, RATE // 2), [{0: torch.export.Dim.AUTO}]


def exported(folder):
    """The model as an exported program."""
    torch.export.save(torch.export.export(small.eval(), (HALF,), dynamic_shapes=DYNAMIC), folder / "m.pt2")
    return folder / "m.pt2"


@pytest.fixture(scope="module")
def every_form(tmp_path_factory):
    """The same model as ONNX, exported program, TorchScript and function, for half a second."""
    folder = tmp_path_factory.mktemp("forms")
    torch.onnx.export(small, (HALF,), folder / "m.onnx", dynamo=True, dynamic_shapes=DYNAMIC, verbose=False)
    torch.jit.trace(small, HALF).save(folder / "m.ts")
    return [str(folder / "m.onnx"), str(exported(folder)), str(folder / "m.ts"), f"{__name__}:small"]


def onnx_model(path, outputs=("logits",), inputs=("waves",), shape=("B", "T")):
    """An ONNX file of which each output is the mean of the waveform, [B, 1]."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1]) for name in outputs]
    starts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name in inputs]
    nodes = [helper.make_node("ReduceMean", [inputs[0]], [name], axes=[1], keepdims=1) for name in outputs]
    graph = helper.make_graph(nodes, "g", starts, ends)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


def test_a_model_answers_the_same_in_every_form(every_form):
    waves = np.random.default_rng(0).standard_normal((3, RATE // 2)).astype(np.float32)
    answers = [load_model(name)(waves) for name in every_form]
    for one in answers:
        np.testing.assert_allclose(one, answers[-1], rtol=1e-4, atol=1e-6)


def test_a_model_gets_the_same_report_in_every_form(tmp_path, every_form):
    members, others = folder(tmp_path / "in"), folder(tmp_path / "out", numbers=range(3, 6))
    found = [
        evidence_of_recordings(load_model(name), members, others, classes=["s0", "s1", "s2"], seconds=0.5)
        for name in every_form
    ]
    for one in found:
        np.testing.assert_allclose(one.answers, found[-1].answers, rtol=1e-4, atol=1e-6)
        assert one.kind == "logits" and (one.member == found[-1].member).all() and (one.label == found[-1].label).all()
    tables = [judge(one, draws=20).results for one in found]
    for table in tables:
        same = ["attack", "metric", "n"]
        assert table[same].equals(tables[-1][same])
        np.testing.assert_allclose(table["value"], tables[-1]["value"], atol=1e-6)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.pkl", "m.bin"])
def test_a_pickle_is_refused_with_the_way_to_export_it(tmp_path, name):
    path, planted = tmp_path / name, tmp_path / "planted"
    if name == "m.pt":
        torch.save(Touch(planted), path)
    elif name == "m.pth":
        torch.save(small.state_dict(), path)
    else:
        path.write_bytes(pickle.dumps(Touch(planted)))
    with pytest.raises(MiaError, match=r"is a pickle.*torch\.export\.save"):
        load_model(str(path))
    assert not planted.exists()


def test_the_advice_on_exporting_works_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(EXPORT.partition("there: ")[2], {"torch": torch, "model": small})
    assert load_model("model.pt2")(np.zeros((5, 48_000), np.float32)).shape == (5, 3)


@pytest.mark.parametrize("member", ["data/sample_inputs/model.pt", "data/weights/weight_0", "data/constants/model.pt"])
def test_an_exported_program_with_a_pickle_inside_runs_nothing(tmp_path, member):
    exported(tmp_path)
    buffer, planted = io.BytesIO(), tmp_path / "planted"
    torch.save(Touch(planted), buffer)
    with zipfile.ZipFile(tmp_path / "m.pt2") as good, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name.endswith("weights_config.json"):
                data = data.replace(b'"use_pickle": false', b'"use_pickle": true') if "weight_0" in member else data
            bad.writestr(name, buffer.getvalue() if name.endswith(member) else data)
        if not any(name.endswith(member) for name in good.namelist()):
            bad.writestr(f"{good.namelist()[0].partition('/')[0]}/{member}", buffer.getvalue())
    with pytest.raises(MiaError, match=r"bad\.pt2: (holds a pickle|cannot be loaded)"):
        load_model(str(tmp_path / "bad.pt2"))
    assert not planted.exists()


def test_an_archive_with_compiled_code_is_refused(tmp_path):
    exported(tmp_path)
    with zipfile.ZipFile(tmp_path / "m.pt2", "a") as archive:
        archive.writestr("m/data/aotinductor/model/model.so", b"\x7fELF")
    with pytest.raises(MiaError, match=r"m\.pt2: holds compiled code"):
        load_model(str(tmp_path / "m.pt2"))


def test_an_onnx_file_with_several_outputs_asks_which(tmp_path):
    path = onnx_model(tmp_path / "two.onnx", outputs=("embedding", "logits"))
    with pytest.raises(UsageError, match=r"several outputs.*two\.onnx:embedding.*logits"):
        load_model(path)
    with pytest.raises(UsageError, match=r"no output 'scores': choose one of embedding, logits"):
        load_model(f"{path}:scores")
    assert load_model(f"{path}:logits")(np.ones((2, 9), np.float32)).tolist() == [[1], [1]]


def test_an_onnx_file_that_takes_no_waveforms_is_refused(tmp_path):
    two = onnx_model(tmp_path / "two.onnx", inputs=("waves", "lengths"))
    with pytest.raises(MiaError, match=r"two\.onnx: takes 2 inputs \(waves, lengths\)"):
        load_model(two)
    frames = onnx_model(tmp_path / "frames.onnx", inputs=("features",), shape=("B", "T", 80))
    with pytest.raises(
        MiaError, match=r"frames\.onnx: its input 'features' is tensor\(float\) \[B, T, 80\].*front end"
    ):
        load_model(frames)


def test_an_exported_program_of_features_is_refused(tmp_path):
    program = torch.export.export(torch.nn.Linear(80, 3), (torch.zeros(2, 10, 80),))
    torch.export.save(program, tmp_path / "f.pt2")
    with pytest.raises(MiaError, match=r"f\.pt2: takes \[2, 10, 80\]: export it with waveforms"):
        load_model(str(tmp_path / "f.pt2"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing.onnx", "there is no model 'nothing.onnx'"),
        (".", "the model . is a folder"),
        ("no_such_module_here:f", "no_such_module_here:f: there is no module 'no_such_module_here'"),
        ("json:dumpz", "json:dumpz: 'json' holds no 'dumpz'"),
        ("json:JSONEncoder", "a class: name a function"),
        ("json:__name__", "is not a function"),
        ("broken_module:f", r"importing 'broken_module' fails with ZeroDivisionError"),
    ],
)
def test_a_name_of_no_model_is_one_sentence(tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    with pytest.raises(MiaError, match=re.escape(says) if "\\" not in says else says):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.onnx", b"not protobuf"), ("m.txt", b"text"), ("m.pt2", b"PK\x03\x04 cut"), ("m.onnx", b"")],
)
def test_a_file_that_is_no_model_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MiaError, match=re.escape(name)):
        load_model(str(tmp_path / name))


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    path = onnx_model(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MiaError, match=r"pip install 'mia-lib\[onnx\]'"):
        load_model(path)


@pytest.mark.parametrize("answer", [({"a": 1}), (np.zeros((2, 3)), np.zeros(2)), [[1, 2], [3]], None, "logits"])
def test_what_is_not_one_array_of_numbers_is_refused(answer):
    with pytest.raises(MiaError, match="the model m"):
        plain(answer, "m")

"""An encoder in a file, as a feature: whatever it was exported as, it gives the same embeddings; what is none is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.features.compute import extract
from mia_lib.features.encoders import ENCODERS
from mia_lib.features.foreign.models import load_model
from mia_lib.features.named import absolute, feature_kinds, feature_params, make_feature, stage_name
from mia_lib.series.request import Request, check
from mia_lib.support.errors import UsageError

SAMPLES = 4_000


class Bands(torch.nn.Module):
    """Mean absolute sound in twelve stretches of a recording."""

    def forward(self, waves):
        return waves.abs().unflatten(1, (12, -1)).mean(-1)


def sound(count=5, samples=4_800):
    return (np.random.default_rng(0).standard_normal((count, samples)) * 3000).astype(np.int16)


pytestmark = pytest.mark.filterwarnings("ignore")  # torch's, that its own formats go out of use


def script(path, module=None):
    torch.jit.script(module or Bands()).save(str(path))
    return path


def exported(path, batch=None):
    shapes = [{0: torch.export.Dim.AUTO}] if batch is None else None
    example = (torch.zeros(batch or 2, 4_800),)
    torch.export.save(torch.export.export(Bands(), example, dynamic_shapes=shapes), path)
    return path


def onnx(path):
    pytest.importorskip("onnxscript")
    torch.onnx.export(
        Bands(), (torch.zeros(2, 4_800),), str(path), dynamic_shapes=[{0: torch.export.Dim.AUTO}], verbose=False
    )
    return path


@pytest.mark.parametrize(
    "make, name", [(script, "m.ts"), (exported, "m.pt2"), (lambda p: exported(p, 3), "fixed.pt2"), (onnx, "m.onnx")]
)
def test_every_form_of_file_gives_the_embeddings_of_its_module(make, name, tmp_path):
    file = make(tmp_path / name)
    expected = Bands()(torch.from_numpy(sound() / 32768).float())[:, None]
    torch.testing.assert_close(extract(f"encoder:{file}", [sound()], 512)[0], expected, rtol=1e-5, atol=1e-6)
    assert Path(stage_name(f"encoder:{file}")).name == stage_name(f"encoder:{file}") and "." not in stage_name(name)


def test_a_file_is_known_by_its_content_wherever_it_lies_and_its_path_is_spelt_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script("m.ts"), script("same.ts")
    script("other.ts", torch.nn.Sequential(Bands(), torch.nn.ReLU()))
    keys = [feature_params(f"encoder:{name}", 512) for name in ("m.ts", "m.ts", "other.ts")]
    assert keys[0] == keys[1] != keys[2]
    Path("moved.ts").write_bytes(Path("m.ts").read_bytes())
    assert feature_params("encoder:moved.ts", 512) == keys[0]
    assert absolute("encoder:m.ts") == f"encoder:{tmp_path / 'm.ts'}" and absolute("mfcc") == "mfcc"
    asked = Request(settings={"feature": "encoder:m.ts", "model": "head"}, outputs=str(tmp_path))
    request, settings = check(asked)
    assert request.settings["feature"] == settings.feature == f"encoder:{tmp_path / 'm.ts'}"


class Clip(torch.nn.Module):
    def forward(self, waves):
        return waves.mean()


class Nothing(torch.nn.Module):
    def forward(self, waves):
        return waves[:, :3] / 0.0 * 0.0


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda p: torch.save(Bands(), p), "is a pickle, which runs whatever code it holds and is not loaded"),
        (lambda p: p.write_text("nothing"), "is no model that can be loaded"),
        (lambda p: script(p, Clip()), r"answers 2 fragments with an array of shape \[1\]"),
        (lambda p: script(p, Nothing()), "it must give one row of finite numbers for each"),
        (exported, "takes 4800 samples at a time, not 4000: use fragment_seconds=0.3"),
    ],
)
def test_a_file_that_holds_no_encoder_is_refused_in_one_sentence(make, sentence, tmp_path):
    make(tmp_path / "file")
    with pytest.raises(UsageError, match=sentence):
        make_feature(f"encoder:{tmp_path / 'file'}", 512)(torch.zeros(2, SAMPLES))


def test_neither_a_name_nor_a_file_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="unknown encoder 'no/such"):
        feature_kinds("encoder:no/such.onnx")


def test_an_encoder_is_asked_by_its_name_like_any_model(monkeypatch):
    ENCODERS.names()  # all others are there before this one
    monkeypatch.setitem(ENCODERS._entries, "bands", Bands)
    assert load_model("bands")(np.zeros((2, 4_800), np.float32)).shape == (2, 12)

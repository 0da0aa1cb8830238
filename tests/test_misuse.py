"""A hundred and more misuses of the command line: the exit status and one true sentence each, and nothing is left behind."""

import shlex

import pytest
from corpora.trees import folder_tree, tone, write

from mia_lib import cli
from mia_lib.series import runner

LONG = "x" * 5000
NUMBER = "9" * 5000

USAGE = {
    "": "say what to do: run, sweep, audit, course, challenge, list or cache",
    "fly": "fly",
    "Run": "Run",
    "run demo": "demo",
    "run list": "list",
    "run --sede 3": "--sede",
    "run --prof smoke": "--prof",
    "run -v": "-v",
    "run --profile": "expected one argument",
    "run --seed": "expected one argument",
    "run --set": "expected at least one argument",
    "run --only -1": "unknown notebook number '-1'",
    "run --download=yes": "ignored explicit argument 'yes'",
    "list nonsense": "unknown section 'nonsense'",
    "list settings models": "models",
    "list --profile smoke": "--profile",
    "run --seed abc": "'abc'",
    "run --seed 1.5": "'1.5'",
    "run --seed ''": "--seed",
    "run --seed 0x10": "'0x10'",
    "run --seed -1": "from 0 to 4294967, not -1",
    "run --seed 4294968": "from 0 to 4294967",
    "run --seed 99999999999999999999999": "from 0 to",
    "run --max-bad abc": "'abc'",
    "run --max-bad 5%": "'5%'",
    "run --max-bad 2": "from 0 to 1, not 2.0",
    "run --max-bad -0.1": "from 0 to 1",
    "run --max-bad nan": "from 0 to 1, not nan",
    "run --max-bad inf": "from 0 to 1, not inf",
    "run --profile huge": "unknown profile 'huge': choose one of smoke, standard, paper",
    "run --profile ''": "unknown profile ''",
    "run --profile Smoke": "unknown profile 'Smoke'",
    "run --corpus nonsense": "unknown corpus 'nonsense': choose one of demo",
    "run --corpus ''": "unknown corpus ''",
    "run --corpus Demo": "unknown corpus 'Demo'",
    "run --corpus demo:8": "SPEAKERSxUTTERANCES",
    "run --corpus demo:8x": "SPEAKERSxUTTERANCES",
    "run --corpus demo:-8x4": "SPEAKERSxUTTERANCES",
    "run --corpus demo:8x4x2": "SPEAKERSxUTTERANCES",
    "run --corpus demo-farfield:ax4": "SPEAKERSxUTTERANCES",
    "run --corpus demo:99999x4": "at most 9999 speakers with 999 utterances",
    "run --corpus demo:8x1000000000000": "at most 9999 speakers with 999 utterances",
    "run --corpus librispeech:clean": "unknown LibriSpeech subset 'clean'",
    "run --corpus librispeech:dev-clean+": "unknown LibriSpeech subset ''",
    "run --corpus librispeech:dev-clean,test-clean": "unknown LibriSpeech subset",
    "run --corpus voices:studio": "choose devkit or release",
    "run --corpus folder": "needs a path",
    "run --corpus folder:": "needs a path",
    "run --device tpu": "choose one of auto, cpu, cuda",
    "run --device ''": "unknown device ''",
    "run --device CUDA": "unknown device 'CUDA'",
    "run --device cuda:x": "unknown device 'cuda:x'",
    "run --device cuda:-1": "unknown device",
    "run --run-id ''": "--run-id must name a folder",
    "run --run-id a/b": "'a/b' cannot name a folder",
    "run --run-id ../elsewhere": "cannot name a folder",
    "run --run-id .hidden": "cannot name a folder",
    "run --run-id cache": "not 'cache'",
    "run --run-id CACHE": "not 'cache'",
    "run --run-id 'a b'": "cannot name a folder",
    "run --run-id 'a\nb'": "cannot name a folder",
    f"run --run-id {LONG}": "cannot name a folder",
    "run --outputs ''": "--outputs must name a folder",
    "run --outputs ' '": "--outputs must name a folder",
    "run --data-root ''": "--data-root must name a folder",
    "run --only 99": "unknown notebook number '99': choose from 00, 01",
    "run --only ''": "unknown notebook number ''",
    "run --only 4-7": "unknown notebook number '4-7'",
    "run --only 04,,07": "unknown notebook number ''",
    "run --only '00;rm'": "unknown notebook number '00;rm'",
    "run --only 04.0": "unknown notebook number '04.0'",
    "run --only all": "unknown notebook number 'all'",
}
SETTINGS = {
    "epochs": "name=value",
    "=3": "unknown parameter ''",
    "epochz=3": "unknown parameter 'epochz'",
    "Epochs=3": "unknown parameter 'Epochs'",
    "seed=3": "unknown parameter 'seed'",
    "epochs=": "'epochs' must be of type int, not ''",
    "epochs=many": "of type int, not 'many'",
    "epochs=1e3": "of type int, not '1e3'",
    "epochs=0": "at least 1, not 0",
    "epochs=-1": "at least 1, not -1",
    "epochs=999999999999999999999": "'epochs' must be at most 10000",
    f"epochs={NUMBER}": "'epochs' must be of type int",
    "shadow_epochs=0": "'shadow_epochs' must be at least 1",
    "shadow_epochs=20000": "'shadow_epochs' must be at most 10000",
    "n_shadows=0": "'n_shadows' must be at least 1",
    "n_shadows=100000": "'n_shadows' must be at most 1000",
    "n_references=3": "'n_references' must be at least 4",
    "n_references=1000000": "'n_references' must be at most 10000",
    "repeats=0": "'repeats' must be at least 1",
    "repeats=3000": "'repeats' must be at most 1000",
    "batch_size=1": "'batch_size' must be at least 2",
    "batch_size=1000000": "'batch_size' must be at most 4096",
    "learning_rate=nan": "'learning_rate' must be at least 0",
    "learning_rate=inf": "'learning_rate' must be at least 0",
    "learning_rate=-1": "'learning_rate' must be at least 0",
    "learning_rate=1e9": "'learning_rate' must be at most 1",
    "learning_rate=0,001": "of type float",
    "train_fraction=0": "'train_fraction' must be at least 0.01",
    "train_fraction=1": "'train_fraction' must be below 1",
    "train_fraction=nan": "'train_fraction' must be at least",
    "fragment_seconds=0": "'fragment_seconds' must be at least 0.1",
    "fragment_seconds=1e9": "'fragment_seconds' must be at most 60",
    "fragment_seconds=0.1": "fragment_seconds=0.1 is too short for the model 'paper_mfcc'",
    "fragment_seconds=2": "2.1 is the smallest that works",
    "fragment_hop_seconds=0": "'fragment_hop_seconds' must be at least 0.01",
    "fragment_hop_seconds=1e9": "'fragment_hop_seconds' must be at most 60",
    "hop=0": "'hop' must be at least 1",
    "hop=100000": "'hop' must be at most 16000",
    "hop=16000": "use a smaller hop",
    "hop=4096": "is the smallest that works",
    """'feature=__import__("os")'""": "unknown feature",
    "feature=": "unknown feature ''",
    "model=nonsense": "unknown model 'nonsense'",
    "model=paper_stft": "cannot read the feature 'mfcc': use feature=stft",
    "short_utterances=keep": "must be one of pad, drop",
    "split=random": "must be one of proportional, lab41",
    "split=lab41": "librispeech:train-clean-100+test-clean, or --set split=proportional",
    "schedule=linear": "must be one of constant, cosine",
    "patience=-1": "'patience' must be at least 0",
    "bootstrap=0": "'bootstrap' must be at least 1",
    "bootstrap=1000000000": "'bootstrap' must be at most 100000",
    "query_fragments=5": "'query_fragments' must be at least 100",
    "query_fragments=99999999999999999999": "'query_fragments' must be at most",
    "defense_references=1": "'defense_references' must be at least 3",
    "defense_speakers=1": "'defense_speakers' must be at least 2, or 0 for all",
    "defense_speakers=-1": "'defense_speakers' must be at least 0",
    "max_speakers=3": "'max_speakers' must be at least 8, or 0 for all",
    "max_speakers=-1": "'max_speakers' must be at least 0",
    "max_utterances=2": "'max_utterances' must be at least 4, or 0 for all",
    "max_utterances=99999999999999999999": "'max_utterances' must be at most",
}
TOGETHER = {
    "--profile paper --corpus librispeech:dev-clean": "split=proportional",
    "--profile paper --corpus librispeech --set max_speakers=50": "max_speakers=0, not 50",
    "--set model=xvector fragment_seconds=0.3": "is too short for the model 'xvector'",
    "--set repeats=1000 n_shadows=1000 --seed 4294960": "the seed must be from 0 to",
}
FAILURES = {
    "--device cuda": "0 CUDA devices found",
    "--device cuda:99999999999": "0 CUDA devices found",
    "--corpus folder:nowhere": "there is no folder",
    "--corpus folder:file": "is a file: give the path of a folder",
    "--corpus folder:empty": "there is no audio in",
    "--corpus folder:texts": "there is no audio in",
    f"--corpus folder:{LONG}": "there is no folder",
    "--corpus folder:one": "and this one has 1",
    "--corpus librispeech:dev-clean": "--download",
    "--corpus librispeech --data-root file": "--data-root",
    f"--corpus librispeech --data-root {LONG}": "File name too long",
    "--corpus voices": "VOiCES is not at",
    "--corpus voices --data-root nowhere": "VOiCES is not at",
    "--outputs file": "cannot write to the outputs folder",
    "--outputs file/below": "cannot write to the outputs folder",
    "--outputs loop": "cannot write to the outputs folder",
    "--corpus folder:loop": "there is no folder",
    "--corpus folder:~nobody-of-this-name/speech": "there is no folder",
    f"--outputs {LONG}": "cannot write to the outputs folder",
    "--corpus demo:3x5": "at least 8 speakers with 4 usable utterances each, and this one has 3",
    "--corpus demo:9x2": "and this one has 0",
    "--corpus folder:few --set fragment_seconds=30": "40 of 40 recordings are shorter than half of fragment_seconds=30",
    "--corpus folder:few --set fragment_seconds=3 short_utterances=drop": "shorter than fragment_seconds=3",
    "--corpus folder:few --set train_fraction=0.9": "use 16 utterances of each speaker or train_fraction=",
    "--corpus folder:few --set train_fraction=0.9 max_utterances=4": "use max_utterances=16",
    "--corpus folder:few --profile paper": "0 fragments set aside for defenses that are given some",
    "--corpus folder:few --set patience=3 train_fraction=0.2": "use 13 utterances of each speaker or",
    "--corpus folder:broken --max-bad 0": "1 of 41 recordings cannot be used",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with a few small corpora, good and bad."""
    root = tmp_path_factory.mktemp("misuse")
    (root / "file").write_text("in the way")
    (root / "empty").mkdir()
    (root / "loop").symlink_to("loop")
    (root / "texts" / "somebody").mkdir(parents=True)
    (root / "texts" / "somebody" / "a.txt").write_text("words")
    folder_tree(root / "one", speakers=1)
    folder_tree(root / "few", speakers=8, each=5)
    folder_tree(root / "broken", speakers=8, each=5)
    (root / "broken" / "speaker 0" / "9.wav").write_bytes(b"")
    write(root / "file.wav", tone())
    return root


@pytest.fixture
def refused(place, monkeypatch, capsys):
    """Carry out a command line there, but no notebook; returns its status and the one line on standard error."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("MIA_DATA_ROOT", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(runner, "_forecast", lambda *_: None)
    monkeypatch.setattr(runner, "_run_notebooks", lambda *_: pytest.fail("a notebook was started"))

    def carry_out(argv):
        status = cli.main(argv)
        err = capsys.readouterr().err
        assert err.startswith("mia_lib: ") and err.count("\n") == 1 and len(err) < 1500
        assert "unexpected" not in err and "Traceback" not in err
        return status, err

    return carry_out


def runs(place):
    """What was made beside the cache."""
    return [path for path in place.glob("outputs/*") if path.name != "cache"]


def test_there_are_a_hundred():
    assert len(USAGE) + len(SETTINGS) + len(TOGETHER) + len(FAILURES) >= 100


@pytest.mark.parametrize(
    "line, says",
    [
        *USAGE.items(),
        *((f"run --set {setting}", says) for setting, says in SETTINGS.items()),
        *((f"run {options}", says) for options, says in TOGETHER.items()),
    ],
    ids=lambda text: text[:60],
)
def test_bad_usage_is_one_sentence_status_2_and_nothing_is_written(refused, place, line, says):
    before = sorted(place.rglob("*"))
    status, err = refused(shlex.split(line))
    assert status == 2 and says in err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("options, says", FAILURES.items(), ids=lambda text: text[:60])
def test_what_cannot_work_is_one_sentence_status_1_and_leaves_no_empty_run(refused, place, options, says):
    before = runs(place)
    status, err = refused(["run", *shlex.split(options)])
    assert status == 1 and says in err
    assert runs(place) == before

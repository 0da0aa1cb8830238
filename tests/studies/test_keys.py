"""The guard of the stage cache: whatever of ours runs while a stage is made is in its key, whoever called it."""

import sys
from collections import defaultdict

import numpy as np
import pytest

from mia_lib.attacks.threshold import best_threshold
from mia_lib.defenses.base import DEFENSES
from mia_lib.studies import pool as pools
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.forgetting import ForgettingStudy
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.cache import Cache
from mia_lib.support.source import NEUTRAL, PACKAGE, closure

SETTINGS = dict(epochs=1, shadow_epochs=1, n_references=4, repeats=1, bootstrap=5, defense_references=3)
SETTINGS |= dict(max_speakers=0, max_utterances=0, defense_speakers=8, query_fragments=100, n_shadows=2)
STRENGTHS = {"selena": "selena:2"}


class Watch:
    """The modules of ours that run within each block, innermost block only: what a stage is made of, and by which code."""

    def __init__(self):
        self.ran, self.makers, self._stack = defaultdict(set), {}, []

    def within(self, name, makers, work, *args):
        self.makers.setdefault(name, set()).update(getattr(maker, "func", maker).__module__ for maker in makers)
        self._stack.append(name)
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            return work(*args)
        finally:
            sys.setprofile(before)
            self._stack.pop()

    def _note(self, frame, event, _argument):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and self._stack and module.startswith(PACKAGE) and frame.f_code.co_name != "<module>":
            self.ran[self._stack[-1]].add(module)

    def missing(self):
        """Stage -> modules that ran and are not in its key."""
        found = {}
        for name, ran in self.ran.items():
            known, _ = closure(frozenset(self.makers[name]))
            if outside := ran - known - NEUTRAL:
                found[name] = outside
        return found


@pytest.fixture
def watch(monkeypatch):
    watch, stage, train = Watch(), Cache.stage, pools.train_in_parts
    monkeypatch.setenv("MIA_CORES", "1")  # what other processes and threads do is not seen from here

    def watched_stage(self, name, params, build, uses=()):
        uses = list(uses)
        # params tell two stages of one name apart, made by different plugins
        own = f"{name} {sorted({getattr(u, '__name__', '') for u in uses})}"

        def watched(folder, scratch):
            watch.within(own, [build, *uses], build, folder, scratch)

        watched.__module__ = build.__module__
        return stage(self, name, params, watched, uses)

    def watched_training(recipe, job):
        kinds = [type(recipe)] if not hasattr(recipe, "parts") else [type(part) for part in recipe.parts]
        kinds = [kind for kind in kinds if kind in map(DEFENSES.get, DEFENSES.names())]
        makers = [pools.ModelPool, pools.MODELS.get(job.config.model), *kinds]
        return watch.within(f"model {sorted(kind.__name__ for kind in kinds)}", makers, train, recipe, job)

    monkeypatch.setattr(Cache, "stage", watched_stage)
    monkeypatch.setattr(pools, "train_in_parts", watched_training)
    return watch


@pytest.fixture
def study(tmp_path):
    return ShadowStudy(Dataset("demo:10x6", "smoke", 0, "cpu", tmp_path, settings=SETTINGS))


def test_everything_that_runs_while_a_stage_is_made_is_in_its_key(watch, study):
    study.records()
    ReferenceStudy(study).records()
    evaluation = DefenseEvaluation(study, "dmp:2+label_only")
    evaluation.records()
    evaluation.proven()
    assert {name.partition(" ")[0] for name in watch.ran} == {
        *("fragments", "features-mfcc", "copies-mfcc", "model", "logits", "released", "copies-logits"),
        *("internals", "records", "sensitivity", "teachers"),
    }
    assert watch.missing() == {}


def test_all_defenses_are_made_by_code_that_is_in_the_keys_of_what_they_change(watch, study):
    for name in DEFENSES.names():
        defended = study.defended(STRENGTHS.get(name, name))
        assert defended.logits.shape[0] == 3
    assert watch.missing() == {}


def test_what_forgets_is_made_by_code_that_is_in_its_keys(watch, study):
    forgetting = ForgettingStudy(study)
    for method in ("bad_teacher:1", "scrub:1"):
        forgetting.stand(method, range(1), True)
    assert {"forgotten ['BadTeacher', 'PaperMFCC']", "forgotten ['PaperMFCC', 'Scrub']"} <= watch.ran.keys()
    assert watch.missing() == {}


def test_a_module_that_runs_unknown_to_a_key_is_seen(watch, tmp_path):
    def sly(folder, scratch):
        best_threshold(np.array([0.0, 1.0]), np.array([False, True]))

    sly.__module__ = "mia_lib.support.digests"  # which does not import it
    Cache(tmp_path).stage("sly", {}, sly)
    assert watch.missing() == {"sly []": {"mia_lib.attacks.threshold"}}

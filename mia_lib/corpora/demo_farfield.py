"""`demo-farfield`: the demo's sentences played in simulated rooms, as VOiCES plays LibriSpeech in real ones."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mia_lib.corpora import CORPORA
from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.corpora.base import Utterance, make_table
from mia_lib.corpora.demo import DemoCorpus, speak, voice_of
from mia_lib.corpora.synthesis.distractors import DISTRACTORS
from mia_lib.corpora.synthesis.rooms import DEGREES, ROOMS, impulse_responses
from mia_lib.corpora.synthesis.session import record, rms

if TYPE_CHECKING:
    import pandas as pd

RECORDINGS = 2  # of each sentence, in different rooms
SNR_DB = (6.0, 15.0)  # of the speech over the distractor, at the microphone
BYSTANDERS = range(100_000, 100_006)  # numbers of the voices of the distractors: never speakers of the corpus
FACTORS = {
    "room": tuple(ROOMS),
    "mic": tuple(str(1 + i) for i in range(4)),
    "distractor": tuple(DISTRACTORS),
    "degrees": DEGREES,
}
CONDITION, ROOM = 3, 4  # random streams, beside those of the demo


def conditions(seed: int, speaker: int, recording: int) -> dict:
    """Room, microphone, distractor and angle of one recording: every factor's levels take turns in shuffled blocks.

    So each speaker meets all levels equally often; recordings of one sentence share neither room, nor microphone, nor
    distractor.
    """
    drawn = {}
    for number, (factor, levels) in enumerate(FACTORS.items()):
        block, place = divmod(recording, len(levels))
        order = np.random.default_rng([seed, speaker, block, CONDITION, number]).permutation(len(levels))
        drawn[factor] = levels[order[place]]
    return drawn


@lru_cache(maxsize=RECORDINGS)
def _speech(seed: int, speaker: int, index: int) -> np.ndarray:
    return speak(seed, speaker, index)


@lru_cache(maxsize=1)
def _bystanders(seed: int) -> list[np.ndarray]:
    """Sentences of voices outside the corpus, for babble and television."""
    return [speak(seed, number, index) for number in BYSTANDERS for index in range(2)]


@CORPORA.register("demo-farfield")
class FarFieldCorpus(DemoCorpus):
    """The demo's voices in simulated rooms with distractors: 80 voices × 15 sentences × 2 recordings (or `:SxU`)."""

    description = "the demo's synthetic speech in simulated rooms, with VOiCES's rooms, microphones and distractors"

    def table(self) -> "pd.DataFrame":
        rows = []
        for speaker in range(self.speakers):
            gender = voice_of(self.seed, speaker).gender
            for number in range(self.utterances):
                source = f"{speaker:04d}-{number // RECORDINGS:03d}"
                factors = conditions(self.seed, speaker, number)
                name = f"{source}-{number % RECORDINGS}"
                rows.append(Utterance(name, f"{speaker:04d}", source, name, gender, **factors))
        return make_table(rows)

    def read(self, row: Utterance) -> tuple[np.ndarray, int]:
        speaker, index, take = map(int, row.path.split("-"))
        number = index * RECORDINGS + take
        random = np.random.default_rng([self.seed, speaker, number, ROOM])
        speech = _speech(self.seed, speaker, index)
        return record(self._play(speech, conditions(self.seed, speaker, number), random), random), SAMPLE_RATE

    def played(self, source: str, subset: str | None = None) -> np.ndarray | None:
        speaker, index = map(int, source.split("-"))
        return _speech(self.seed, speaker, index)

    def _play(self, speech: np.ndarray, factors: dict, random: np.random.Generator) -> np.ndarray:
        """What the microphone hears when the loudspeaker plays `speech` [n]: [n]."""
        from scipy.signal import fftconvolve

        *loudspeaker, beside = impulse_responses(factors["room"])[int(factors["mic"]) - 1]
        heard = fftconvolve(speech, loudspeaker[DEGREES.index(factors["degrees"])])[: len(speech)]
        if distractor := DISTRACTORS[factors["distractor"]]:
            sound = distractor(len(speech), _bystanders(self.seed), random).astype(np.float32)
            noise = fftconvolve(sound, beside)[: len(speech)]
            heard = heard + noise * (rms(heard) / rms(noise) * 10 ** (-random.uniform(*SNR_DB) / 20))
        return heard

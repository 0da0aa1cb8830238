"""`demo`: synthetic speakers, drawn with eSpeak NG. It needs no download and is made in seconds."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mia_lib.corpora import CORPORA
from mia_lib.corpora.audio import SAMPLE_RATE, resample
from mia_lib.corpora.base import Corpus, Utterance, make_table
from mia_lib.corpora.synthesis.sentences import draw_sentence
from mia_lib.corpora.synthesis.session import record
from mia_lib.corpora.synthesis.speakers import Voice, draw_voice
from mia_lib.support.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

MOST_SPEAKERS, MOST_UTTERANCES = 9_999, 999  # their numbers have four and three digits
VOICE, SPEECH, SESSION = range(3)  # one random stream each, so that changing one effect leaves the others alone


@lru_cache(maxsize=512)
def voice_of(seed: int, speaker: int) -> Voice:
    """The voice of speaker number `speaker` in the demo corpus of `seed`."""
    return draw_voice(np.random.default_rng([seed, speaker, VOICE]))


def speak(seed: int, speaker: int, index: int) -> np.ndarray:
    """Sentence number `index` of a speaker, clean: float32 samples [n] at 16 kHz."""
    from mia_lib.corpora.synthesis.espeak import Delivery, synthesiser

    random = np.random.default_rng([seed, speaker, index, SPEECH])
    voice = voice_of(seed, speaker)
    rate = voice.words_per_minute * random.uniform(0.88, 1.12)
    delivery = Delivery(round(rate), round(random.normal(50, 8)), round(random.uniform(30, 70)))
    samples = synthesiser().say(draw_sentence(random), voice.accent, voice.text, delivery)
    return resample(samples.astype(np.float32) / 32768, synthesiser().rate)


@CORPORA.register("demo")
class DemoCorpus(Corpus):
    """Synthetic speakers drawn with eSpeak NG: 80 voices × 30 sentences, or `demo:SxU` for S voices × U sentences."""

    description = "synthetic speech of drawn eSpeak NG voices with session effects; nobody's real voice"
    licence = "made on your machine by eSpeak NG (GPL-3.0); the audio carries no licence of its own"
    synthetic = True

    def __init__(self, argument: str = "", *args, **kwargs):
        super().__init__(argument, *args, **kwargs)
        if not (size := re.fullmatch(r"0*(\d+)x0*(\d+)", argument or "80x30")):
            raise UsageError(f"the size of a demo corpus is written SPEAKERSxUTTERANCES as in 60x30, not {argument!r}")
        self.speakers, self.utterances = (int(number[:9]) for number in size.groups())
        if self.speakers > MOST_SPEAKERS or self.utterances > MOST_UTTERANCES:
            raise UsageError(
                f"a demo corpus has at most {MOST_SPEAKERS} speakers with {MOST_UTTERANCES} utterances each, not {argument!r}"
            )

    def table(self) -> "pd.DataFrame":
        return make_table(
            Utterance(
                name := f"{speaker:04d}-{index:03d}", f"{speaker:04d}", name, name, voice_of(self.seed, speaker).gender
            )
            for speaker in range(self.speakers)
            for index in range(self.utterances)
        )

    def read(self, row: Utterance) -> tuple[np.ndarray, int]:
        speaker, index = map(int, row.path.split("-"))
        random = np.random.default_rng([self.seed, speaker, index, SESSION])
        return record(speak(self.seed, speaker, index), random), SAMPLE_RATE

    def fingerprint(self, table: "pd.DataFrame") -> str:
        from mia_lib.support.digests import digest

        return digest([self.seed, *table["path"]])

"""Varied English sentences from a small grammar, so that speakers of the demo corpora rarely say the same thing."""

import numpy as np

WORDS = {
    "D": "the a my your our their this that every another one some",
    "A": """old quiet yellow clever heavy gentle broken shiny northern hungry famous little frozen crooked honest bitter
    golden narrow careless purple ancient curious lonely sudden wooden perfect rusty tired velvet wild modern lazy""",
    "N": """captain lantern harbour sparrow teacher engine orchard doctor mirror candle bridge farmer violin journey
    village window merchant thunder basket garden hunter painter puzzle river shadow signal sister soldier stranger
    ticket tower uncle visitor wagon whisper witness blanket chimney dolphin elephant feather grandmother island
    jacket kitchen ladder mountain notebook onion pigeon question rabbit saddle telephone umbrella""",
    "V": """carried noticed followed repaired painted remembered borrowed described admired forgot discovered watched
    lifted ignored answered questioned invited measured collected finished welcomed surprised covered delivered
    examined gathered imagined justified kept lost mentioned offered pushed recognised sold touched visited wanted""",
    "R": """slowly quietly suddenly carefully happily rarely always bravely eagerly gladly hardly kindly loudly neatly
    often politely quickly sadly truly warmly""",
    "P": "across behind beside near under above beyond inside around against before without towards",
    "T": """yesterday this-morning last-winter on-Thursday after-dinner before-sunrise at-midnight in-October all-day
    twice-a-week during-the-storm next-to-the-fire in-the-end for-seven-years at-half-past-nine""",
    "S": "she he they we nobody everyone somebody you I Margaret Oliver Jonathan Beatrice",
    "C": "because although while and but so until unless when since",
}
VOCABULARY = {kind: [word.replace("-", " ") for word in words.split()] for kind, words in WORDS.items()}
PATTERNS = [
    pattern.split()
    for pattern in (
        "D A N V D N P D A N",
        "T D N R V D A N",
        "S V D A N C S V D N",
        "D N P D N R V D A N",
        "S R V D A N P D N T",
        "T S V D N C D N V D A N",
        "D A N C D A N R V D N",
        "C S V D N S R V D A N",
    )
]


def draw_sentence(random: np.random.Generator) -> str:
    """A grammatical, mostly senseless sentence of eight to thirteen words."""
    pattern = PATTERNS[random.integers(len(PATTERNS))]
    words = [VOCABULARY[kind][random.integers(len(VOCABULARY[kind]))] for kind in pattern]
    return " ".join(words).capitalize() + "."

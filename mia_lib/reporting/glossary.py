"""The words of the series, each in a sentence: for the report, the pages and whoever else explains them."""

GLOSSARY = {
    "utterance": "One recording of one speaker.",
    "fragment": "A piece of an utterance, of fixed length: what a model is trained on and asked about.",
    "target model": "The speaker-identification model under attack.",
    "shadow model": "A model that the attacker trains, on data whose membership the attacker knows.",
    "reference model": "A model trained on a random part of the target's own speakers' recordings. Attacks that compare a "
    "fragment with itself need such models.",
    "unexposed model": "A model that trained on none of the audited data: the target of a negative control.",
    "member, non-member": "A fragment, or under protocol speaker a person, inside or outside the target's training set.",
    "stranger": "A person of whom the target model heard nothing in training.",
    "protocol utterance": "Members are training utterances, non-members other utterances of the same speakers: is this "
    "recording in the training set?",
    "protocol speaker": "Members are other utterances of training speakers, non-members utterances of strangers: is this "
    "person in the training set?",
    "protocol paper": "Members are training utterances, non-members utterances of strangers: what arXiv 1911.01888 reports, "
    "both effects mixed.",
    "attack": "A rule that gives each audited fragment a score, which is higher where it takes the fragment for a "
    "member.",
    "defense": "A change of the training, or of what the model answers, that is to make attacks fail.",
    "adaptive attack": "An attack whose own models are trained and asked behind the same defense: it knows the defense.",
    "AUC": "The chance that a member gets a higher score than a non-member: 0.5 is guessing, 1 is certain.",
    "false-positive rate": "The share of non-members that are called members.",
    "members found at 1 % false positives": "The share of members that are found where one non-member in a "
    "hundred is called one too. A guess finds 1 %.",
    "balanced accuracy": "The mean of the share of members and the share of non-members that are told rightly, at the "
    "threshold the attacker chose: 50 % is guessing.",
    "precision, recall": "How many of those called members are members; how many of the members are called so.",
    "negative control": "A case in which an attack must fail: membership shuffled, or a model that never saw the data.",
    "95 % interval": "In brackets. Drawn again, other speakers and targets would put the number there in about 19 of 20 "
    "cases.",
    "exposure": "By how many standard deviations models that trained on a fragment are surer of it than models that "
    "did not.",
    "epsilon": "What differential privacy promises: whatever is answered, the odds of membership change by at most a "
    "factor of e to the epsilon, but for a small probability delta.",
    "posterior": "The probability that a model gives to each of its speakers.",
}
"""Word -> what it means."""

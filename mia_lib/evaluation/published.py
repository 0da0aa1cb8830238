"""What arXiv 1911.01888 reports for undefended models, to be set beside our own measurements."""

import pandas as pd

CLAIMS = [
    # corpus, target train and test accuracy, then the attack's accuracy, precision and recall
    ("LibriSpeech", 0.995, 0.950, 0.879, 0.859, 0.908),
    ("VOiCES, room 1", 0.986, 0.778, 0.828, 0.783, 0.907),
]
METRICS = ("train_accuracy", "test_accuracy", "balanced_accuracy", "precision", "recall")


def claims() -> pd.DataFrame:
    """The published figures, one row per corpus; protocol `paper`, attack on the three largest posteriors."""
    return pd.DataFrame(CLAIMS, columns=["corpus", *METRICS]).set_index("corpus")

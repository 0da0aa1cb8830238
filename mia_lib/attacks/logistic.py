"""The logistic model that attacks weigh what they see by."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def logistic(**options) -> Pipeline:
    """A logistic model on standardised values; `options` are those of scikit-learn's LogisticRegression."""
    return make_pipeline(StandardScaler(), LogisticRegression(**options))

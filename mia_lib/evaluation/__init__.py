"""What attacks found: rates with intervals, bounds of epsilon, records and verdicts."""

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.records import COLUMNS, Result
from mia_lib.evaluation.strongest import strongest_of

__all__ = ["COLUMNS", "Audit", "Measure", "Result", "evaluate", "mean_measure", "strongest_of"]

"""The table of results: one row per measured number, with the circumstances of each as columns.

What `results.csv` calls a metric is the measure and its circumstances in one word; it is put together here, and nowhere taken
apart. A table holds both: the word, by which a number is found, and the columns, by which tables and figures sort.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from mia_lib.evaluation.intervals import Measure

IDENTITY = ["corpus", "profile", "seed", "protocol", "defense", "attack", "adaptive"]
COLUMNS = [*IDENTITY, "metric", "value", "low", "high", "n"]
"""The columns of `results.csv`."""
CIRCUMSTANCES = ["measure", "condition", "enrolment", "references", "queries", "control"]
"""What the metric is made of: further columns of tables in memory and of `parts/`."""


@dataclass(frozen=True)
class Result:
    """One number: what was measured, and under which circumstances beside those that its whole table shares."""

    measure: str  # such as "auc"
    value: Measure
    condition: str = ""  # recordings of one kind only, such as "room_rm1"
    enrolment: int = 0  # recordings that stand for each person
    references: int = 0  # reference models, where fewer than there are
    queries: int = 0  # asked about each fragment, where they are counted
    control: str = ""  # the negative control: "shuffled" or "unexposed"

    @property
    def metric(self) -> str:
        """Measure and circumstances in one word, as in `results.csv`: `auc_enrolment_5_control_unexposed`."""
        parts = [
            self.measure,
            self.condition,
            f"enrolment_{self.enrolment}" if self.enrolment else "",
            f"{self.references}_references" if self.references else "",
            f"{self.queries}_queries" if self.queries else "",
            f"control_{self.control}" if self.control else "",
        ]
        return "_".join(part for part in parts if part)


def results_table(identity: dict, results: Iterable[Result]) -> pd.DataFrame:
    """Tidy records, one row per result, with COLUMNS and CIRCUMSTANCES; identity: what all rows share, by IDENTITY."""
    rows = []
    for result in results:
        about = {name: getattr(result, name) for name in CIRCUMSTANCES}
        rows.append(identity | {"metric": result.metric} | asdict(result.value) | about)
    return pd.DataFrame(rows, columns=[*COLUMNS, *CIRCUMSTANCES])

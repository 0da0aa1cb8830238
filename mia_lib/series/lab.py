"""What every notebook starts with: an experiment, and one place for its records, figures, sounds and sentences."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from mia_lib.evaluation.claims import CLAIM_COLUMNS, Claim, Outcome, decide
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS
from mia_lib.reporting import embed, figures, looks, titles
from mia_lib.reporting.embed import FIGURES
from mia_lib.series import beliefs
from mia_lib.series.audits import records_of
from mia_lib.series.claims import claim_of
from mia_lib.series.request import Request, check_values
from mia_lib.series.workplace import USES
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.files import write_atomically
from mia_lib.support.limits import core_seconds


def slug(text: str) -> str:
    """`text` as part of a folder's name."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text).strip("-.")


class Lab:
    """A notebook's workbench. Everything it keeps goes to `outputs/<run_id>/`, and from there into the report.

    name: the notebook's file name without ending. The other arguments are the parameters of a `Request`. Raises UsageError
    or MiaError, one sentence each, when they make no sense.
    """

    def __init__(self, name: str, **parameters):
        self.request = Request(**parameters)
        check_values(self.request)
        figures.style()
        pd.set_option("display.max_colwidth", None)
        self.name = name
        self.experiment = ShadowStudy(Dataset(**self.request.dataset()))
        r = self.request
        self.folder = Path(r.outputs) / (r.run_id or slug(f"notebooks-{r.corpus}-{r.profile}-s{r.seed}"))
        self._part = self.folder / "parts" / name
        self._experiments = [self._noted(self.experiment)]
        for folder in (self._part, self.folder / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        for old in (self.folder / "figures").glob(f"{name}-*"):
            old.unlink()
        self._records = pd.DataFrame(columns=[*COLUMNS, *CIRCUMSTANCES])
        self._claims: dict[tuple[str, str], dict] = {}
        self._believed: dict[str, tuple[str, Outcome | None]] = {}
        self._figures: list[str] = []
        for kept in ("claims.csv", FIGURES, USES):
            (self._part / kept).unlink(missing_ok=True)

    def _noted(self, experiment: ShadowStudy) -> ShadowStudy:
        """An experiment whose stages are noted as this notebook's, so that they are kept (see `series.kept`)."""
        experiment.cache.journal = self._part / USES
        return experiment

    def another(self, corpus: str) -> ShadowStudy:
        """A second experiment with the same parameters on another corpus; how a corpus is split is its own affair."""
        settings = {name: value for name, value in self.request.settings.items() if name != "split"}
        if settings != self.request.settings:
            self.say(
                f"split={self.request.settings['split']} is asked of {self.request.corpus}: {corpus} keeps its own."
            )
        dataset = Dataset(**replace(self.request, corpus=corpus, settings=settings).dataset())
        self._experiments.append(self._noted(ShadowStudy(dataset)))
        return self._experiments[-1]

    def record(self, table: pd.DataFrame) -> None:
        """Add rows to the run's results."""
        self._records = pd.concat([self._records, table]) if len(self._records) else table
        write_atomically(self._part / "results.csv", self._records.to_csv(index=False))
        self._note()

    def audited(self, results: pd.DataFrame, condition: str, trap: bool = False) -> None:
        """Add what an audit found to the run's results; condition and trap: see `audits.records_of`."""
        r = self.request
        self.record(records_of(results, condition, trap, corpus=r.corpus, profile=r.profile, seed=r.seed))

    def _note(self) -> None:
        """Keep for `run.json` what was computed so far."""
        timings = [timing for e in self._experiments for timing in e.cache.timings]
        write_atomically(self._part / "stages.json", json.dumps(timings, indent=1))
        context = self.experiment.context() | {"core_seconds": round(core_seconds(), 2)}
        write_atomically(self._part / "context.json", json.dumps(context, indent=1))

    def figure(self, figure, name: str, caption: str, message: str = "") -> None:
        """Show a figure with its caption, and keep both for the report and the pages.

        message: what the picture shows, in one sentence computed from what is drawn; it becomes the title. Without one, the
        sentence that the figure has as its label.
        """
        if message := message or str(figure.get_label() or ""):
            titles.put(figure, message)
        path = self.folder / "figures" / f"{self.name}-{name}.png"
        path.write_bytes(looks.as_png(figure))
        write_atomically(path.with_suffix(".svg"), looks.as_svg(figure))
        figures.plt.close(figure)
        write_atomically(path.with_suffix(".txt"), caption)
        self._figures = [*(kept for kept in self._figures if kept != path.stem), path.stem]
        write_atomically(self._part / FIGURES, json.dumps(self._figures))
        data, about = embed.picture(path.read_bytes(), caption, path.stem)
        display(data, metadata=about, raw=True)
        display(Markdown(embed.caption_in_markdown(caption)))
        self._note()

    def say(self, text: str) -> None:
        """Show a sentence or a table, written in Markdown, whose numbers come from the records."""
        display(Markdown(text))
        self._note()

    def believe(self, claim: str | Claim) -> None:
        """State a claim (by its name, or itself) before it is measured: what one might well believe."""
        known = claim_of(claim) if isinstance(claim, str) else claim
        self._believed.setdefault(known.id, (known.question, None))
        display(Markdown(f"*Belief:* {known.question}"))

    def claim(
        self, claim: str | Claim, records: pd.DataFrame | None = None, quietly: bool = False, **corpora: str
    ) -> None:
        """Show what becomes of a claim (by its name) on records, or on all recorded so far, and keep it for the report.

        quietly: it is shown only in the table of beliefs. corpora: which corpora `near` and `far` are, where the claim
        compares two.
        """
        known = claim_of(claim, **corpora) if isinstance(claim, str) else claim
        outcome = decide(known, self._records if records is None else records)
        r = self.request
        corpus = known.one.corpus or r.corpus
        self._claims[known.id, corpus] = outcome.row(dict(corpus=corpus, profile=r.profile, seed=r.seed))
        table = pd.DataFrame(list(self._claims.values()), columns=CLAIM_COLUMNS)
        write_atomically(self._part / "claims.csv", table.to_csv(index=False))
        self._believed[known.id] = known.question, outcome
        if not quietly:
            self.say(outcome.sentence())

    def beliefs(self) -> None:
        """Show what became of all that was believed or claimed so far: held, fell or undecided, with the numbers."""
        self.say(beliefs.table(self._believed))

    def forecast(
        self, said: float | None, measured: Measure, about: str = "", kind: str = "rate", **comments: str
    ) -> None:
        """Score what the reader wrote down before the measurement; comments: see `beliefs.scored`."""
        self.say(beliefs.scored(said, measured, about, kind, **comments))

    def listen(self, clips: dict[str, int | np.ndarray], experiment: ShadowStudy | None = None) -> None:
        """Players: caption -> row of a fragment, or samples [n] of its own (full scale 1)."""
        fragments = (experiment or self.experiment).fragments
        sounds = {c: clip if isinstance(clip, np.ndarray) else fragments.audio[clip] for c, clip in clips.items()}
        players = [embed.player(samples, fragments.sample_rate, caption) for caption, samples in sounds.items()]
        display(HTML("".join(players)))

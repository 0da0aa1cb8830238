"""What every notebook starts with: an experiment, and one place for its records, figures, sounds and sentences."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from IPython.display import HTML, Markdown, display

from mia_lib.evaluation.records import COLUMNS
from mia_lib.reporting import figures
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.files import write_atomically


def slug(text: str) -> str:
    """`text` as part of a folder's name."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in text).strip("-.")


class Lab:
    """A notebook's workbench. Everything it keeps goes to `outputs/<run_id>/`, and from there into the report.

    name: the notebook's file name without ending. The other arguments are the notebook's parameters. Raises UsageError
    or MiaError, one sentence each, when they make no sense.
    """

    def __init__(
        self,
        name: str,
        *,
        corpus: str,
        profile: str,
        seed: int,
        device: str,
        outputs: str,
        run_id: str,
        data_root: str,
        max_bad: float,
        settings: dict,
    ):
        figures.style()
        pd.set_option("display.max_colwidth", None)
        self.name = name
        self._options = dict(
            profile=profile,
            seed=seed,
            device=device,
            outputs=outputs,
            data_root=data_root,
            settings=settings,
            max_bad=max_bad,
        )
        self.experiment = ShadowStudy(Dataset(corpus, **self._options))
        self._experiments = [self.experiment]
        self.folder = Path(outputs) / (run_id or slug(f"notebooks-{corpus}-{profile}-s{seed}"))
        self._part = self.folder / "parts" / name
        for folder in (self._part, self.folder / "figures"):
            folder.mkdir(parents=True, exist_ok=True)
        for old in (self.folder / "figures").glob(f"{name}-*"):
            old.unlink()
        self._records = pd.DataFrame(columns=COLUMNS)

    def another(self, corpus: str) -> ShadowStudy:
        """A second experiment with the same parameters on another corpus."""
        self._experiments.append(ShadowStudy(Dataset(corpus, **self._options)))
        return self._experiments[-1]

    def record(self, table: pd.DataFrame) -> None:
        """Add rows to the run's results."""
        self._records = pd.concat([self._records, table]) if len(self._records) else table
        write_atomically(self._part / "results.csv", self._records.to_csv(index=False))
        self._note()

    def _note(self) -> None:
        """Keep for `run.json` what was computed so far."""
        timings = [timing for e in self._experiments for timing in e.cache.timings]
        write_atomically(self._part / "stages.json", json.dumps(timings, indent=1))
        write_atomically(self._part / "context.json", json.dumps(self.experiment.context(), indent=1))

    def figure(self, figure, name: str, caption: str) -> None:
        """Show a figure with its caption, and keep both for the report."""
        path = self.folder / "figures" / f"{self.name}-{name}.png"
        figure.savefig(path, dpi=120)
        figures.plt.close(figure)
        write_atomically(path.with_suffix(".txt"), caption)
        picture = base64.b64encode(path.read_bytes()).decode()
        alt = caption.replace('"', "'")
        display(
            HTML(f'<img src="data:image/png;base64,{picture}" alt="{alt}" style="max-width:100%">'),
            Markdown(f"*{caption}*"),
        )
        self._note()

    def say(self, text: str) -> None:
        """Show a sentence or a table, written in Markdown, whose numbers come from the records."""
        display(Markdown(text))
        self._note()

    def listen(self, clips: dict[str, int | np.ndarray], experiment: ShadowStudy | None = None) -> None:
        """Players: caption -> row of a fragment, or samples [n] of its own (full scale 1)."""
        fragments = (experiment or self.experiment).fragments
        players = []
        for caption, clip in clips.items():
            buffer, samples = io.BytesIO(), clip if isinstance(clip, np.ndarray) else fragments.audio[clip]
            soundfile.write(buffer, samples, fragments.sample_rate, format="WAV", subtype="PCM_16")
            sound = base64.b64encode(buffer.getvalue()).decode()
            players.append(
                f'<figure style="display:inline-block;margin:.5em"><figcaption>{caption}</figcaption>'
                f'<audio controls src="data:audio/wav;base64,{sound}"></audio></figure>'
            )
        display(HTML("".join(players)))

"""`librispeech`: read English audiobooks in the tree that openslr.org/12 publishes."""

import os
import shutil
from pathlib import Path

from mia_lib.corpora import CORPORA
from mia_lib.corpora.base import FileCorpus, Survey, Utterance, make_table
from mia_lib.corpora.found import ELSEWHERE, Walk, ending, kept, shown
from mia_lib.support.errors import MiaError, UsageError

SUBSETS = (
    *("dev-clean", "dev-other", "test-clean", "test-other"),
    *("train-clean-100", "train-clean-360", "train-other-500"),
)


@CORPORA.register("librispeech")
class LibriSpeech(FileCorpus):
    """Read audiobooks, `librispeech[:SUBSET+SUBSET...]`; train-clean-100+test-clean, the paper's, if none is named."""

    description = "LibriSpeech (openslr.org/12): English audiobooks, 16 kHz, read by volunteers"
    licence = "CC BY 4.0, V. Panayotov and others, openslr.org/12"

    def __init__(self, argument: str = "", *args, **kwargs):
        super().__init__(argument, *args, **kwargs)
        self.subsets = (argument or "train-clean-100+test-clean").split("+")
        for subset in self.subsets:
            if subset not in SUBSETS:
                raise UsageError(f"unknown LibriSpeech subset {subset!r}: choose from {', '.join(SUBSETS)}")
        is_tree = any((self.data_root / subset).is_dir() for subset in SUBSETS)
        self.root = self.data_root if is_tree else self.data_root / "LibriSpeech"

    def survey(self) -> Survey:
        for subset in self.subsets:
            if not (self.root / subset).is_dir():
                self._fetch(subset)
        genders, walk = self._genders(), Walk(self.root)
        rows, passed = [], []
        for folder, (path, why) in walk.files(os.path.join(self.root, subset) for subset in self.subsets):
            parts = Path(os.path.relpath(path, folder)).parts
            if not why and (len(parts) != 3 or ending(path) != ".flac"):
                why = ELSEWHERE
            if why:
                passed.append(walk.passed(path, why, shown(parts[0]) if len(parts) > 1 else ""))
                continue
            stem, relative = shown(Path(path).stem), Path(os.path.relpath(path, self.root)).as_posix()
            gender, subset = genders.get(parts[0]), os.path.basename(folder)
            rows.append(Utterance(stem, stem.partition("-")[0], stem, kept(relative), gender, subset))
        if not rows:
            raise MiaError(f"there is no <speaker>/<chapter>/*.flac in {self.root / self.subsets[0]}")
        return Survey(make_table(rows), passed, self._notes({row.speaker: row.gender for row in rows}))

    def _genders(self) -> dict[str, str]:
        """Speaker -> gender from SPEAKERS.TXT, whose lines read `id | sex | subset | minutes | name`."""
        path = self.root / "SPEAKERS.TXT"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
        fields = [line.split("|") for line in lines if not line.startswith(";") and line.count("|") >= 2]
        return {speaker.strip(): sex.strip() for speaker, sex, *_ in fields}

    @staticmethod
    def _notes(known: dict[str, str | None]) -> list[str]:
        """Of how many speakers the gender is not known, if of any."""
        unknown = sum(not gender for gender in known.values())
        return [f"SPEAKERS.TXT does not tell the gender of {unknown} of {len(known)} speakers"] if unknown else []

    def _fetch(self, subset: str) -> None:
        """Download one subset with its checksum verified, or say how a missing one is got."""
        if not self.download:
            raise MiaError(
                f"LibriSpeech {subset} is not at {self.root / subset}: add --download to fetch it there, or give the "
                "folder that holds LibriSpeech by --data-root DIR or MIA_DATA_ROOT"
            )
        from torchaudio.datasets import LIBRISPEECH

        arriving = self.root / ".download"  # an interrupted download is never taken for the corpus
        try:
            arriving.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(arriving / "LibriSpeech", ignore_errors=True)  # an archive that came is unpacked again
            LIBRISPEECH(arriving, url=subset, download=True)
            for part in (arriving / "LibriSpeech").iterdir():
                if not (self.root / part.name).exists():
                    part.rename(self.root / part.name)
            shutil.rmtree(arriving)
        except (OSError, RuntimeError) as error:
            raise MiaError(f"LibriSpeech {subset} could not be downloaded to {self.root}: {error}") from None

"""`folder:PATH`: your own recordings, one folder per speaker."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mia_lib.corpora import CORPORA
from mia_lib.corpora.base import FileCorpus, Utterance, make_table
from mia_lib.support.errors import MiaError, UsageError

if TYPE_CHECKING:
    import pandas as pd

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".w64")


def audio_files(folder: Path) -> list[Path]:
    """All files below `folder` whose name says that they hold audio, sorted; hidden ones are left out."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS):
                found.append(Path(parent, name))
    return sorted(found)


@CORPORA.register("folder")
class FolderCorpus(FileCorpus):
    """Your own recordings: `folder:PATH` with one folder per speaker and, if you like, a speakers.csv with genders."""

    description = "recordings of your own, one folder per speaker"
    licence = "yours"
    argument_is_path = True

    def __init__(self, argument: str = "", *args, **kwargs):
        super().__init__(argument, *args, **kwargs)
        if not argument:
            raise UsageError(
                "the corpus 'folder' needs a path, as in folder:recordings with one folder per speaker in it"
            )
        self.root = Path(argument).expanduser()

    def table(self) -> "pd.DataFrame":
        if not self.root.is_dir():
            raise MiaError(f"there is no folder {self.root}: give the path of one that holds a folder per speaker")
        genders = self._genders()
        speakers = sorted(path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))
        rows = [
            Utterance(name := file.relative_to(self.root).as_posix(), folder.name, name, name, genders.get(folder.name))
            for folder in speakers
            for file in audio_files(folder)
        ]
        if not rows:
            raise MiaError(f"there is no audio in {self.root}: it should hold one folder of recordings per speaker")
        return make_table(rows)

    def _genders(self) -> dict[str, str]:
        """Speaker -> gender from speakers.csv, if there is one."""
        import pandas as pd

        path = self.root / "speakers.csv"
        if not path.exists():
            return {}
        try:
            people = pd.read_csv(path, dtype="str", encoding="utf-8-sig", keep_default_na=False)
        except (ValueError, OSError) as error:
            raise MiaError(f"{path}: cannot be read as a table with a header line ({error})") from None
        if "speaker" not in people:
            raise MiaError(f"{path}: needs a column 'speaker' holding the names of the speakers' folders")
        return dict(zip(people["speaker"], people["gender"], strict=True)) if "gender" in people else {}

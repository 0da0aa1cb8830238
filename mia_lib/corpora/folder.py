"""`folder:PATH`: your own recordings, one folder per speaker."""

import os
from pathlib import Path

from mia_lib.corpora import CORPORA
from mia_lib.corpora.base import FileCorpus, Survey, Utterance, make_table
from mia_lib.corpora.found import HIDDEN, LINKED, OTHER, ROOT, PassedOver, Walk, kept, kind, losses, real, shown
from mia_lib.corpora.people import genders
from mia_lib.support.errors import MiaError, UsageError

PEOPLE = "speakers.csv"


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
        self.root = Path(os.path.expanduser(real(argument)))

    def survey(self) -> Survey:
        if not os.path.isdir(self.root):
            what = f"{self.root} is a file" if os.path.exists(self.root) else f"there is no folder {self.root}"
            raise MiaError(f"{what}: give the path of a folder that holds a folder per speaker")
        walk = Walk(self.root)
        folders, passed = self._top(walk)
        people = genders(self.root / PEOPLE) if (self.root / PEOPLE).exists() else {}
        rows = []
        for folder, (path, why) in walk.files(folders):
            speaker = shown(os.path.basename(folder))
            if why:
                passed.append(walk.passed(path, why, "" if why == LINKED and path == folder else speaker))
                continue
            relative = Path(os.path.relpath(path, self.root)).as_posix()
            rows.append(Utterance(shown(relative), speaker, shown(relative), kept(relative), people.get(speaker)))
        if not rows:
            lost = losses(passed)
            raise MiaError(
                f"there is no audio in {self.root}: it should hold one folder of recordings per speaker"
                + (f"; passed over: {lost}" if lost else "")
            )
        return Survey(make_table(rows), passed, self._notes(people, {row.speaker for row in rows}))

    def _top(self, walk: Walk) -> tuple[list[str], list[PassedOver]]:
        """The speakers' folders, and what lies beside them."""
        folders, passed = [], []
        try:
            entries = sorted(os.scandir(self.root), key=lambda entry: entry.name)
        except OSError as error:
            raise MiaError(f"{self.root}: cannot be listed ({error.strerror})") from None
        for entry in entries:
            if entry.name.startswith("."):
                passed.append(walk.passed(entry.path, HIDDEN))
            elif os.path.isdir(entry.path):
                folders.append(entry.path)
            else:
                passed.append(walk.passed(entry.path, OTHER if kind(entry.name) == OTHER else ROOT))
        return folders, passed

    def _notes(self, people: dict[str, str], speakers: set[str]) -> list[str]:
        """Who of the table was found; nothing where there is none."""
        if not (self.root / PEOPLE).exists():
            return []
        found, strangers = speakers & set(people), sorted(set(people) - speakers)
        known = sum(bool(people[speaker]) for speaker in found)
        note = f"{PEOPLE} names {len(people)} speakers: {len(found)} of the {len(speakers)} who have recordings"
        note += f", with a gender for {known}"
        return [note + (f"; without recordings: {', '.join(strangers[:5])}" if strangers else "")]

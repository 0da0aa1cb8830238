"""Reads saved signals: `.npz`, `.parquet` or `.csv`, whoever wrote them. Nothing is unpickled."""

import tempfile
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.evidence import KINDS, Evidence
from mia_lib.support.errors import MiaError, UsageError

LARGE = 256 * 2**20
"""Bytes of an array of answers from which it stays on disk, to be read block by block."""
HELP = "give an .npz, .parquet or .csv file with answers, label and member"
OLD_HEADER = (1, 0)


def read_signals(path: str | Path, protocol: str | None = None, name: str | None = None) -> Evidence:
    """Evidence from a file of saved signals, called by its name.

    `.npz`: arrays named as `columns.evidence_of` says; those of answers above LARGE stay on disk: in the file where they are
    stored (np.savez), in a temporary one where they are compressed. `.parquet` and `.csv`: see `tables.read_table`.
    protocol: see `columns.with_protocol`. Raises UsageError for a file that is not there or of another kind, and MiaError,
    one sentence that names the file, for content that is not what it should be.
    """
    path = Path(path)
    if path.suffix.lower() not in (".npz", ".parquet", ".csv"):
        raise UsageError(f"{path}: signals are not read from such a file: {HELP}")
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file: {HELP}")
    if path.suffix.lower() == ".npz":
        arrays = _npz(path)
    else:
        from mia_lib.auditing.tables import read_table

        arrays = read_table(path)
    return evidence_of(arrays, path.name if name is None else name, protocol)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            return {one.filename[:-4]: _array(path, archive, one) for one in members}
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError) as error:
        raise MiaError(f"{path.name}: cannot be read as an .npz file ({error or 'it ends too early'})") from None
    except MemoryError:
        raise MiaError(f"{path.name}: holds an array that does not fit into memory") from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array: read, or where it is of answers and large, mapped, once it is written out if it is compressed."""
    name = member.filename[:-4]
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject:
            raise MiaError(f"{path.name}: {name} holds Python objects, which are never unpickled: save numbers or text")
        if not name.endswith((*KINDS, "copies", "control")) or dtype.itemsize * int(np.prod(shape)) < LARGE:
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
        if fortran:
            raise MiaError(
                f"{path.name}: {name} is ordered by columns, and too large for that: save np.ascontiguousarray({name}), so "
                "that it can be read block by block"
            )
        place = file.tell()
    if member.compress_type != zipfile.ZIP_STORED:
        folder = tempfile.TemporaryDirectory(prefix="mia-", ignore_cleanup_errors=True)
        mapped = np.memmap(_written_out(path, archive, member, folder.name), dtype, "r", place, shape)
        weakref.finalize(mapped, folder.cleanup)
        return mapped
    with open(path, "rb") as whole:
        whole.seek(member.header_offset + 26)
        lengths = np.frombuffer(whole.read(4), "<u2")
    return np.memmap(path, dtype, "r", member.header_offset + 30 + int(lengths.sum()) + place, shape)


def _written_out(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str) -> str:
    """The file in a temporary folder to which a compressed array was written, a block at a time."""
    try:
        return archive.extract(member, folder)
    except OSError as error:
        raise MiaError(
            f"{path.name}: {member.filename[:-4]} is compressed, and cannot be written out to {tempfile.gettempdir()} "
            f"({error.strerror}): set TMPDIR to a folder with room for it, or save by np.savez"
        ) from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether by columns, and dtype of an array, which is then what comes next in the file."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == OLD_HEADER else np.lib.format.read_array_header_2_0
    return read(file)

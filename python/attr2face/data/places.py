"""Pictures of a folder or of a zip archive, which is read as it is."""

import functools
import zipfile
from pathlib import Path

from attr2face.errors import UserError


def pictures_at(place: Path) -> tuple[Path | zipfile.Path, set[str]]:
    """A folder, or the folder in an archive that has its first file, and the names of the files in it.

    Raises
    ------
    UserError
        If there is no folder, and no archive that can be read.
    """
    if place.is_dir():
        return place, {file.name for file in place.iterdir()}
    try:
        archive = zipfile.ZipFile(place)
    except FileNotFoundError:
        raise UserError(f"{place} does not exist; it must be a folder or a zip archive of pictures") from None
    except (zipfile.BadZipFile, OSError):
        remedy = "restore it, or unpack it into a folder beside it"
        raise UserError(f"{place} is no readable zip archive; {remedy}") from None
    files = [name for name in archive.namelist() if not name.endswith("/")]
    files = [name for name in files if not name.startswith("__MACOSX/")]
    folder, slash, _ = files[0].rpartition("/") if files else ("", "", "")
    inside = folder + slash
    names = {name.removeprefix(inside) for name in files if name.startswith(inside)}
    return zipfile.Path(archive, inside), names


def place_of(root: Path | zipfile.Path) -> tuple[Path, str | None]:
    """What another process needs for `root_at`: the folder, or the archive and the folder in it."""
    return (root, None) if isinstance(root, Path) else (Path(root.root.filename), root.at)


@functools.cache
def root_at(place: Path, inside: str | None) -> Path | zipfile.Path:
    """The inverse of `place_of`. An archive's list of files is read once."""
    return place if inside is None else zipfile.Path(place, inside)

"""PubFig from its index (Kumar et al. 2009): originals are downloaded, checked and cropped to LFW's layout.

The index is a list of URLs of 2010, most of them dead by now. What became of each is kept in `downloads.csv`,
so that an interrupted run goes on with the rest.
"""

import csv
import hashlib
import io
import queue
import re
import sys
import threading
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import requests
from PIL import Image
from tqdm import tqdm

from attr2face.data.downloads import Refused, blocks, get, session
from attr2face.data.faces import image_path
from attr2face.errors import UserError
from attr2face.files import atomic_write, require

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MAX_SECONDS = 60.0
_FORMATS = ("JPEG", "PNG", "GIF", "BMP")
MARGIN = 0.4
SIDE = 256
HOSTS_AT_ONCE = 16
# These do not get better by trying again.
FINAL = ("downloaded", "another file", "not an image", "too large", "too many pixels", "rectangle outside")
FINAL += ("broken URL", "broken headers", "status 404", "status 410")
# After so many of these, one after another, a host is left alone until the next run.
SILENCE = ("no connection", "too slow")
SILENCES = 2


@dataclass(frozen=True)
class Entry:
    """A row of the index: `rect` is x0, y0, x1, y1 of the face in pixels, `md5` the original's checksum."""

    person: str
    number: int
    url: str
    rect: tuple[int, int, int, int]
    md5: str

    @property
    def key(self) -> tuple[str, int]:
        return self.person, self.number


def read_index(path: Path) -> list[Entry]:
    """Read dev_urls.txt or eval_urls.txt.

    Raises
    ------
    UserError
        If the file is missing or a row is not person, number, URL, rectangle and md5.
    """
    require(path, "set ROOT to the folder with PubFig's index files")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    entries = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        entry = _entry(line)
        if entry:
            entries.append(entry)
        elif line.endswith("\n"):
            wanted = "person, number, url, x0,y0,x1,y1 and md5"
            raise UserError(f"{path}, line {number}: expected {wanted}; mend or remove it")
        else:
            print(f"{path} is cut short in line {number}, which is left out", file=sys.stderr)
    return entries


def _entry(line: str) -> Entry | None:
    try:
        person, image, url, rect, md5 = line.rstrip("\n").split("\t")
        x0, y0, x1, y1 = map(int, rect.split(","))
        entry = Entry(person, int(image), url, (x0, y0, x1, y1), md5)
    except ValueError:
        return None
    named = re.fullmatch(r"\w[\w .'-]{,99}", person) and re.fullmatch(r"[0-9]{1,6}", image)
    valid = named and re.fullmatch(r"[0-9a-f]{32}", md5) and x0 < x1 and y0 < y1
    return entry if valid else None


def crop_face(content: bytes, rect: tuple[int, int, int, int]) -> Image.Image:
    """Decode an original within limits and cut out the face with a margin: at most `SIDE` pixels square.

    Raises
    ------
    Refused
        If it is no image, has too many pixels, or the rectangle is not in it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Refused("too many pixels")
        image = image.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused("too many pixels") from None
    except Refused:
        raise
    # Pillow says in many ways, IndexError and struct.error among them, that a file is broken.
    except Exception:
        raise Refused("not an image") from None
    x0, y0, x1, y1 = rect
    longest = max(x1 - x0, y1 - y0)
    outside = x0 >= image.width or y0 >= image.height or x1 <= 0 or y1 <= 0
    # A wide and flat image may have a wide face, but not the square around it.
    if outside or (2 * longest) ** 2 > MAX_PIXELS:
        raise Refused("rectangle outside")
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    half = (0.5 + MARGIN) * longest
    face = image.crop(tuple(round(v) for v in (cx - half, cy - half, cx + half, cy + half)))
    face.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return face


def _host(url: str) -> str | None:
    """The host of a URL of the web; None where it is no such URL."""
    try:
        split = urlsplit(requests.Request("GET", url).prepare().url)
    except (requests.RequestException, ValueError):
        return None
    return split.hostname if split.scheme in ("http", "https") else None


def fetch(s: requests.Session, entry: Entry, images: Path) -> str:
    """Download one entry and write its face; return "downloaded", or why not."""
    if _host(entry.url) is None:
        return "broken URL"
    try:
        with get(s, entry.url) as response:
            content = b"".join(blocks(response, MAX_BYTES, MAX_SECONDS))
        if content[:1000].lstrip()[:1] == b"<":
            raise Refused("not an image")
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != entry.md5:
            raise Refused("another file")
        face = crop_face(content, entry.rect)
    except Refused as refused:
        return str(refused)
    with atomic_write(image_path(images, *entry.key)) as temporary:
        face.save(temporary, "JPEG", quality=95)
    return "downloaded"


def download_images(entries: list[Entry], root: Path, pause: float = 0.5, private: bool = False) -> pd.Series:
    """Download what has no final outcome in `root`/downloads.csv; return how many entries ended how.

    Hosts are asked side by side, for one image at a time, with `pause` seconds between two; those of private
    networks only if `private`.
    """
    root.mkdir(parents=True, exist_ok=True)
    images, log = root / "images", root / "downloads.csv"
    rows, hosts = _read_log(log), defaultdict(list)
    result, silent_before = dict(rows), Counter(key for key, outcome in rows if outcome in SILENCE)
    for entry in entries:
        outcome = result.get(entry.key)
        if outcome not in FINAL or (outcome == "downloaded" and not image_path(images, *entry.key).exists()):
            hosts[_host(entry.url)].append(entry)
    outcomes, stopped = queue.Queue(), threading.Event()

    def ask(host: str | None) -> None:
        try:
            with session(private) as s:
                silences = 0
                # What earlier runs asked for in vain is not in the way of the rest.
                for entry in sorted(hosts[host], key=lambda entry: silent_before[entry.key]):
                    outcome = fetch(s, entry, images) if silences < SILENCES else "host is silent"
                    outcomes.put((entry, outcome))
                    # Not of a host to which this one sends.
                    silent = outcome in (*SILENCE, "host is silent") and s.get_adapter("http://").host == host
                    silences = silences + 1 if silent else 0
                    if stopped.wait(pause if silences < SILENCES else 0):
                        return
        except Exception as error:
            outcomes.put((None, error))

    with log.open("a", newline="") as file, ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        try:
            for host in sorted(hosts, key=lambda host: -len(hosts[host])):
                pool.submit(ask, host)
            for _ in tqdm(range(sum(map(len, hosts.values()))), "PubFig", unit=" images"):
                entry, outcome = outcomes.get()
                if entry is None:
                    raise outcome
                csv.writer(file).writerow([*entry.key, outcome])
                file.flush()
                result[entry.key] = outcome
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
    return pd.Series([result[entry.key] for entry in entries], name="images").value_counts()


def _read_log(log: Path) -> list[tuple[tuple[str, int], str]]:
    """Keys and outcomes, the newest last. A line that a kill cut short is nobody's."""
    if not log.exists():
        return []
    with log.open(newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == 3 and row[1].isdecimal()]
    return [((person, int(number)), outcome) for person, number, outcome in rows]


def join_attributes(attribute_file: Path, root: Path) -> int:
    """Write the attribute file's rows with a downloaded image to `root`/attributes.txt; return how many."""
    require(attribute_file, "set ROOT to the folder with pubfig_attributes.txt")
    lines = attribute_file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines[2:] if _has_image(line, root / "images")]
    if not kept:
        what = f"none of the images in {attribute_file} could be downloaded"
        raise UserError(f"{what}; see {root / 'downloads.csv'} for the reasons")
    with atomic_write(root / "attributes.txt") as temporary:
        temporary.write_text("".join([*lines[:2], *kept]))
    return len(kept)


def _has_image(line: str, images: Path) -> bool:
    person, _, rest = line.partition("\t")
    number = rest.partition("\t")[0]
    return number.isdecimal() and "/" not in person and image_path(images, person, int(number)).exists()

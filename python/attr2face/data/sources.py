"""Where the real data and weights come from: VGG-Face's weights, LFW, PubFig's index."""

import io
import re
import tarfile
from pathlib import Path

import yaml
from PIL import Image
from tqdm import tqdm

from attr2face.data import pubfig
from attr2face.data.downloads import download, unpack_file
from attr2face.errors import UserError

ZOO = Path(__file__).parents[1] / "zoo"
KUMAR = "https://www.cs.columbia.edu/CAVE/databases/pubfig/download/"
LFW = "https://ndownloader.figshare.com/files/5976015"
LFW_CHECKSUM = "sha256:b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a"
LFW_CROP = 150


def fetch_vgg_face(out: Path) -> None:
    """Download VGG-Face's archive beside `out`, and unpack the weights to `out`.

    Raises
    ------
    UserError
        If the archive cannot be downloaded or is another.
    """
    about = front_matter(ZOO / "vgg_face" / "readme.md")
    archive = out.with_name(about["caffemodel_url"].rpartition("/")[2])
    download(about["caffemodel_url"], archive, about["archive_bytes_at_most"], about["archive_checksum"])
    unpack_file(archive, about["caffemodel"], out, about["caffemodel_bytes_at_most"])
    archive.unlink()


def front_matter(readme: Path) -> dict[str, object]:
    """The YAML between the first two `---` of a model-zoo readme."""
    return yaml.safe_load(readme.read_text().split("---")[1])


def fetch_dataset(name: str, index: Path | None, out: Path) -> None:
    """Download a dataset into the folder `out`; `index` is the user's own index of it, if it has one."""
    if name == "pubfig":
        fetch_pubfig(index, out)
    else:
        fetch_lfw(out)


def fetch_lfw(out: Path) -> None:
    """Download LFW (funneled) and its scores; write the centres of its pictures into the folder `out`."""
    download(KUMAR + "lfw_attributes.txt", out / "lfw_attributes.txt", limit=100_000_000)
    archive = download(LFW, out / "lfw-funneled.tgz", limit=400_000_000, checksum=LFW_CHECKSUM)
    unpack_lfw(archive, out / "lfw")
    archive.unlink()


def unpack_lfw(archive: Path, images: Path) -> None:
    """Write the central `LFW_CROP` pixels, where the face is, of each picture in the archive."""
    edge = (250 - LFW_CROP) // 2
    try:
        with tarfile.open(archive) as tar:
            for member in tqdm(tar, "LFW", unit=" files"):
                match = re.search(r"(\w[\w.-]*)/(\1_\d{4}\.jpg)$", member.name)
                if not (match and member.isfile() and member.size < 1_000_000):
                    continue
                with Image.open(io.BytesIO(tar.extractfile(member).read()), formats=["JPEG"]) as image:
                    centre = image.convert("RGB").crop((edge, edge, edge + LFW_CROP, edge + LFW_CROP))
                (images / match[1]).mkdir(parents=True, exist_ok=True)
                centre.save(images / match[1] / match[2], quality=95)
    except (tarfile.TarError, EOFError, SyntaxError):
        remedy = "remove it and run the same command again"
        raise UserError(f"{archive} is not a whole archive of pictures; {remedy}") from None


def fetch_pubfig(index: Path | None, out: Path) -> None:
    """Download PubFig's images by the index in `index`, or by its own, and print what became of them."""
    names = ("dev_urls.txt", "eval_urls.txt", "pubfig_attributes.txt")
    if index is None:
        index = out
        for name in names:
            download(KUMAR + name, out / name, limit=100_000_000)
    entries = pubfig.read_index(index / names[0]) + pubfig.read_index(index / names[1])
    print(pubfig.download_images(entries, out).to_string())
    print(f"{pubfig.join_attributes(index / names[2], out)} images have attributes")

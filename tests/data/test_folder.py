"""A folder of one's own: pictures, a table, and heads if there are any; what is wrong with it is said before
anything is made.
"""

import csv
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face.attributes import UNKNOWN, pubfig
from attr2face.cli.main import parse_words
from attr2face.data.database import FaceDatabase
from attr2face.data.describe import Wanted, describe_dataset
from attr2face.data.images import read_image
from attr2face.data.readers import read_faces
from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.steps import Steps
from attr2face.steps.photographs import read_photograph
from tests.conftest import SMALL, attr2face, says, succeed

PEOPLE, PICTURES = 12, 3
NAMES = ["Male", "Black Hair", "Blond Hair", "Eyeglasses", "Smiling"]
WANTED = Wanted(side=96, share=0.25, seed=1)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """Rendered faces of a dozen people, whose scores are signs in a CSV."""
    folder = tmp_path_factory.mktemp("mine") / "my faces"
    folder.mkdir()
    with (folder / "attributes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "person", *NAMES])
        for i in range(PEOPLE * PICTURES):
            picture = picture_of(5, i // PICTURES, i % PICTURES)
            Image.fromarray(render(picture, 96)).save(folder / f"{i:02d}.png")
            shown = [int(picture.scores[pubfig().index[name]] > 0) for name in NAMES]
            table.writerow([f"{i:02d}.png", f"person {i // PICTURES}", *shown])
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "my faces"))


def faces_of(folder: Path):
    return read_faces(folder, dataset_of(str(folder)))


def findings(folder: Path) -> list[str]:
    return [str(finding) for finding in describe_dataset(folder, dataset_of(str(folder)), WANTED)]


def edit(old: str, new: str, count: int = 1):
    def change(folder: Path) -> None:
        text = (folder / "attributes.csv").read_text()
        assert old in text
        (folder / "attributes.csv").write_text(text.replace(old, new, count))

    return change


def written(name: str, content: str | bytes):
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def column(name: str, values):
    """Add or replace a column."""

    def change(folder: Path) -> None:
        table = pd.read_csv(folder / "attributes.csv", dtype=str)
        table[name] = [str(values(i)) for i in range(len(table))]
        table.to_csv(folder / "attributes.csv", index=False)

    return change


def only_rows(number: int):
    def change(folder: Path) -> None:
        lines = (folder / "attributes.csv").read_text().splitlines(keepends=True)
        (folder / "attributes.csv").write_text("".join(lines[: 1 + number]))

    return change


def removed(name: str):
    return lambda folder: (folder / name).unlink()


# What is read.


def test_a_table_says_who_is_in_a_picture_and_what_it_shows(made):
    faces = faces_of(made)
    assert faces.paths[:2] == ["00.png", "01.png"]
    assert faces.people[2:4].tolist() == ["person 0", "person 1"]
    assert faces.attributes.names == tuple(NAMES)
    picture = picture_of(5, 1, 2)
    assert (faces.scores[5] > 0).tolist() == [picture.scores[pubfig().index[name]] > 0 for name in NAMES]


def test_zero_and_one_minus_one_and_one_and_scores_say_the_same(folder):
    present = faces_of(folder).scores > 0
    for scale in (lambda has: 2 * has - 1, lambda has: 0.7 * has - 0.2):
        for j, name in enumerate(NAMES):
            column(name, lambda i, j=j, scale=scale: scale(int(present[i, j])))(folder)
        assert ((faces_of(folder).scores > 0) == present).all()


def test_an_empty_cell_is_not_known_and_describe_says_of_how_many_pictures_it_is(folder):
    column("Smiling", lambda i: "" if i % 2 else int(i < 4))(folder)
    scores = faces_of(folder).scores
    assert np.isnan(scores[1::2, NAMES.index("Smiling")]).all()
    assert np.isnan(scores).sum() == PEOPLE * PICTURES / 2
    assert any("Smiling 11% of the 18 known" in finding for finding in findings(folder))


def test_zeros_beside_ones_and_minus_ones_are_what_the_user_says(folder, tmp_path):
    column("Smiling", lambda i: (-1, 0, 1)[i % 3])(folder)
    table, store = pd.read_csv(folder / "attributes.csv"), tmp_path / "store"
    datasets = {zeros: Steps({"dataset": folder, "zeros": zeros}, store) for zeros in ("unknown", "absent")}
    smiling = {z: read_faces(folder, steps.dataset).scores[:, -1] for z, steps in datasets.items()}
    assert (np.isnan(smiling["unknown"]) == (table["Smiling"] == 0)).all()
    assert (smiling["absent"] == table["Smiling"]).all()
    others = read_faces(folder, datasets["unknown"].dataset).scores[:, :-1]
    assert (others == table[NAMES[:-1]].to_numpy()).all(), "these are of 0 and 1"
    assert datasets["unknown"]["lmdb"].key != datasets["absent"]["lmdb"].key


def test_each_attribute_has_a_head_of_its_own_unless_there_is_a_table_of_heads(folder):
    assert [head.name for head in faces_of(folder).attributes.heads] == [
        "Male",
        "Black_Hair",
        "Blond_Hair",
        "Eyeglasses",
        "Smiling",
    ]
    written("heads.csv", "head,attributes\nhair,blond hair; Black_Hair\nsmile,Smiling\n")(folder)
    faces = faces_of(folder)
    assert faces.attributes.names == ("blond hair", "Black_Hair", "Smiling")
    table = pd.read_csv(folder / "attributes.csv")
    assert (faces.scores == table[["Blond Hair", "Black Hair", "Smiling"]].to_numpy()).all()
    with pytest.raises(UserError, match="exclude each other"):
        faces.attributes.parse("Black Hair, Blond Hair")
    assert (
        "note: heads.csv leaves out the columns Male, Eyeglasses; add them to a head if they are to be used"
        in findings(folder)
    )


def test_a_table_may_be_separated_by_tabs_and_name_its_columns_in_any_case(folder):
    faces = faces_of(folder)
    table = (folder / "attributes.csv").read_text().replace(",", "\t").replace("file\tperson", "FILE\tPerson")
    (folder / "attributes.csv").unlink()
    written("attributes.tsv", "\ufeff" + table)(folder)
    assert (faces_of(folder).scores == faces.scores).all()
    assert (faces_of(folder).people == faces.people).all()


def test_without_people_each_picture_is_a_person_and_given_splits_are_used(folder):
    table = pd.read_csv(folder / "attributes.csv").drop(columns="person")
    table["split"] = ["train"] * 24 + ["val"] * 6 + ["test"] * 6
    table.to_csv(folder / "attributes.csv", index=False)
    faces = faces_of(folder)
    assert len(set(faces.people)) == PEOPLE * PICTURES
    assert [int((faces.split == name).sum()) for name in ("train", "val", "test")] == [24, 6, 6]


def test_the_middle_of_a_picture_is_used_upright(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned to the left
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "a.png", exif=exif)
    assert (read_image(tmp_path / "a.png", 8, "square") == pixels[:, 2:10]).all()


def test_what_is_not_known_is_filled_by_the_net_and_only_where_there_are_blanks(folder, weights, tmp_path):
    small = {**SMALL, "dataset": str(folder), "weights": weights, "epochs": 1, "judge_share": 0.05}
    assert Steps(small, tmp_path)["blanks"] is None
    column("Smiling", lambda i: "" if i % 2 else int(i < 20))(folder)
    steps = Steps(small, tmp_path)
    database = FaceDatabase.open(steps.made("lmdb"))
    assert database.classes_left.all(), "each head is known, or nothing of it"
    filled = np.load(steps.made("filled") / "filled.npy")
    known = ~np.isnan(database.scores)
    assert (filled[known] == database.positive[known]).all()
    assert 0.25 < (~known[:, -1]).mean() < 0.75
    assert ((filled[~known] > 0) & (filled[~known] < 1)).all()
    with h5py.File(steps.made("activations") / "activations.h5") as file:
        assert (file["has"][:] == filled).all()
    table = pd.read_csv(steps["filled"].path / "filled.csv", index_col="attribute")
    assert table.loc["Smiling", "known"] == pytest.approx(known[:, -1].mean(), abs=1e-4)


def test_a_net_learns_from_heads_that_are_known_in_part(folder, weights, tmp_path):
    """All who do not smile are known for it, and nobody says whether they frown."""
    column("Frowning", lambda i: "" if i % 2 else 0)(folder)
    column("Smiling", lambda i: int(i % 2 == 0))(folder)
    written("heads.csv", "head,attributes\nmouth,Smiling; Frowning\nsex,Male\n")(folder)
    small = {**SMALL, "dataset": str(folder), "weights": weights, "judge_share": 0.05, "epochs": 30}
    read = {}
    for cache in (False, True):
        steps = Steps(small | {"freeze": "fc6", "cache": cache}, tmp_path)
        database = FaceDatabase.open(steps.made("lmdb"))
        train, smiling = database.rows("train"), database.attributes.index["Smiling"]
        read[cache] = np.load(steps.made("scores") / "probability.npy")[train, smiling]
        assert np.isin(database.labels[train, 0], (1, UNKNOWN)).all()
        assert 0.3 < read[cache].mean() < 0.7, "the labels alone say that everybody smiles"


# From the folder to a face.


def test_a_folder_becomes_a_face(made, weights, tmp_path):
    small = {**SMALL, "dataset": str(made), "weights": weights, "epochs": 1}
    printed = succeed(
        "generate", "Male,!Smiling,Black Hair:1.5", store=tmp_path, out=tmp_path / "face.png", **small
    )
    assert re.findall(r"^(Male|Black Hair|Smiling) ", printed, re.M) == ["Male", "Black Hair", "Smiling"]
    with Image.open(tmp_path / "face.png") as face:
        assert face.size == (256, 256)
    database = FaceDatabase.open(Steps(small, tmp_path).made("lmdb"))
    assert database.attributes == faces_of(made).attributes
    says(
        attr2face("generate", "Bald", store=tmp_path, **small), "unknown attribute 'Bald'; did you mean Male"
    )


def test_the_usual_request_is_of_the_folders_own_attributes(folder, tmp_path):
    assert parse_words(["generate", f"DATASET={folder}", f"STORE={tmp_path}"]).sets == [
        ["Male", "Smiling", "Eyeglasses"]
    ]
    edit("Male,Black Hair,Blond Hair,Eyeglasses,Smiling", "a,b,c,d,e")(folder)
    assert parse_words(["generate", f"DATASET={folder}", f"STORE={tmp_path}"]).sets == [["a", "b"]]


def test_a_changed_folder_is_another_dataset(folder, tmp_path):
    """What the table does not list is not read, and makes no difference."""
    key = Steps({"dataset": str(folder)}, tmp_path)["lmdb"].key
    written("notes.txt", "mine")(folder)
    written("unlisted.png", "mine")(folder)
    assert Steps({"dataset": str(folder)}, tmp_path)["lmdb"].key == key
    keys = {key}
    for change in (
        lambda folder: shutil.copy(folder / "04.png", folder / "03.png"),
        edit("Smiling", "Grinning"),
        written("heads.csv", "head,attributes\nhair,Black Hair; Blond Hair\n"),
        only_rows(30),
    ):
        change(folder)
        keys.add(Steps({"dataset": str(folder)}, tmp_path)["lmdb"].key)
    assert len(keys) == 5


def test_a_renamed_folder_is_the_same_dataset(folder, tmp_path):
    before = Steps({"dataset": folder}, tmp_path)["lmdb"].path
    assert Steps({"dataset": folder.rename(tmp_path / "renamed")}, tmp_path)["lmdb"].path == before


def test_a_folder_is_named_by_its_path_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    here = Steps({"dataset": "./my faces"}, tmp_path)
    assert here["lmdb"].key == Steps({"dataset": folder}, tmp_path)["lmdb"].key
    assert here["lmdb"].path.parent.name == "folder-mini"
    with pytest.raises(UserError, match=r"DATASET=faces is unknown; choose .* or a folder, such as ./faces"):
        Steps({"dataset": "faces"}, tmp_path)


def test_a_photograph_is_cut_out_as_the_pictures_of_the_folder_are(folder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 144, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "me.png")
    steps = Steps({"dataset": str(folder), "photo": tmp_path / "me.png"}, tmp_path / "store")
    assert (read_photograph(steps["photo"].made(), steps.view("inverted")) == pixels[:, 24:120]).all()
    assert steps["inverted"].settings["dataset"]["crop"] == "square"
    rendered = Steps({"photo": tmp_path / "me.png"}, tmp_path / "store")
    whole = read_photograph(rendered["photo"].made(), rendered.view("inverted"))
    assert (whole == read_image(tmp_path / "me.png", 92)).all()
    assert rendered["inverted"].settings["dataset"]["crop"] != "square"


# What is wrong with it.

BROKEN = {
    "no table": (removed("attributes.csv"), "attributes.csv does not exist; a folder of faces needs it"),
    "two tables": (
        written("attributes.tsv", "file\tMale\n"),
        "has attributes.csv and attributes.tsv; remove or rename one",
    ),
    "a table in another encoding": (
        written("attributes.csv", "file,Größe\n".encode("utf-16")),
        "is not a UTF-8 text",
    ),
    "an empty table": (written("attributes.csv", ""), "has no column file in its first line"),
    "semicolons": (edit(",", ";", -1), "call the column of pictures so, with commas between columns"),
    "no column of pictures": (edit("file,", "name,"), "has no column file"),
    "no attribute": (
        written("attributes.csv", "file,person\n00.png,Ada\n"),
        "has no attribute in its first line",
    ),
    "a column twice": (edit("Smiling", "male"), "has the column 'male' twice"),
    "a column without a name": (edit("Eyeglasses", ""), "column 6 has no name"),
    "a name that a request could not have": (edit("Eyeglasses", "a:b"), "attribute 'a:b' cannot be a name"),
    "a number for a name": (edit("Eyeglasses", "12"), "head 12 has a number for a name"),
    "an unclosed quotation mark": (edit("01.png,", '"01.png,'), "line 37: 1 cells, but 7 columns"),
    "no rows": (only_rows(0), "lists no picture"),
    "a row that is too short": (edit("02.png,person 0,", "02.png,"), "line 4: 6 cells, but 7 columns"),
    "a row twice": (edit("02.png", "./01.png"), "line 4: 01.png is in line 3, too"),
    "a row without a picture": (edit("02.png", ""), "line 4: '' is no file in the folder"),
    "a picture elsewhere": (edit("02.png", "../02.png"), "line 4: '../02.png' is no file in the folder"),
    "a picture by its absolute path": (
        edit("02.png", "/02.png"),
        "line 4: '/02.png' is no file in the folder",
    ),
    "a missing picture": (removed("02.png"), "02.png does not exist"),
    "a page in place of a picture": (written("02.png", "<html>"), "02.png is not a readable image"),
    "half a picture": (
        lambda folder: (folder / "02.png").write_bytes((folder / "02.png").read_bytes()[:900]),
        "02.png is not a readable",
    ),
    "an empty picture": (written("02.png", ""), "02.png is not a readable image"),
    "a row without a person": (
        edit("02.png,person 0", "02.png,"),
        "line 4: no person; name whom the picture shows",
    ),
    "a word for a score": (
        column("Smiling", lambda i: "yes" if i == 2 else 1),
        "line 4: 'yes' is no score of Smiling; write 0 or 1",
    ),
    "a column of blanks": (
        column("Smiling", lambda i: ""),
        "nothing is known of Smiling",
    ),
    "zeros beside ones and minus ones": (
        column("Smiling", lambda i: (-1, 0, 1)[i % 3]),
        "12 cells of Smiling are 0, beside -1 and 1; set ZEROS=unknown if nobody knows of these, or ZEROS=ab",
    ),
    "a score that is no number": (
        column("Smiling", lambda i: "nan" if i == 2 else 1),
        "line 4: 'nan' is no score of Smiling",
    ),
    "a score out of range": (
        column("Smiling", lambda i: 1e9 if i == 2 else -1),
        "line 4: '1000000000.0' is no score of Smiling",
    ),
    "probabilities": (
        column("Smiling", lambda i: i / 35),
        "the scores of Smiling go from 0 to 1, and none is below 0",
    ),
    "an unknown split": (
        column("split", lambda i: "dev"),
        "line 2: 'dev' is no split; write train, val, test",
    ),
    "nobody for training": (column("split", lambda i: "test"), "no row has the split train"),
    "a person in two splits": (
        column("split", lambda i: "val" if i == 2 else "train"),
        "person 0 is in the splits train and val",
    ),
    "a table of heads without its columns": (
        written("heads.csv", "Male\nSmiling\n"),
        "heads.csv is no table of heads",
    ),
    "a folder for a table of heads": (
        lambda folder: (folder / "heads.csv").mkdir(),
        "heads.csv is no table of heads",
    ),
    "a head of an unknown attribute": (
        written("heads.csv", "head,attributes\nsex,Female\n"),
        "'Female', which is no column",
    ),
    "a head of no attribute": (
        written("heads.csv", "head,attributes\nwho,person\n"),
        "has the attribute 'person', which is no column",
    ),
    "heads with numbers": (
        written("heads.csv", "head,attributes\n1,Male\n"),
        "head 1 has a number for a name",
    ),
    "an attribute in two heads": (
        written("heads.csv", "head,attributes\na,Male\nb,Male\n"),
        "has the attribute 'male' twice",
    ),
}


@pytest.mark.parametrize(("change", "part"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_one_sentence_and_nothing_is_written(folder, tmp_path, change, part):
    change(folder)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    store = tmp_path / "store"
    with pytest.raises(UserError) as raised:
        Steps({"dataset": folder, "judge_share": 0.05}, store).made("lmdb")
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not [
        path for path in store.rglob("*") if path.is_file() and path.parent.name not in (".locks", ".hashes")
    ]
    assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before
    try:
        said = findings(folder)
    except UserError as error:
        said = [f"error: {error}"]
    assert any(line.startswith("error: ") and part in line for line in said), said


def test_describe_ends_with_status_0_or_2(folder, tmp_path):
    printed = succeed("describe", folder, store=tmp_path)
    assert "36 pictures of 12 people; Male " in printed
    assert (
        printed.splitlines()[-1]
        == f"{folder} can be used: make generate 'DATASET={folder}' ATTRS=Male,Smiling,Eyeglasses"
    )
    for i in (3, 4):
        (folder / f"{i:02d}.png").unlink()
    edit("20.png", "../20.png")(folder)
    done = attr2face("describe", dataset=folder, store=tmp_path)
    says(done, f"{folder} cannot be used as it is; mend the errors above (3)")
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert [part in line for part, line in zip(("../20.png", "03.png", "04.png"), errors, strict=True)] == [
        True
    ] * 3


def test_describe_refuses_what_has_no_effect(folder, tmp_path):
    assert (
        parse_words(["describe", str(folder), f"DATASET={folder}", f"STORE={tmp_path}"]).steps.dataset.root
        == folder
    )
    for words, part in (
        ([str(folder), "DATASET=lfw"], "DATASET=lfw cannot be described at once"),
        ([str(folder), "OUT=a.png"], "OUT=a.png has no effect on describe"),
        ([str(folder), "N=2"], "N=2 has no effect on describe"),
    ):
        with pytest.raises(UserError, match=part):
            parse_words(["describe", *words, f"STORE={tmp_path}"])


def test_describe_tells_what_is_odd_but_can_be_used(folder):
    shutil.copy(folder / "04.png", folder / "05.png")
    shutil.copy(folder / "04.png", folder / "30.png")
    Image.new("RGB", (40, 40)).save(folder / "07.png")
    Image.new("RGB", (200, 100)).save(folder / "08.png")
    column("Bearded", lambda i: 0)(folder)
    column("Tall", lambda i: int(i != 3))(folder)
    column("Grey Hair", lambda i: 1)(folder)
    written("heads.csv", "head,attributes\ntall,Tall\nbeard,Bearded\nhair,Male; Grey Hair\n")(folder)
    said = findings(folder)
    assert all(line.startswith("note: ") for line in said)
    for part in (
        "05.png is the same picture as 04.png; remove one of the two rows",
        "30.png is the same picture as 04.png under another person's name (person 10 and person 1); remove",
        "1 of 36 pictures, such as 07.png (40 x 40), are less than 96 pixels wide",
        "1 of 36 pictures, such as 08.png (200 x 100), are cut to the square in their middle",
        "no picture shows Bearded; add others, or leave the attribute out",
        "every picture shows Grey Hair",
        "only 1 of 36 pictures do not show Tall",
        "show more than one of Male, Grey Hair",
    ):
        assert any(part in line for line in said), part


def test_describe_shows_a_few_of_many_errors_of_a_kind(folder):
    column("Smiling", lambda i: "yes")(folder)
    said = findings(folder)
    assert [line.partition("line ")[2][:1] for line in said[:5]] == ["2", "3", "4", "5", "6"]
    assert said[5] == "error: and 31 more like these"


def test_other_datasets_are_described_too(steps):
    said = [
        str(finding) for finding in describe_dataset(steps.made("faces"), dataset_of("synthetic"), WANTED)
    ]
    assert said[0].startswith("note: 48 pictures of 8 people; Male ")

"""200,000 pictures, about as many as CelebA has: lists, labels and splits take little memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attr2face.datasets import dataset_of

ROWS, BLOCK, MOST_MEMORY = 200_000, 1000, 600  # MB, of which Python and its packages take about 100
NAMES = dataset_of("celeba").attributes.names

READING = r"""
import re, sys
from pathlib import Path
import numpy as np
from attr2face.data.celeba import read_scores
from attr2face.data.faces import Faces, divided_by_person, split_by_person
from attr2face.data.folder import read_rows
from attr2face.datasets import dataset_of
from attr2face.table import Table

folder, celeba = Path(sys.argv[1]), dataset_of("celeba")
if (folder / "attributes.csv").exists():
    dataset = dataset_of(str(folder))
    rows, wrong = read_rows(Table.open(folder / "attributes.csv"), dataset.attributes)
    faces = rows.faces(folder, dataset)
    assert not wrong
else:
    names, scores = read_scores(folder / "list_attr_celeba.txt", celeba)
    faces = Faces(folder, names, np.array(names), scores, celeba.attributes)
nets, judges = divided_by_person(faces, 0.25, 1)
labels = nets.attributes.class_labels(nets.scores, np.random.default_rng(1))
print(len(faces.paths), (split_by_person(nets.people, 1) == "train").sum(), len(labels), len(judges.paths))
# The most memory of this program alone; resource.getrusage counts that of the process that started it, too.
print(int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def write_celeba(folder: Path, shown: list[list[str]]) -> None:
    with (folder / "list_attr_celeba.txt").open("w") as file:
        file.write(f"{ROWS}\n{' '.join(NAMES)}\n")
        file.writelines(f"{i:06d}.jpg {' '.join(shown[i % BLOCK])}\n" for i in range(ROWS))


def write_table(folder: Path, shown: list[list[str]]) -> None:
    with (folder / "attributes.csv").open("w") as file:
        file.write(f"file,person,{','.join(NAMES)}\n")
        file.writelines(
            f"pictures/{i:06d}.jpg,person {i},{','.join(shown[i % BLOCK])}\n" for i in range(ROWS)
        )


@pytest.mark.parametrize("write", [write_celeba, write_table])
def test_two_hundred_thousand_rows_are_read_in_little_memory(tmp_path, write):
    write(tmp_path, np.random.default_rng(0).choice(["1", "-1"], (BLOCK, len(NAMES))).tolist())
    done = subprocess.run([sys.executable, "-c", READING, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts, memory = done.stdout.splitlines()
    assert counts == f"{ROWS} {round(0.6 * ROWS)} {round(0.75 * ROWS)} {round(0.25 * ROWS)}"
    assert int(memory) < MOST_MEMORY

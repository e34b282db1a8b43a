"""The pipeline from top to bottom: faces, LMDBs, nets, activations, mixture, eigenfaces, generator, pictures,
judgement.

Each step names its inputs, its settings and the function that does the work. It is an `Artefact` of the
store, which is made when `made()` is called for the first time. Functions are imported where they are used,
so that what is already made is found without loading Caffe.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face import settings as conf
from attr2face.attributes import Attributes, bare, file_name, pubfig
from attr2face.cluster import Cluster, cards_here
from attr2face.datasets import Dataset, dataset_of
from attr2face.descriptions import read_description
from attr2face.errors import UserError
from attr2face.generation.presets import needed, preset_at
from attr2face.models import JUDGE, VGG
from attr2face.parallel import Machine, map_in_order
from attr2face.settings import Settings
from attr2face.store import Artefact, Part, Source, Store
from attr2face.user_nets import UserNet, model_of

if TYPE_CHECKING:
    import numpy as np

    from attr2face.data.database import FaceDatabase
    from attr2face.evaluation.measures import Judges
    from attr2face.generation.faces import Trained

CHECKOUT = Path(__file__).parents[2]
RENDERED = dataset_of("synthetic")
PAPERS = {
    "class visualisation": conf.Generation(target="classes", preset="pixels"),
    "paper": conf.Generation(target="paper", preset="pixels"),
}
BUNDLE = Path(__file__).with_name("zoo") / "mini" / "default.h5"  # the committed nets for rendered faces
# Rows of the comparison that are no methods of the table.
RESERVED = {"mean face", "photographs", "photographs of others"}
PRETRAINING_SEED, JUDGE_SEED = 1000, 2000  # added to SEED for people, and for training, of their own
INVERTED_LAYERS = ("conv3_3", "conv4_3", "conv5_3", "fc6", "fc7")
# Presets: the project's, the paper's, and others' to compare with.
INVERTING = ("photograph", "pixels", "icnn", "mahendran")
# Of a stage whose code gives another output for the same settings than before. To be raised with the code.
VERSIONS = {"diagnosis": 2, "generator": 5}

# Settings that have no influence on what is trained.
AFTER_TRAINING = {
    f.name for group in (conf.Generation, conf.Judging, conf.Evaluation) for f in dataclasses.fields(group)
}
AFTER_TRAINING |= {"train", "photo", "activations", "grid"}
# Without influence on what learns from rendered faces.
OF_PHOTOGRAPHS = {f.name for f in dataclasses.fields(conf.Alignment)} | {
    "lfw_root",
    "pubfig_root",
    "celeba_root",
}

Input = Artefact | Part | Source
Inputs = Mapping[str, Input]


def default_store() -> Path:
    """The store of the checkout that the package is used from; otherwise a folder where the command is run."""
    return (
        CHECKOUT / "data" / "store"
        if (CHECKOUT / "Makefile").exists()
        else Path("attr2face-store").absolute()
    )


def machine(gpu: str, workers: int, cluster: Cluster | None = None) -> Machine:
    """The machine that GPU, WORKERS and SCHEDULER name; Caffe runs here on the first of its cards from now
    on.
    """
    if not gpu:
        return Machine(workers, cluster=cluster)
    if cluster and cluster.local:
        raise UserError(
            f"SCHEDULER={cluster.scheduler} starts workers without cards; GPU={gpu} alone uses the cards of this machine"
        )
    from attr2face.network.devices import parse_cards
    from attr2face.pycaffe import use_card

    cards = parse_cards(gpu)
    use_card(cards[0])
    return Machine(workers, cards, cluster=cluster)


def cluster_of(scheduler: str, ship: object, store: Path | None) -> Cluster | None:
    """The cluster that SCHEDULER and SHIP name; none where SCHEDULER is empty."""
    return Cluster(scheduler, (store or default_store()).absolute(), conf.switch(ship)) if scheduler else None


class Steps:
    """All steps for one set of settings.

    Parameters
    ----------
    given : mapping
        Settings by name, as text or as values; the others have their defaults.
    store : Path, optional
        Where artefacts are kept.
    machine : Machine, optional
        What computes.
    """

    def __init__(
        self, given: Mapping[str, object], store: Path | None = None, machine: Machine | None = None
    ) -> None:
        self.settings: Settings = conf.resolve(given)
        values = conf.as_dict(self.settings)
        named = (conf.RENAMED.get(name, name) for name in given)
        self.given = {name: conf.as_text(values[name]) for name in named}
        self.dataset = dataset_of(self.settings.dataset)
        self.model = model_of(self.settings.model, self.settings.mean)
        self.store = Store(store or default_store())
        self.machine = replace(machine or Machine(), single_thread=self.model.single_thread)
        # Depths that are cached in the same pass over the images.
        self.cached_together = [self.settings.finetuning.freeze]

    def varied(self, **given: object) -> Steps:
        """The steps of the same store with some other settings."""
        return Steps({**self.given, **given}, self.store.root, self.machine)

    # Data.

    @property
    def attributes(self) -> Attributes:
        """What pictures of the dataset may show."""
        return self.dataset.attributes

    @functools.cached_property
    def faces(self) -> Input:
        """Pictures of faces and the scores of their attributes: rendered, downloaded or the user's own."""
        s = self.settings
        if self.dataset.rendered:
            return self._rendered("faces", s.rendering, s.seed, asdict(s.rendering))
        if s.dataset == "pubfig":
            return self._pubfig()
        if s.dataset == "celeba":
            return self._celeba()
        if self.dataset.root:
            return self._folder(self.dataset.root)
        if s.lfw_root:
            remedy = (
                "set LFW_ROOT to the folder with lfw_attributes.txt and lfw/, or leave it out to download LFW"
            )
            return self._source(s.lfw_root, remedy, self.dataset.parts(s.lfw_root))

        def download(out: Path) -> None:
            from attr2face.data.sources import fetch_lfw

            fetch_lfw(out)

        return self._step("faces", download, {}, {}, resumable=True)

    def _pubfig(self) -> Artefact:
        root = self.settings.pubfig_root

        def download(out: Path) -> None:
            from attr2face.data.sources import fetch_pubfig

            fetch_pubfig(root, out)

        parts = ("dev_urls.txt", "eval_urls.txt", "pubfig_attributes.txt")
        inputs = (
            {"index": self._source(root, "set PUBFIG_ROOT to the folder with PubFig's index files", parts)}
            if root
            else {}
        )
        return self._step("faces", download, {}, inputs, resumable=True)

    def _celeba(self) -> Source:
        root = self.settings.celeba_root
        remedy = "set CELEBA_ROOT to the folder with img_align_celeba.zip and list_attr_celeba.txt"
        if not root:
            raise UserError(f"there is no download for DATASET=celeba; {remedy}")
        return self._source(root, remedy, self.dataset.parts(root))

    def _folder(self, root: Path) -> Source:
        from attr2face.data.folder import files_of

        return self._source(
            root, "the table of the folder lists it; restore it or remove its row", files_of(self.dataset)
        )

    def _rendered(
        self, stage: str, rendering: conf.Rendering, seed: int, settings: Mapping[str, object]
    ) -> Artefact:
        """Rendered faces; `settings` are those of `rendering` that the user may change."""

        def render(out: Path) -> None:
            from attr2face.data.render.dataset import render_dataset

            render_dataset(rendering, seed, out, self.machine)

        tables = {name: self._table(name) for name in ("heads", "frequencies", "correlations")}
        return self._step(stage, render, {**settings, "seed": self.settings.seed}, tables)

    @functools.cached_property
    def landmarks(self) -> Artefact:
        """Eyes, and perhaps nose and corners of the mouth, of all photographs: from a table, or found in the
        pictures.
        """
        if self.dataset.rendered:
            raise UserError(
                "rendered faces are drawn in place; choose photographs, such as DATASET=lfw, to align them"
            )
        faces, table = self.faces, self._table_of_landmarks

        def find(out: Path) -> None:
            from attr2face.data.landmarks import find_landmarks, landmarks_in, write_found
            from attr2face.data.readers import read_faces

            shown = read_faces(faces.path, self.dataset)
            found = (
                landmarks_in(table.path, shown)
                if table
                else find_landmarks(shown, self._finder(), self.machine, out)
            )
            write_found(shown, found, out)

        inputs = {"faces": faces, **({"table": table} if table else self._detector)}
        return self._step(
            "landmarks", find, {"align": True, "eyes": self.dataset.eyes}, inputs, resumable=True
        )

    @property
    def _table_of_landmarks(self) -> Source | None:
        """The user's own table, or the one that comes with the dataset if no detector is named."""
        given, faces = self.settings.alignment, self.faces
        if given.landmarks:
            return self._source(given.landmarks, "set LANDMARKS to a table of landmarks")
        published = (
            self.dataset.found(faces.path, "landmarks")
            if self.dataset.landmarks and not given.detector
            else None
        )
        return self._source(published, "restore it") if published and published.exists() else None

    @property
    def _detector(self) -> dict[str, Input]:
        """The files of the nets that look for landmarks, if a user names some."""
        folder = self.settings.alignment.detector
        remedy = "set DETECTOR to a folder with MTCNN's nets, or leave it out to look for eyes without a net"
        names = [f"det{k}.{kind}" for k in (1, 2, 3) for kind in ("prototxt", "caffemodel")]
        return {"detector": self._source(folder, remedy, tuple(names))} if folder else {}

    def _finder(self) -> Callable[[np.ndarray], np.ndarray]:
        """What looks for the landmarks of a face in a picture."""
        from attr2face.data.eyes import find_eyes
        from attr2face.network.mtcnn import checked_nets, find_face

        folder = self.settings.alignment.detector
        if not folder:
            return find_eyes
        checked_nets(folder)
        return functools.partial(find_face, folder)

    @functools.cached_property
    def photograph(self) -> Source | Artefact:
        """The user's own photograph PHOTO, as it is or aligned."""
        s = self.settings
        photo = self._source(s.photo, "set PHOTO to a picture")
        if not s.alignment.align:
            return photo

        def align(out: Path) -> None:
            from attr2face.data.alignment import Frame
            from attr2face.data.landmarks import align_photograph

            frame = Frame(self.dataset.eyes, self.model.crop, s.database.margin)
            align_photograph(s.photo, self._finder(), frame, s.alignment.unaligned, out / "photograph.png")

        settings = {
            "align": True,
            "unaligned": s.alignment.unaligned,
            "eyes": self.dataset.eyes,
            "margin": s.database.margin,
        }
        settings |= {"crop": self.model.crop, "upright": True}
        return self._step("photograph", align, settings, {"photo": photo, **self._detector})

    def read_photograph(self) -> np.ndarray:
        """The photograph, as large as the pictures of the LMDBs: (side, side, 3) uint8.

        Raises
        ------
        UserError
            If it does not exist, cannot be read, or shows no eyes where these are wanted.
        """
        from attr2face.data.images import read_image

        path = self.photograph.made()
        path = path / "photograph.png" if isinstance(self.photograph, Artefact) else path
        return read_image(
            path, self.model.crop + self.settings.database.margin, self._reading.get("crop", ())
        )

    @property
    def _reading(self) -> dict[str, object]:
        """How a photograph is read: cut out as pictures of a folder are. What is cut out of CelebA's pictures
        depends on their size.
        """
        return {"upright": True} | ({"crop": "square"} if self.dataset.crop == "square" else {})

    @functools.cached_property
    def lmdb(self) -> Artefact:
        """Images and labels of each split for Caffe, cut to the size of the model. Nobody whom the judges
        learn from is in it.
        """
        return self._lmdb(self.faces, self.dataset, "nets")

    @functools.cached_property
    def judge_lmdb(self) -> Artefact:
        """Images and labels for the judges: other rendered people, or those people of photographs who are
        kept for them.
        """
        s, given = self.settings, self.settings.judging
        if not self.dataset.rendered:
            return self._lmdb(self.faces, self.dataset, "judges")
        rendering = conf.Rendering(given.judge_people, given.judge_pictures, s.rendering.size)
        shown = {
            "judge_people": rendering.people,
            "judge_pictures": rendering.pictures,
            "size": rendering.size,
        }
        return self._lmdb(
            self._rendered("judge-faces", rendering, s.seed + JUDGE_SEED, shown), RENDERED, "judges"
        )

    def _lmdb(self, faces: Input, dataset: Dataset, of: str) -> Artefact:
        """LMDBs of some faces; of photographs, those of the people whom nets learn from, or judges, as `of`
        says.
        """
        s, share = self.settings, self.settings.judging.judge_share
        landmarks = self.landmarks if s.alignment.align and not dataset.rendered else None

        def build(out: Path) -> None:
            from attr2face.data.faces import divided_by_person
            from attr2face.data.landmarks import with_landmarks
            from attr2face.data.lmdbs import build_lmdbs
            from attr2face.data.readers import read_faces

            if of == "nets":
                self.check_net()
            found = read_faces(faces.path, dataset)
            if landmarks:
                found = with_landmarks(found, landmarks.path / "landmarks.csv", s.alignment.unaligned)
            if not dataset.rendered:
                found = divided_by_person(found, share, s.seed)[of == "judges"]
            build_lmdbs(found, self.model, s.database, s.seed, out, self.machine)

        settings = {**asdict(s.database), "model": self.model.body, "dataset": dataset.name, "seed": s.seed}
        if not dataset.rendered:
            settings |= {"judge_share": share, "of": of} | ({"crop": dataset.crop} if dataset.crop else {})
        # A folder of the user's own has its table of heads, if any, among its files.
        inputs = (
            {"faces": faces}
            if dataset.root
            else {"faces": faces, "heads": self._source(dataset.table, "restore it")}
        )
        if landmarks:
            settings |= {"align": True, "unaligned": s.alignment.unaligned, "eyes": dataset.eyes}
            inputs["landmarks"] = landmarks
        return self._step("lmdb", build, settings, inputs, resumable=True)

    # Nets.

    @functools.cached_property
    def pretrained(self) -> Artefact:
        """Mini, trained to tell other rendered people apart, of whom there are more pictures each."""
        self.check_vgg("pretrain")
        s, given = self.settings, self.settings.pretraining
        rendering = conf.Rendering(given.pretrain_people, given.pretrain_pictures, s.rendering.size)
        shown = {
            "pretrain_people": rendering.people,
            "pretrain_pictures": rendering.pictures,
            "size": rendering.size,
        }
        lmdb = self._lmdb(
            self._rendered("pretraining-faces", rendering, s.seed + PRETRAINING_SEED, shown), RENDERED, "nets"
        )

        def train(out: Path) -> None:
            from attr2face.network.finetuning import pretrain

            pretrain(database_of(lmdb), given, s.training_seed, out, self.machine)

        settings = {
            "pretrain_epochs": given.pretrain_epochs,
            "pretrain_rate": given.pretrain_rate,
            **self._drawn,
        }
        return self._step("pretrained", train, settings, {"lmdb": lmdb}, resumable=True)

    @functools.cached_property
    def start(self) -> Input:
        """The weights that finetuning starts from: the user's, VGG-Face's, or mini's.

        Mini has learned identities of rendered people; for photographs, it was then finetuned on rendered
        faces.
        """
        s = self.settings
        if s.weights:
            return self._source(s.weights, "set WEIGHTS to a .caffemodel, or leave it out")
        if isinstance(self.model, UserNet):
            if not self.model.weights:
                raise UserError(f"MODEL={s.model} does not name its weights; set WEIGHTS to its .caffemodel")
            return self._source(self.model.weights, f"mend the path in {s.model}")
        if s.model == "vgg_face":
            return self._source(self.vgg_face, "make weights downloads it, or set WEIGHTS to yours")
        if self.dataset.rendered:
            return self.pretrained
        return Steps({**self._of_model, **self._drawn}, self.store.root, self.machine).finetuned

    def check_net(self) -> None:
        """Raise a UserError for a net of the user's that Caffe cannot run, or whose weights are of another."""
        if isinstance(self.model, UserNet):
            from attr2face.network.user_layers import check_net

            check_net(self.model, weights_of(self.start))

    @property
    def vgg_face(self) -> Path:
        """Where `make weights` writes VGG-Face's published weights."""
        folder = CHECKOUT / "models" / "vgg_face"
        return (folder if folder.exists() else self.store.root / "vgg_face") / "VGG_FACE.caffemodel"

    @functools.cached_property
    def frozen_cache(self) -> Part:
        """Output of the frozen layers for training and validation images. Its key does not tell which depths
        are cached together.
        """
        freeze = self.settings.finetuning.freeze
        return Part(self._caches(self.cached_together), freeze, self._caches([freeze]).key)

    def _caches(self, depths: list[str]) -> Artefact:
        """The same for several depths, by one pass over the images."""
        s = self.settings
        for depth in depths:
            conf.check_cacheable(depth, self.model.stages)

        def build(out: Path) -> None:
            from attr2face.network.frozen import Frozen, build_cache

            start = weights_of(self.start)
            build_cache(
                Frozen(self.lmdb.path, start, depths, s.finetuning.cache_crops, s.training_seed),
                out,
                self.machine,
            )

        settings = {"depths": depths, "cache_crops": s.finetuning.cache_crops, **self._drawn}
        return self._step("cache", build, settings, {"lmdb": self.lmdb, "start": self.start}, resumable=True)

    @functools.cached_property
    def finetuned(self) -> Artefact:
        """The net with the heads of the dataset."""
        s, cached = self.settings, self.settings.finetuning.cache

        def train(out: Path) -> None:
            from attr2face.network.finetuning import Start, finetune

            start = Start(weights_of(self.start), self.frozen_cache.path if cached else None)
            finetune(database_of(self.lmdb), start, s.finetuning, s.training_seed, out, self.machine)

        inputs = {"lmdb": self.lmdb, "start": self.start} | ({"cache": self.frozen_cache} if cached else {})
        settings = {name: value for name, value in asdict(s.finetuning).items() if name != "cache_crops"}
        return self._step("finetuned", train, {**settings, **self._drawn}, inputs, resumable=True)

    @functools.cached_property
    def scores(self) -> Artefact:
        """How well the net reads attributes of each split."""

        def measure(out: Path) -> None:
            from attr2face.evaluation.scores import write_scores

            write_scores(database_of(self.lmdb), weights_of(self.finetuned), out, self.machine)

        return self._step("scores", measure, {}, {"lmdb": self.lmdb, "net": self.finetuned})

    # The cGMM, eigenfaces and the generator.

    @functools.cached_property
    def activations(self) -> Artefact:
        """Activations of one layer for all images."""
        layer = self.settings.layer

        def run(out: Path) -> None:
            from attr2face.network.extraction import extract

            extract(database_of(self.lmdb), weights_of(self.finetuned), layer, out, self.machine)

        return self._step(
            "activations", run, {"layer": layer}, {"lmdb": self.lmdb, "net": self.finetuned}, resumable=True
        )

    @functools.cached_property
    def mixture(self) -> Artefact:
        """A Gaussian per attribute, and their weights."""
        s = self.settings

        def fit(out: Path) -> None:
            from attr2face.cgmm.fitting import write_fit

            write_fit(self.activations.path / "activations.h5", s.mixture, s.training_seed, out, self.machine)

        settings = {**asdict(s.mixture), **self._drawn}
        return self._step("cgmm", fit, settings, {"activations": self.activations}, resumable=True)

    @functools.cached_property
    def eigenfaces(self) -> Artefact:
        """Principal components of the training people's pictures."""
        s = self.settings

        def compute(out: Path) -> None:
            from attr2face.generation.eigenfaces import write_eigenfaces

            write_eigenfaces(database_of(self.lmdb), s.eigenface_basis, s.training_seed, out)

        return self._step(
            "eigenfaces", compute, {**asdict(s.eigenface_basis), **self._drawn}, {"lmdb": self.lmdb}
        )

    @functools.cached_property
    def generator(self) -> Artefact:
        """The learned generator, for codes of the cGMM's layer."""
        s = self.settings

        def train(out: Path) -> None:
            from attr2face.cgmm.mixture import load_mixture
            from attr2face.generation.adversarial import train_generator
            from attr2face.generation.batches import Material

            mixture = load_mixture(self.mixture.path / "cgmm.h5")
            material = Material(database_of(self.lmdb), weights_of(self.finetuned), mixture)
            card = self.machine.cards[0] if self.machine.cards else None
            train_generator(material, s.learned_generator, s.training_seed, card, out)

        inputs = {"lmdb": self.lmdb, "net": self.finetuned, "cgmm": self.mixture}
        return self._step(
            "generator", train, {**asdict(s.learned_generator), **self._drawn}, inputs, resumable=True
        )

    # Pictures.

    def generated(self, sets: list[list[str]]) -> Artefact:
        """A face for each set of attributes, which are words as `Attributes.parse` gives them."""
        s, sets = (
            self.settings,
            [sorted(chosen, key=lambda word: self.attributes.index[bare(word)]) for chosen in sets],
        )

        def generate(out: Path) -> None:
            from attr2face.generation.faces import write_faces

            write_faces(trained_of(inputs), sets, s.generation, s.training_seed, out, self.machine)

        inputs = self._for_faces(*needed(s.generation))
        name = file_name(sets[0]) if len(sets) == 1 else f"{len(sets)}-faces"
        return self._step(
            name, generate, {**self._generation(s.generation), "sets": sets}, inputs, resumable=True
        )

    def edited(self, changes: Mapping[str, bool]) -> Artefact:
        """A photograph with some attributes given or taken away."""
        s = self.settings
        if not s.photo:
            raise UserError("no photograph to edit; name one with PHOTO=me.jpg")

        def edit(out: Path) -> None:
            from attr2face.evaluation.edits import write_edit
            from attr2face.generation.editing import edit_photograph

            made_with = trained_of(inputs)
            made = edit_photograph(
                made_with, self.read_photograph(), changes, s.generation.strength, s.training_seed
            )
            write_edit(made, changes, made_with, self.judge.path / "judge.h5", out)

        inputs = {"photo": self.photograph, **self._for_faces("mixture", "generator"), "judge": self.judge}
        settings = {
            "changes": dict(changes),
            "strength": s.generation.strength,
            **self._drawn,
            **self._reading,
        }
        name = file_name([*(name if wanted else f"no-{name}" for name, wanted in changes.items())])
        return self._step(f"edited-{name}", edit, settings, inputs)

    @functools.cached_property
    def inverted(self) -> Artefact:
        """Photographs, from their activations at several layers."""
        s = self.settings
        layers = (
            INVERTED_LAYERS
            if isinstance(self.model, VGG)
            else tuple(dict.fromkeys((s.layer, self.model.output)))
        )
        learned = "generator" in needed(s.generation) and s.layer in layers
        used = ("eigenfaces", "mixture", "generator") if learned else ("eigenfaces",)
        presets = ("generator", *INVERTING) if learned else INVERTING

        def invert(out: Path) -> None:
            from attr2face.generation.inversion import invert_photographs

            photo = self.read_photograph() if s.photo else None
            invert_photographs(self.trained(*used), photo, layers, presets, s.training_seed, out)

        inputs = {"photo": self.photograph} if s.photo else {}
        inputs |= self._trained_from(*used)
        descents = [preset_at(name, layer).described() for layer in layers for name in presets]
        settings = {**self._drawn, "layers": layers, "presets": presets, "descents": descents} | (
            self._reading if s.photo else {}
        )
        return self._step("inversion", invert, settings, inputs)

    @functools.cached_property
    def inverted_activations(self) -> Artefact:
        """Pictures from the user's own activations at one layer."""
        s = self.settings
        if s.photo:
            raise UserError(
                f"PHOTO={s.photo} and ACTIVATIONS={s.activations} cannot be inverted at once; leave one of them out"
            )
        learned = "generator" in needed(s.generation)
        used = ("eigenfaces", "mixture", "generator") if learned else ("eigenfaces",)
        presets = (*(["generator"] if learned else []), *INVERTING[:2])

        def invert(out: Path) -> None:
            from attr2face.generation.inversion import invert_activations

            invert_activations(self.trained(*used), s.activations, s.layer, presets, s.training_seed, out)

        inputs = {
            "given": self._source(s.activations, "set ACTIVATIONS to a .npy"),
            **self._trained_from(*used),
        }
        descents = [preset_at(name, s.layer).described() for name in presets]
        settings = {**self._drawn, "layer": s.layer, "presets": presets, "descents": descents}
        return self._step("inverted-activations", invert, settings, inputs)

    def trained(self, *names: str) -> Trained:
        """Paths of the net and of what else faces are made from, "mixture", "eigenfaces" and "generator",
        once it is made.
        """
        return trained_of(self._trained_from(*names))

    def for_faces(self, *names: str) -> Trained:
        """The same of the committed nets, where these will do."""
        return trained_of(self._for_faces(*names))

    def _trained_from(self, *names: str) -> dict[str, Input]:
        return {"lmdb": self.lmdb, "net": self.finetuned} | {
            name: getattr(self, name) for name in sorted(names)
        }

    def _for_faces(self, *names: str) -> dict[str, Input]:
        """The committed nets, if the settings of training are the defaults, whatever the seed; otherwise what
        the settings make.
        """
        if not self._committed_will_do():
            return self._trained_from(*names)
        whole = self._step(
            "committed", self._unpack, {}, {"bundle": self._source(BUNDLE, "restore it, or set TRAIN=yes")}
        )
        return {name: Part(whole, name, f"{whole.key}/{name}") for name in ("lmdb", "net", *sorted(names))}

    def _committed_will_do(self) -> bool:
        mine, usual = conf.as_dict(self.settings), conf.as_dict(Settings())
        same = all(
            mine[name] == usual[name] for name in mine.keys() - AFTER_TRAINING - OF_PHOTOGRAPHS - {"seed"}
        )
        return BUNDLE.exists() and same and not self.settings.train

    def _unpack(self, out: Path) -> None:
        from attr2face.generation.bundle import unpack

        unpack(BUNDLE, out)

    @functools.cached_property
    def bundle(self) -> Artefact:
        """All that faces are made from in one small file, and what made it."""
        self.check_vgg("retrain")
        values = conf.as_dict(self.settings)
        settings = {
            name: conf.as_text(value)
            for name, value in values.items()
            if name not in AFTER_TRAINING | OF_PHOTOGRAPHS and value is not None
        }

        def write(out: Path) -> None:
            from attr2face.generation.bundle import write_bundle

            write_bundle(self.trained("mixture", "eigenfaces", "generator"), settings, out / "default.h5")

        return self._step(
            "bundle", write, {"settings": settings}, self._trained_from("mixture", "eigenfaces", "generator")
        )

    # Judgement.

    @functools.cached_property
    def judge(self) -> Artefact:
        """The first judge of faces, ridge regression, of people whom no net has seen."""
        return self._judge(self.judge_lmdb)

    @functools.cached_property
    def judge_accuracy(self) -> Artefact:
        """How often the first judge is right about real pictures of unseen people."""

        def measure(out: Path) -> None:
            from attr2face.evaluation.judge import write_accuracy

            write_accuracy(self.judge.path / "judge.h5", database_of(self.judge_lmdb), out)

        return self._step("judge-accuracy", measure, {}, {"lmdb": self.judge_lmdb, "judge": self.judge})

    @functools.cached_property
    def net_judge(self) -> Artefact:
        """The second judge, a net. That of photographs starts from the one of rendered faces."""
        s = self.settings
        start = (
            None
            if self.dataset.rendered
            else Steps({**self._of_model, "seed": s.seed}, self.store.root, self.machine).net_judge
        )

        def train(out: Path) -> None:
            from attr2face.evaluation.netjudge import write_net_judge

            weights = weights_of(start) if start else None
            write_net_judge(
                database_of(self.judge_lmdb),
                weights,
                s.judging.judge_epochs,
                s.seed + JUDGE_SEED,
                out,
                self.machine,
            )

        settings = {"judge_epochs": s.judging.judge_epochs, "seed": s.seed, "net": JUDGE.body}
        inputs = {"lmdb": self.judge_lmdb} | ({"start": start} if start else {})
        return self._step("net-judge", train, settings, inputs, resumable=True)

    @functools.cached_property
    def baseline(self) -> Artefact:
        """The same regression on the people whom the net learns from."""
        return self._judge(self.lmdb)

    def _judge(self, lmdb: Artefact) -> Artefact:
        def train(out: Path) -> None:
            from attr2face.evaluation.judge import write_judge

            write_judge(database_of(lmdb), out, self.machine)

        # Judges once learned from all pictures; of LFW and rendered faces there are usually few enough that
        # they still do.
        settings = {} if self.settings.dataset in ("synthetic", "lfw") else {"sample": True}
        return self._step("judge", train, settings, {"lmdb": lmdb})

    @functools.cached_property
    def requests(self) -> Artefact:
        """Attributes of unseen people's pictures, for which each method generates faces."""
        s = self.settings

        def draw(out: Path) -> None:
            from attr2face.evaluation.requests import write_requests

            write_requests(database_of(self.lmdb), s.evaluation, s.seed, out)

        settings = {"images": s.evaluation.images, "split": s.evaluation.split, "seed": s.seed}
        return self._step("requests", draw, settings, {"lmdb": self.lmdb})

    @property
    def own(self) -> str:
        """The name of the settings' own method, among the methods compared: that of its preset, if no other
        has it.
        """
        preset = self.settings.generation.preset
        return preset if preset not in self._table_of_methods[0] else f"{preset} own"

    @functools.cached_property
    def methods(self) -> dict[str, conf.Generation]:
        """Methods of generation to compare: the paper's, those of the table METHODS, and the one of the
        settings, which comes last.
        """
        table = {
            name: conf.replaced(conf.Generation(), row) for name, row in self._table_of_methods[0].items()
        }
        return PAPERS | table | {self.own: replace(self.settings.generation, animate=False)}

    @functools.cached_property
    def _table_of_methods(self) -> tuple[dict[str, dict[str, object]], dict[str, list[str]]]:
        """The settings of each method, and the names of those that differ in one factor, by the factor."""
        from attr2face.evaluation.grids import read_grid

        path = self.settings.evaluation.methods
        table = read_grid(path, conf.Generation, "METHODS", also=("factor",))
        for name in table:
            if name in RESERVED or not re.fullmatch(r"[\w .+-]+", name):
                raise UserError(
                    f"{path} names a method {name!r}; choose another name, of letters, digits, spaces and .+-"
                )
        kinds = {f.name: f for f in dataclasses.fields(conf.Generation)}
        factors: dict[str, list[str]] = {}
        for name, row in table.items():
            factors.setdefault(row.pop("factor", "method"), []).append(name)
        checked = {
            name: {key: conf.check(kinds[key], value) for key, value in row.items()}
            for name, row in table.items()
        }
        return checked, factors

    def faces_of(self, method: str) -> Artefact:
        """A method's faces for the requests."""
        generation = self.methods[method]

        def generate(out: Path) -> None:
            from attr2face.evaluation.requests import read_requests
            from attr2face.generation.faces import write_faces

            sets, trained = read_requests(self.requests.path).with_draws, self.trained(*needed(generation))
            write_faces(trained, sets, generation, self.settings.training_seed, out, self.machine)

        inputs = self._trained_from(*needed(generation)) | {"requests": self.requests}
        name = f"requested-{generation.target}-{generation.preset}"
        return self._step(name, generate, self._generation(generation), inputs, resumable=True)

    def _generation(self, generation: conf.Generation) -> dict[str, object]:
        """What faces depend on beside the inputs."""
        layer = "" if generation.target == "classes" else self.settings.layer
        return {
            **asdict(generation),
            **self._drawn,
            "descent": preset_at(generation.preset, layer).described(),
        }

    @functools.cached_property
    def identity(self) -> dict[str, Input]:
        """What tells people apart: the files of the user's net, VGG-Face where it is, or the net that
        finetuning starts from.
        """
        given = self.settings.evaluation.identity
        if not given:
            vgg_face = self._source(self.vgg_face, "make weights downloads it")
            return {"identity": vgg_face if self.vgg_face.exists() else self.varied(repeat=0).start}
        from attr2face.evaluation.identity import read_identity

        net = read_identity(given)
        remedy = f"mend the path in {given}"
        files = {"prototxt": net.prototxt, "weights": net.weights}
        return {"identity": self._source(given, "set IDENTITY to a TOML or JSON file")} | {
            f"identity's {name}": self._source(path, remedy) for name, path in files.items()
        }

    @functools.cached_property
    def _mean_of_identity(self) -> dict[str, object]:
        """What IDENTITY's net subtracts, if it is an image in a file of its own; the description has numbers
        itself.
        """
        given = self.settings.evaluation.identity
        if not given:
            return {}
        mean = read_description(given, "IDENTITY").mean
        return {"identity's mean": hashlib.sha256(mean.tobytes()).hexdigest()} if mean.ndim > 1 else {}

    def _judges(self, out: Path) -> Judges:
        """Who looks at pictures; a prototxt that has to be written goes to `out`."""
        from attr2face.evaluation import identity
        from attr2face.evaluation.measures import Judges

        given, net = self.settings.evaluation.identity, self.identity["identity"]
        if given:
            tells = identity.read_identity(given)
            tells.check()
        elif self.vgg_face.exists():
            tells = identity.vgg_face_net(net.path, out)
        else:
            tells = identity.own_net(database_of(self.lmdb), weights_of(net), out)
        projections = self.projections.path / "projections.npz"
        return Judges(self.judge.path / "judge.h5", self.net_judge.path, tells, self.lmdb.path, projections)

    @property
    def _judged_by(self) -> dict[str, Input]:
        return {
            "lmdb": self.lmdb,
            "judge": self.judge,
            "net judge": self.net_judge,
            "projections": self.projections,
            **self.identity,
        }

    @functools.cached_property
    def projections(self) -> Artefact:
        """Principal components of what the judges see in pictures of training people."""
        seed = self.settings.seed

        def project(out: Path) -> None:
            from attr2face.evaluation.measures import write_projections

            write_projections(
                self.judge.path / "judge.h5",
                self.net_judge.path,
                database_of(self.lmdb),
                seed,
                out,
                self.machine,
            )

        inputs = {"lmdb": self.lmdb, "judge": self.judge, "net judge": self.net_judge}
        return self._step("projections", project, {"seed": seed}, inputs)

    @functools.cached_property
    def real(self) -> Artefact:
        """Measures of real pictures of unseen people."""
        seed = self.settings.seed

        def measure(out: Path) -> None:
            from attr2face.evaluation.comparison import write_real
            from attr2face.evaluation.requests import read_requests

            write_real(
                database_of(self.lmdb),
                read_requests(self.requests.path),
                self._judges(out),
                seed,
                out,
                self.machine,
            )

        settings = {"seed": seed, **self._mean_of_identity}
        return self._step("real", measure, settings, {**self._judged_by, "requests": self.requests})

    def measured(self, faces: Artefact) -> Artefact:
        """Measures of a method's faces."""

        def measure(out: Path) -> None:
            from attr2face.evaluation.measures import write_measures

            write_measures(faces.path, self._judges(out), out, self.machine)

        return self._step(
            f"measures-of-{faces.stage}", measure, self._mean_of_identity, {**self._judged_by, "faces": faces}
        )

    @functools.cached_property
    def repeats(self) -> list[Steps]:
        """The same steps with as many repetitions of training, fitting and generation as SEEDS says."""
        return [
            self.varied(repeat=self.settings.repeat + k) if k else self
            for k in range(self.settings.evaluation.seeds)
        ]

    @functools.cached_property
    def evaluation(self) -> Artefact:
        """The methods of generation, compared by judges."""
        faces = {name: [steps.faces_of(name) for steps in self.repeats] for name in self.methods}
        measures = {name: [self.measured(made) for made in of_method] for name, of_method in faces.items()}
        factors = {factor: [*names, self.own] for factor, names in self._table_of_methods[1].items()}

        def write(out: Path) -> None:
            from attr2face.evaluation.summary import Runs, write_comparison
            from attr2face.report import figures

            files = {
                name: [made.path / "measures.npz" for made in of_method]
                for name, of_method in measures.items()
            }
            runs = Runs(files, {name: of_method[0].path for name, of_method in faces.items()}, factors)
            projections = self.projections.path / "projections.npz"
            write_comparison(
                database_of(self.lmdb), self.requests.path, runs, self.real.path, projections, out
            )
            figures.write_intervals(out / "intervals.csv", runs.factors, out)

        inputs = {
            "lmdb": self.lmdb,
            "requests": self.requests,
            "projections": self.projections,
            "real": self.real,
        }
        for name in self.methods:
            for k, (made, measured) in enumerate(zip(faces[name], measures[name], strict=True)):
                inputs |= {f"faces of {name}, {k}": made, f"measures of {name}, {k}": measured}
        settings = {
            "methods": list(self.methods),
            "factors": factors,
            "seeds": self.settings.evaluation.seeds,
        }
        step, used = (
            self._step("evaluation", write, settings, inputs),
            set().union(*(needed(method) for method in self.methods.values())),
        )
        return (
            replace(step, before=lambda: self._trained_apart(self.repeats, tuple(sorted(used))))
            if len(self.repeats) > 1
            else step
        )

    def experiments(self, grid: Path) -> Artefact:
        """Each row of a grid of finetuning settings, trained and scored, as often as SEEDS says."""
        from attr2face.evaluation.grids import read_grid

        rows = read_grid(grid, conf.Finetuning, "GRID")
        runs = {
            name: [self.varied(**row, repeat=steps.settings.repeat) for steps in self.repeats]
            for name, row in rows.items()
        }
        cached = [
            run.settings.finetuning
            for repeats in runs.values()
            for run in repeats
            if run.settings.finetuning.cache
        ]
        for run in (run for repeats in runs.values() for run in repeats):
            alike = {one.freeze for one in cached if one.cache_crops == run.settings.finetuning.cache_crops}
            run.cached_together = sorted(alike) or run.cached_together

        def tabulate(out: Path) -> None:
            from attr2face.evaluation.experiments import write_tables
            from attr2face.report import figures

            write_tables({name: [run.scores.path for run in repeats] for name, repeats in runs.items()}, out)
            figures.save(
                figures.losses(
                    {name: repeats[0].finetuned.path / "loss.csv" for name, repeats in runs.items()}
                ),
                out / "loss",
            )

        inputs = {}
        for name, repeats in runs.items():
            for k, run in enumerate(repeats):
                inputs |= {f"net of {name}, {k}": run.finetuned, f"scores of {name}, {k}": run.scores}
        settings = {"runs": list(runs), "seeds": self.settings.evaluation.seeds}
        step = self._step("experiments", tabulate, settings, inputs)
        return replace(
            step,
            before=lambda: self._trained_apart(
                [run for repeats in runs.values() for run in repeats], ("scores",)
            ),
        )

    def _trained_apart(self, runs: list[Steps], stages: tuple[str, ...]) -> None:
        """Make some stages of other settings side by side, each by a worker of the cluster, with one thread
        or on one card.

        Without a cluster that shares the store, nothing is made here: each training takes all that this
        machine has, one after another.
        """
        cluster = self.machine.cluster
        if not cluster or cluster.ship:
            return
        missing = [run for run in runs if not all(getattr(run, stage).exists for stage in stages)]
        # What several runs start from is made once: what each repetition was pretrained to, then what all
        # workers can compute together.
        starts = {run.start.key: run for run in missing if not getattr(run.start, "exists", True)}
        self._made_apart([(run, ("start",)) for run in starts.values()])
        for run in missing:
            for made_from in run.finetuned.inputs.values():
                made_from.made()
        self._made_apart([(run, stages) for run in missing])

    def _made_apart(self, jobs: list[tuple[Steps, tuple[str, ...]]]) -> None:
        from tqdm import tqdm

        tasks = [(run.given, self.store.root, run.cached_together, stages) for run, stages in jobs]
        with tqdm(total=len(tasks), desc="trainings", unit=" trainings", disable=not tasks) as bar:
            for (run, stages), _ in zip(jobs, map_in_order(self.machine, make_apart, tasks), strict=True):
                for stage in stages:
                    getattr(run, stage).wait_for()
                bar.update()

    @functools.cached_property
    def diagnosis(self) -> Artefact:
        """What activations, attributes and targets are like, before a picture is generated."""
        seed = self.settings.seed

        def diagnose(out: Path) -> None:
            from attr2face.evaluation.diagnosis import write_diagnosis
            from attr2face.report import figures

            trained, activations = self.trained("mixture"), self.activations.path / "activations.h5"
            kinds, has = write_diagnosis(trained, activations, seed, out, self.machine)
            figures.save(figures.activations(kinds, self.attributes, has, seed), out / "histograms")

        inputs = self._trained_from("mixture") | {"activations": self.activations}
        return self._step("diagnosis", diagnose, {"seed": seed}, inputs)

    @functools.cached_property
    def numbers(self) -> Artefact:
        """The numbers that docs/results.md and the report show, in one file."""
        self.check_vgg("results")
        scores = [steps.scores for steps in self.repeats]
        stages = {
            "baseline": self.baseline,
            "experiments": self.experiments(conf.TABLES / "table1.csv"),
            "evaluation": self.evaluation,
            "inversion": self.inverted,
        }

        def write(out: Path) -> None:
            from attr2face.files import write_json
            from attr2face.report.results import Stages, collect

            folders = {name: stage.path for name, stage in stages.items()}
            write_json(out / "numbers.json", collect(Stages([step.path for step in scores], **folders)))

        return self._step(
            "numbers", write, {}, stages | {f"scores, {k}": step for k, step in enumerate(scores)}
        )

    @functools.cached_property
    def report(self) -> Artefact:
        """Every figure and table of the paper, in one page."""
        self.check_vgg("paper")
        s, used = self.settings, {"mixture", "eigenfaces"} | needed(self.settings.generation)
        shown = {name: self.faces_of(name) for name in (*PAPERS, self.own)}
        stages = {
            "scores": self.scores,
            "experiments": self.experiments(conf.TABLES / "table1.csv"),
            "diagnosis": self.diagnosis,
            "evaluation": self.evaluation,
            "inversion": self.inverted,
            "real": self.real,
            "numbers": self.numbers,
        }

        def write(out: Path) -> None:
            from attr2face.report.sections import Results, write_report

            folders = {name: stage.path for name, stage in stages.items()}
            faces = {name: method.path for name, method in shown.items()}
            results = Results(self.trained(*used), weights_of(self.start), methods=faces, **folders)
            write_report(results, s.layer, s.seed, out, self.machine)

        inputs = self._trained_from(*used) | {"start": self.start} | stages | shown
        return self._step("report", write, {"layer": s.layer, "seed": s.seed}, inputs)

    def check_notebooks(self, target: str) -> None:
        """Raise a UserError if the notebooks name a layer or an attribute that does not exist here."""
        self.check_vgg(target)
        missing = [name for name in pubfig().names if name not in self.attributes.index]
        if missing:
            raise UserError(
                f"make {target} shows PubFig's attributes, and DATASET={self.settings.dataset} lacks {missing[0]}; "
                "choose synthetic, lfw or pubfig"
            )

    def check_vgg(self, target: str) -> None:
        """Raise a UserError for a net that does not have the paper's layers."""
        if not isinstance(self.model, VGG):
            raise UserError(
                f"make {target} is about the layers of mini and vgg_face; leave out MODEL={self.settings.model}"
            )

    # What a step is.

    @property
    def _of_model(self) -> dict[str, object]:
        """The settings that tell which net it is."""
        return {"model": self.settings.model, **({"mean": self.settings.mean} if self.settings.mean else {})}

    @functools.cached_property
    def _usual(self) -> dict[str, object]:
        """What the settings would be if nothing else was given."""
        return conf.as_dict(conf.defaults(self.settings.dataset, self.settings.model, self.settings.mean))

    @property
    def _drawn(self) -> dict[str, int]:
        """What all that training, fitting and generation draw at random depends on."""
        return {"seed": self.settings.seed, "repeat": self.settings.repeat}

    def _step(
        self,
        stage: str,
        work: Callable[[Path], None],
        settings: Mapping[str, object],
        inputs: Inputs,
        resumable: bool = False,
    ) -> Artefact:
        """An artefact of the store. Its name tells which settings that concern it were given and are not the
        defaults.
        """
        mine = conf.as_dict(self.settings)
        usual = self._usual
        relevant = set(settings).union(
            *(getattr(made_from, "differences", ()) for made_from in inputs.values())
        )
        own_files = [made_from.path for made_from in inputs.values() if isinstance(made_from, Source)]
        relevant |= {name for name, value in mine.items() if value in own_files}
        differences = {
            name: mine[name]
            for name in mine
            if name in relevant & self.given.keys() and mine[name] != usual[name]
        }
        group = f"{self.dataset.name}-{self.model.name}"
        return Artefact(
            self.store,
            group,
            stage,
            work,
            settings,
            inputs,
            differences,
            self.given,
            VERSIONS.get(stage, 1),
            resumable,
        )

    def _source(self, path: Path, remedy: str, parts: tuple[str, ...] = ()) -> Source:
        return Source(self.store, path, remedy, parts)

    def _table(self, name: str) -> Source:
        return self._source(conf.TABLES / f"{name}.csv", "restore it")

    @functools.cached_property
    def keys(self) -> set[str]:
        """The keys of all steps, but for faces of requested attributes."""
        steps = [self.baseline, *([self.inverted_activations] if self.settings.activations else [])]
        if isinstance(self.model, VGG):
            return keys_of(self.report, self.experiments(self.settings.grid), self.bundle, *steps)
        return keys_of(
            self.scores,
            self.evaluation,
            self.diagnosis,
            self.inverted,
            self.generator,
            self.judge_accuracy,
            *steps,
        )


def make_apart(
    given: Mapping[str, str], store: Path, cached_together: list[str], stages: tuple[str, ...]
) -> None:
    """Make some stages of some settings here, and nowhere else: the task of a worker that shares the store."""
    steps = Steps(given, store, Machine(1, cards_here()))
    steps.cached_together = cached_together
    for stage in stages:
        getattr(steps, stage).made()


def database_of(lmdb: Artefact) -> FaceDatabase:
    """The database that a step has made."""
    from attr2face.data.database import FaceDatabase

    return FaceDatabase.open(lmdb.path)


def trained_of(inputs: Inputs) -> Trained:
    """Paths of what faces are made from, once it is made."""
    from attr2face.generation.faces import Trained

    files = {"mixture": "cgmm.h5", "eigenfaces": "eigenfaces.h5", "generator": "weights.caffemodel"}
    folders = {name: step.made() for name, step in inputs.items()}
    others = {name: folders[name] / file for name, file in files.items() if name in folders}
    return Trained(folders["lmdb"], folders["net"] / "weights.caffemodel", **others)


def weights_of(net: Input) -> Path:
    """The .caffemodel of a trained net, or the user's own file."""
    return net.path / "weights.caffemodel" if isinstance(net, Artefact) else net.path


def keys_of(*steps: Input) -> set[str]:
    """The keys of artefacts and of all that they are made from.

    Steps of one key may be made from different ones: a part does not tell what is made beside it.
    """
    visited, found = {}, list(steps)
    while found:
        step = found.pop()
        if id(step) not in visited:
            visited[id(step)] = step
            found += getattr(step, "inputs", {}).values()
    return {step.key for step in visited.values()}


def reachable(store: Store) -> set[str]:
    """Keys of what is in the store that the settings it was made with still lead to, by today's defaults,
    code and input files.

    What was made from a file that does not exist now, or with a value that cannot be read, is counted, too.
    """
    known = {f.name for _, f in conf.leaves(Settings())}
    records = [
        *store.manifests().values(),
        *({"key": path.name, **record} for path, record in store.unfinished().items()),
    ]
    keys: set[str] = set()
    steps_of: dict[tuple, Steps] = {}
    for record in records:
        given = tuple(sorted(record["given"].items()))
        if not known.issuperset(record["given"]):
            continue
        try:
            if given not in steps_of:
                steps_of[given] = Steps(record["given"], store.root)
            keys |= steps_of[given].keys
            if "sets" in record.get("settings", {}):
                keys |= keys_of(steps_of[given].generated(record["settings"]["sets"]))
            if "changes" in record.get("settings", {}):
                keys |= keys_of(steps_of[given].edited(record["settings"]["changes"]))
        except UserError:
            keys.add(record["key"])
    return keys

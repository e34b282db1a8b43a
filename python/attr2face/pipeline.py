"""The pipeline from top to bottom: faces, LMDBs, nets, activations, mixture, eigenfaces, pictures, judgement.

Each step names its inputs, its settings and the function that does the work. It is an `Artefact` of the store, which is made when
`made()` is called for the first time. Functions are imported where they are used, so that what is already made is found without
loading Caffe.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face import settings as conf
from attr2face.data.attributes import ATTRIBUTES, file_name
from attr2face.errors import UserError
from attr2face.generation.presets import PRESETS
from attr2face.models import MODELS
from attr2face.parallel import Machine
from attr2face.settings import Settings
from attr2face.store import Artefact, Source, Store

if TYPE_CHECKING:
    from attr2face.data.database import FaceDatabase
    from attr2face.generation.faces import Trained

CHECKOUT = Path(__file__).parents[2]
INVERTED_LAYERS = ("conv3_3", "conv4_3", "conv5_3", "fc6", "fc7")
# Of a stage whose code gives another output for the same settings than before. To be raised with the code.
VERSIONS: dict[str, int] = {}

Input = Artefact | Source
Inputs = Mapping[str, Input]


def default_store() -> Path:
    """The store of the checkout that the package is used from; otherwise a folder where the command is run."""
    return CHECKOUT / "data" / "store" if (CHECKOUT / "Makefile").exists() else Path("attr2face-store").absolute()


def machine(gpu: str, workers: int) -> Machine:
    """The machine that GPU and WORKERS name; Caffe runs on the first of its cards from now on."""
    if not gpu:
        return Machine(workers)
    from attr2face.network.devices import parse_cards
    from attr2face.pycaffe import use_card

    cards = parse_cards(gpu)
    use_card(cards[0])
    return Machine(workers, cards)


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

    def __init__(self, given: Mapping[str, object], store: Path | None = None, machine: Machine | None = None) -> None:
        self.settings: Settings = conf.resolve(given)
        values = conf.as_dict(self.settings)
        named = (conf.RENAMED.get(name, name) for name in given)
        self.given = {name: conf.as_text(values[name]) for name in named}
        self.model = MODELS[self.settings.model]
        self.store = Store(store or default_store())
        self.machine = replace(machine or Machine(), single_thread=self.model.single_thread)

    def varied(self, **given: object) -> Steps:
        """The steps of the same store with some other settings."""
        return Steps({**self.given, **given}, self.store.root, self.machine)

    # Data.

    @functools.cached_property
    def faces(self) -> Input:
        """Pictures of faces and the scores of their attributes: rendered, downloaded or the user's own."""
        s = self.settings
        if s.dataset == "synthetic":
            return self._rendered("faces", s.rendering, s.seed, asdict(s.rendering))
        if s.dataset == "pubfig":
            return self._pubfig()
        if s.lfw_root:
            remedy = "set LFW_ROOT to the folder with lfw_attributes.txt and lfw/, or leave it out to download LFW"
            return self._source(s.lfw_root, remedy, ("lfw_attributes.txt", "lfw"))

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
        inputs = {"index": self._source(root, "set PUBFIG_ROOT to the folder with PubFig's index files", parts)} if root else {}
        return self._step("faces", download, {}, inputs, resumable=True)

    def _rendered(self, stage: str, rendering: conf.Rendering, seed: int, settings: Mapping[str, object]) -> Artefact:
        """Rendered faces; `settings` are those of `rendering` that the user may change."""

        def render(out: Path) -> None:
            from attr2face.data.render.dataset import render_dataset

            render_dataset(rendering, seed, out, self.machine)

        tables = {name: self._table(name) for name in ("heads", "frequencies", "correlations")}
        return self._step(stage, render, {**settings, "seed": self.settings.seed}, tables)

    @functools.cached_property
    def lmdb(self) -> Artefact:
        """Images and labels of each split for Caffe, cut to the size of the model."""
        return self._lmdb(self.faces, self.settings.dataset)

    def _lmdb(self, faces: Input, dataset: str) -> Artefact:
        s = self.settings

        def build(out: Path) -> None:
            from attr2face.data.faces import read_faces
            from attr2face.data.lmdbs import build_lmdbs

            build_lmdbs(read_faces(faces.path, dataset), dataset, self.model, s.database, s.seed, out)

        settings = {**asdict(s.database), "model": asdict(self.model), "dataset": dataset, "seed": s.seed}
        return self._step("lmdb", build, settings, {"faces": faces, "heads": self._table("heads")})

    # Nets.

    @functools.cached_property
    def pretrained(self) -> Artefact:
        """Mini, trained to tell other rendered people apart, of whom there are more pictures each."""
        s, given = self.settings, self.settings.pretraining
        rendering = conf.Rendering(given.pretrain_people, given.pretrain_pictures, s.rendering.size)
        shown = {"pretrain_people": rendering.people, "pretrain_pictures": rendering.pictures, "size": rendering.size}
        lmdb = self._lmdb(self._rendered("pretraining-faces", rendering, s.seed + 1000, shown), "synthetic")

        def train(out: Path) -> None:
            from attr2face.network.finetuning import pretrain

            pretrain(database_of(lmdb), given, s.seed, out, self.machine)

        settings = {"pretrain_epochs": given.pretrain_epochs, "pretrain_rate": given.pretrain_rate, "seed": s.seed}
        return self._step("pretrained", train, settings, {"lmdb": lmdb}, resumable=True)

    @functools.cached_property
    def start(self) -> Input:
        """The weights that finetuning starts from: the user's, VGG-Face's, or mini's.

        Mini has learned identities of rendered people; for photographs, it was then finetuned on rendered faces.
        """
        s = self.settings
        if s.weights:
            return self._source(s.weights, "set WEIGHTS to a .caffemodel, or leave it out")
        if s.model == "vgg_face":
            return self._source(self.vgg_face, "make weights downloads it, or set WEIGHTS to yours")
        if s.dataset == "synthetic":
            return self.pretrained
        return Steps({"model": s.model, "seed": s.seed}, self.store.root, self.machine).finetuned

    @property
    def vgg_face(self) -> Path:
        """Where `make weights` writes VGG-Face's published weights."""
        folder = CHECKOUT / "models" / "vgg_face"
        return (folder if folder.exists() else self.store.root / "vgg_face") / "VGG_FACE.caffemodel"

    @functools.cached_property
    def frozen_cache(self) -> Artefact:
        """Output of the frozen layers for all training and validation images."""
        freeze = self.settings.finetuning.freeze
        conf.check_cacheable(freeze)

        def build(out: Path) -> None:
            from attr2face.network.frozen import build_cache

            build_cache(database_of(self.lmdb), weights_of(self.start), freeze, out, self.machine)

        return self._step("cache", build, {"freeze": freeze}, {"lmdb": self.lmdb, "start": self.start}, resumable=True)

    @functools.cached_property
    def finetuned(self) -> Artefact:
        """The net with 42 heads."""
        s, cached = self.settings, self.settings.finetuning.cache

        def train(out: Path) -> None:
            from attr2face.network.finetuning import Start, finetune

            start = Start(weights_of(self.start), self.frozen_cache.path if cached else None)
            finetune(database_of(self.lmdb), start, s.finetuning, s.seed, out, self.machine)

        inputs = {"lmdb": self.lmdb, "start": self.start} | ({"cache": self.frozen_cache} if cached else {})
        return self._step("finetuned", train, {**asdict(s.finetuning), "seed": s.seed}, inputs, resumable=True)

    @functools.cached_property
    def scores(self) -> Artefact:
        """How well the net reads attributes of each split."""

        def measure(out: Path) -> None:
            from attr2face.evaluation.scores import write_scores

            write_scores(database_of(self.lmdb), weights_of(self.finetuned), out, self.machine)

        return self._step("scores", measure, {}, {"lmdb": self.lmdb, "net": self.finetuned})

    # The cGMM and eigenfaces.

    @functools.cached_property
    def activations(self) -> Artefact:
        """Activations of one layer for all images."""
        layer = self.settings.layer

        def run(out: Path) -> None:
            from attr2face.network.extraction import extract

            extract(database_of(self.lmdb), weights_of(self.finetuned), layer, out, self.machine)

        return self._step("activations", run, {"layer": layer}, {"lmdb": self.lmdb, "net": self.finetuned}, resumable=True)

    @functools.cached_property
    def mixture(self) -> Artefact:
        """A Gaussian per attribute, and their weights."""
        s = self.settings

        def fit(out: Path) -> None:
            from attr2face.cgmm.fitting import write_fit

            write_fit(self.activations.path / "activations.h5", s.mixture, s.seed, out)

        settings = {**asdict(s.mixture), "seed": s.seed}
        return self._step("cgmm", fit, settings, {"activations": self.activations}, resumable=True)

    @functools.cached_property
    def eigenfaces(self) -> Artefact:
        """Principal components of the training people's pictures."""
        s = self.settings

        def compute(out: Path) -> None:
            from attr2face.generation.eigenfaces import write_eigenfaces

            write_eigenfaces(database_of(self.lmdb), s.eigenface_basis, s.seed, out)

        return self._step("eigenfaces", compute, {**asdict(s.eigenface_basis), "seed": s.seed}, {"lmdb": self.lmdb})

    # Pictures.

    def generated(self, sets: list[list[str]]) -> Artefact:
        """A face for each set of attributes."""
        s, sets = self.settings, [sorted(chosen, key=ATTRIBUTES.index) for chosen in sets]

        def generate(out: Path) -> None:
            from attr2face.generation.faces import write_faces

            write_faces(self.trained(s.generation.preset), sets, s.generation, s.seed, out, self.machine)

        name = file_name(sets[0]) if len(sets) == 1 else f"{len(sets)}-faces"
        settings = {**self._generation(s.generation), "sets": sets}
        return self._step(name, generate, settings, self._trained_from(s.generation.preset), resumable=True)

    @functools.cached_property
    def inverted(self) -> Artefact:
        """Photographs, from their activations at several layers."""
        s = self.settings

        def invert(out: Path) -> None:
            from attr2face.generation.inversion import invert_photographs

            invert_photographs(self.trained("photograph", mixture=False), s.photo, INVERTED_LAYERS, s.seed, out)

        inputs = self._trained_from("photograph", mixture=False)
        if s.photo:
            inputs["photo"] = self._source(s.photo, "set PHOTO to a picture")
        settings = {"seed": s.seed, "layers": INVERTED_LAYERS, "descent": asdict(PRESETS["photograph"])}
        return self._step("inversion", invert, settings, inputs)

    def trained(self, preset: str, mixture: bool = True) -> Trained:
        """Paths of what faces are made from, once it is made."""
        from attr2face.generation.faces import Trained

        folders = {name: step.made() for name, step in self._trained_from(preset, mixture).items()}
        return Trained(
            folders["lmdb"],
            folders["net"] / "weights.caffemodel",
            folders["cgmm"] / "cgmm.h5" if mixture else None,
            folders["eigenfaces"] / "eigenfaces.h5" if "eigenfaces" in folders else None,
        )

    def _trained_from(self, preset: str, mixture: bool = True) -> dict[str, Input]:
        steps = {"lmdb": self.lmdb, "net": self.finetuned}
        if mixture:
            steps["cgmm"] = self.mixture
        if preset in ("eigenfaces", "photograph"):
            steps["eigenfaces"] = self.eigenfaces
        return steps

    # Judgement.

    @functools.cached_property
    def judge(self) -> Artefact:
        """The judge of faces. That of rendered faces learns from people whom no net has seen; of photographs there are no others."""
        s, given = self.settings, self.settings.judging
        if s.dataset != "synthetic":
            return self.baseline
        rendering = conf.Rendering(given.judge_people, given.judge_pictures, s.rendering.size)
        shown = {"judge_people": rendering.people, "judge_pictures": rendering.pictures, "size": rendering.size}
        return self._judge(self._lmdb(self._rendered("judge-faces", rendering, s.seed + 2000, shown), "synthetic"))

    @functools.cached_property
    def baseline(self) -> Artefact:
        """The same regression on the people whom the net learns from."""
        return self._judge(self.lmdb)

    def _judge(self, lmdb: Artefact) -> Artefact:
        def train(out: Path) -> None:
            from attr2face.evaluation.judge import write_judge

            write_judge(database_of(lmdb), out, self.machine)

        return self._step("judge", train, {}, {"lmdb": lmdb})

    @functools.cached_property
    def requests(self) -> Artefact:
        """Attributes of unseen people's pictures, for which each method generates faces."""
        s = self.settings

        def draw(out: Path) -> None:
            from attr2face.evaluation.comparison import write_requests

            write_requests(database_of(self.lmdb), s.evaluation, s.seed, out)

        return self._step("requests", draw, {**asdict(s.evaluation), "seed": s.seed}, {"lmdb": self.lmdb})

    @functools.cached_property
    def methods(self) -> dict[str, Artefact]:
        """Faces for the requests by each method of generation; the one of the settings comes last."""
        own, pixels = replace(self.settings.generation, animate=False), conf.Generation(preset="pixels")
        return {
            "class visualisation": self._requested(replace(pixels, target="classes")),
            "paper": self._requested(replace(pixels, target="paper")),
            f"{own.target} {own.preset}": self._requested(own),
        }

    def _requested(self, generation: conf.Generation) -> Artefact:
        seed = self.settings.seed

        def generate(out: Path) -> None:
            from attr2face.evaluation.comparison import read_requests
            from attr2face.generation.faces import write_faces

            sets = read_requests(self.requests.path).sets
            write_faces(self.trained(generation.preset), sets, generation, seed, out, self.machine)

        inputs = self._trained_from(generation.preset) | {"requests": self.requests}
        name = f"requested-{generation.target}-{generation.preset}"
        return self._step(name, generate, self._generation(generation), inputs, resumable=True)

    def _generation(self, generation: conf.Generation) -> dict[str, object]:
        """What faces depend on beside the inputs."""
        return {**asdict(generation), "seed": self.settings.seed, "descent": asdict(PRESETS[generation.preset])}

    @functools.cached_property
    def evaluation(self) -> Artefact:
        """The methods of generation, compared by a judge."""
        seed = self.settings.seed

        def judge(out: Path) -> None:
            from attr2face.evaluation.comparison import Judges, compare, read_requests

            judges = Judges(self.judge.path / "judge.h5", weights_of(self.start))
            faces = {name: method.path for name, method in self.methods.items()}
            compare(database_of(self.lmdb), read_requests(self.requests.path), faces, judges, seed, out)

        inputs = {"lmdb": self.lmdb, "judge": self.judge, "start": self.start, "requests": self.requests, **self.methods}
        return self._step("evaluation", judge, {"seed": seed, "methods": list(self.methods)}, inputs)

    def experiments(self, grid: Path) -> Artefact:
        """Each row of a grid of finetuning settings, trained and scored."""
        from attr2face.evaluation.experiments import read_grid

        runs = {name: self.varied(**row) for name, row in read_grid(grid).items()}

        def tabulate(out: Path) -> None:
            from attr2face.evaluation.experiments import write_tables
            from attr2face.report import figures

            write_tables({name: run.scores.path for name, run in runs.items()}, out)
            figures.save(figures.losses({name: run.finetuned.path / "loss.csv" for name, run in runs.items()}), out / "loss")

        nets = {f"net of {name}": run.finetuned for name, run in runs.items()}
        scores = {f"scores of {name}": run.scores for name, run in runs.items()}
        return self._step("experiments", tabulate, {"runs": list(runs)}, {**nets, **scores})

    @functools.cached_property
    def diagnosis(self) -> Artefact:
        """What activations, attributes and targets are like, before a picture is generated."""
        seed = self.settings.seed

        def diagnose(out: Path) -> None:
            from attr2face.evaluation.diagnosis import write_diagnosis
            from attr2face.report import figures

            trained, activations = self.trained("pixels"), self.activations.path / "activations.h5"
            kinds, has = write_diagnosis(trained, activations, seed, out, self.machine)
            figures.save(figures.activations(kinds, has, seed), out / "histograms")

        inputs = self._trained_from("pixels") | {"activations": self.activations}
        return self._step("diagnosis", diagnose, {"seed": seed}, inputs)

    @functools.cached_property
    def report(self) -> Artefact:
        """Every figure and table of the paper, in one page."""
        s = self.settings
        stages = {
            "scores": self.scores,
            "experiments": self.experiments(conf.TABLES / "table1.csv"),
            "diagnosis": self.diagnosis,
            "evaluation": self.evaluation,
            "inversion": self.inverted,
        }

        def write(out: Path) -> None:
            from attr2face.report.sections import Results, write_report

            folders = {name: stage.path for name, stage in stages.items()}
            faces = {name: method.path for name, method in self.methods.items()}
            results = Results(self.trained("eigenfaces"), weights_of(self.start), methods=faces, **folders)
            write_report(results, s.layer, s.seed, out, self.machine)

        inputs = self._trained_from("eigenfaces") | {"start": self.start} | stages | self.methods
        return self._step("report", write, {"layer": s.layer, "seed": s.seed}, inputs)

    # What a step is.

    def _step(self, stage: str, work: Callable[[Path], None], settings: Mapping[str, object], inputs: Inputs,
              resumable: bool = False) -> Artefact:  # fmt: skip
        """An artefact of the store. Its name tells which settings that concern it were given and are not the defaults."""
        mine = conf.as_dict(self.settings)
        usual = conf.as_dict(conf.defaults(self.settings.dataset, self.settings.model))
        relevant = set(settings).union(*(getattr(made_from, "differences", ()) for made_from in inputs.values()))
        own_files = [made_from.path for made_from in inputs.values() if isinstance(made_from, Source)]
        relevant |= {name for name, value in mine.items() if value in own_files}
        differences = {name: mine[name] for name in mine if name in relevant & self.given.keys() and mine[name] != usual[name]}
        group = f"{self.settings.dataset}-{self.settings.model}"
        return Artefact(self.store, group, stage, work, settings, inputs, differences, self.given, VERSIONS.get(stage, 1), resumable)

    def _source(self, path: Path, remedy: str, parts: tuple[str, ...] = ()) -> Source:
        return Source(self.store, path, remedy, parts)

    def _table(self, name: str) -> Source:
        return self._source(conf.TABLES / f"{name}.csv", "restore it")

    @functools.cached_property
    def keys(self) -> set[str]:
        """The keys of all steps, but for faces of requested attributes."""
        return keys_of(self.report, self.baseline, self.experiments(self.settings.grid))


def database_of(lmdb: Artefact) -> FaceDatabase:
    """The database that a step has made."""
    from attr2face.data.database import FaceDatabase

    return FaceDatabase.open(lmdb.path)


def weights_of(net: Input) -> Path:
    """The .caffemodel of a trained net, or the user's own file."""
    return net.path / "weights.caffemodel" if isinstance(net, Artefact) else net.path


def keys_of(*steps: Input) -> set[str]:
    """The keys of artefacts and of all that they are made from."""
    keys, found = set(), list(steps)
    while found:
        step = found.pop()
        if step.key not in keys:
            keys.add(step.key)
            found += getattr(step, "inputs", {}).values()
    return keys


def reachable(store: Store) -> set[str]:
    """Keys of what is in the store that the settings it was made with still lead to, by today's defaults, code and input files.

    What was made from a file that does not exist now, or with a value that cannot be read, is counted, too.
    """
    known = {f.name for _, f in conf.leaves(Settings())}
    records = [*store.manifests().values(), *({"key": path.name, **record} for path, record in store.unfinished().items())]
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
        except UserError:
            keys.add(record["key"])
    return keys

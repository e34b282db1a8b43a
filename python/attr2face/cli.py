"""The command line: one subcommand per stage, each reading files and writing files whose paths it is given."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from attr2face import cgmm, datasets, diagnosis, faces, lmdbs, nets, sources, stages
from attr2face.attributes import DATA, parse_sets
from attr2face.bench import bench as measure_speed
from attr2face.contact_sheet import contact_sheet
from attr2face.errors import UserError
from attr2face.experiments import run_grid
from attr2face.fitting import fit
from attr2face.generation import PRESETS
from attr2face.gpu import use_gpu
from attr2face.models import MODELS, model_named
from attr2face.moments import draw_sets, measure
from attr2face.targets import TARGETS

WEAK_AUC = 0.9
LAYOUTS = {"synthetic": ("attributes.txt", "images"), "lfw": ("lfw_attributes.txt", "lfw"), "pubfig": ("attributes.txt", "images")}


def data(args: argparse.Namespace) -> None:
    datasets.render_dataset(args.out, args.people, args.pictures, args.size, args.label_noise, args.seed, args.workers)


def sheet(args: argparse.Namespace) -> None:
    contact_sheet(args.out, args.size, args.columns, args.seed)


def weights(args: argparse.Namespace) -> None:
    sources.fetch_vgg_face(args.out)


def lfw(args: argparse.Namespace) -> None:
    sources.fetch_lfw(args.out)


def pubfig(args: argparse.Namespace) -> None:
    sources.fetch_pubfig(args.index, args.out)


def lmdb(args: argparse.Namespace) -> None:
    attribute_file, images = LAYOUTS[args.dataset]
    read, model = datasets.read_faces(args.faces / attribute_file, args.faces / images), model_named(args.model)
    if args.margin is not None:
        model = replace(model, image_size=model.crop + args.margin)
    lmdbs.build_lmdbs(read, args.out, args.dataset, model, args.seed, args.encoded)


def write_nets(args: argparse.Namespace) -> None:
    for model in MODELS.values():
        nets.write_prototxts(model, args.out / model.name)


def pretrain(args: argparse.Namespace) -> None:
    stages.pretrain(args.lmdb, args.out, args.dataset, model_named(args.model), args.epochs, args.rate, args.seed)


def finetune(args: argparse.Namespace) -> None:
    model = replace(model_named(args.model), fall=args.fall, dropout_everywhere=args.dropout_everywhere)
    if args.dropout is not None:
        model = replace(model, dropout=args.dropout)
    settings = stages.Finetuning(args.freeze, args.epochs, args.rate, args.cache, args.weigh_classes)
    stages.finetune(args.lmdb, args.out, args.weights, args.dataset, model, settings, args.seed)


def experiments(args: argparse.Namespace) -> None:
    model = model_named(args.model)
    run_grid(args.grid, args.lmdb, args.weights, args.dataset, model, args.epochs, args.rate, args.seed, args.out)


def evaluate(args: argparse.Namespace) -> None:
    summary = stages.evaluate(args.lmdb, args.weights, args.dataset, model_named(args.model), args.out)
    print(summary.round(3).to_string())


def baseline(args: argparse.Namespace) -> None:
    table = stages.baseline(args.lmdb, args.dataset, model_named(args.model), args.out)
    weak = table[table["auc"] < WEAK_AUC].sort_values("auc")
    print(table[["majority", "accuracy", "balanced_accuracy", "auc"]].mean().round(3).to_string())
    print(f"AUC below {WEAK_AUC}: {len(weak)} of {len(table)}")
    print(weak[["attribute", "positives", "auc"]].round(3).to_string(index=False) if len(weak) else "")


def activations(args: argparse.Namespace) -> None:
    stages.extract_layer(args.lmdb, args.weights, args.dataset, model_named(args.model), args.layer, args.out)


def bench(args: argparse.Namespace) -> None:
    print(measure_speed(args.faces, args.lmdb, args.weights, args.activations, model_named(args.model), args.rounds).to_string(index=False))


def fit_cgmm(args: argparse.Namespace) -> None:
    print(fit(args.activations, args.out, args.images_per_attribute, args.lam, args.epochs, args.rate, args.seed))


def diagnose(args: argparse.Namespace) -> None:
    files = (args.activations, args.cgmm, args.weights, args.lmdb, args.dataset, model_named(args.model))
    numbers, targets = diagnosis.diagnose(*files, args.out, args.seed)
    print(pd.Series(numbers).round(3).to_string(), targets.round(3).to_string(), sep="\n\n")


def gradcheck(args: argparse.Namespace) -> None:
    with h5py.File(args.activations) as file:
        phi, has = file["activations"][:200].reshape(200, -1)[:, :500].astype(float), file["positive"][:200]
    rng = np.random.default_rng(args.seed)
    mu = measure(phi, has, draw_sets(has, 50, rng)).mu
    print(f"relative error of the gradient: {cgmm.gradient_error(rng.standard_normal(len(mu)), phi, has, mu, 1e-5):.2e}")


def attrs(args: argparse.Namespace) -> None:
    for chosen in parse_sets(args.attrs):
        print("attributes:", ", ".join(chosen))


def eigenfaces(args: argparse.Namespace) -> None:
    stages.learn_eigenfaces(args.lmdb, args.out, args.dataset, model_named(args.model), args.images, args.components, args.seed)


def generate(args: argparse.Namespace) -> None:
    sets = parse_sets(args.attrs)
    folder = args.folder / Path(args.attrs[1:]).stem if args.attrs.startswith("@") else args.folder
    names = ["-".join(name.replace(" ", "_").replace("'", "") for name in chosen) for chosen in sets]
    outs = [args.out or folder / f"{name}.png" for name in names]
    sources = faces.Sources(args.cgmm, args.eigenfaces, args.weights, args.lmdb, model_named(args.model))
    how = faces.Making(args.preset, args.target, args.strength, args.liking, args.seed, args.animate)
    print(faces.make_faces(sources, args.dataset, sets, how, outs).to_string(index=False))
    if args.attrs.startswith("@"):
        faces.write_face_sheet(outs, sets, args.out or folder / "sheet.png")
    print(f"wrote {outs[0] if len(outs) == 1 else folder}")


def rate(text: str) -> float | None:
    """A learning rate; None for `search`."""
    return None if text == "search" else float(text)


def parser() -> argparse.ArgumentParser:
    """Every subcommand with its options; `--help` shows the defaults."""
    top = argparse.ArgumentParser("attr2face", description=__doc__)
    top.add_argument("--gpu", type=int, help="device to run Caffe on; the CPU without it")
    commands = top.add_subparsers(required=True, metavar="stage")

    def stage(run, description: str, *options: str):  # noqa: ANN001, ANN202
        name = {"write_nets": "nets", "fit_cgmm": "cgmm"}.get(run.__name__, run.__name__)
        sub = commands.add_parser(name, help=description, description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        sub.set_defaults(run=run)
        sub.add_argument("--seed", type=int, default=1, help="of everything random")
        shared = {
            "lmdb": {"type": Path, "required": True, "help": "LMDB folder"},
            "weights": {"type": Path, "required": True, "help": ".caffemodel to read"},
            "out": {"type": Path, "required": True, "help": "file or folder to write"},
            "dataset": {"choices": list(LAYOUTS), "default": "synthetic", "help": "what the images are"},
            "model": {"choices": list(MODELS), "default": "mini", "help": "the network"},
        }
        for option in options:
            sub.add_argument(f"--{option}", **shared[option])
        return sub

    sub = stage(data, "render faces in LFW's layout", "out")
    sub.add_argument("--people", type=int, default=2000, help="identities")
    sub.add_argument("--pictures", type=int, default=6, help="pictures of each")
    sub.add_argument("--size", type=int, default=92, help="side in pixels, 64 to 512")
    sub.add_argument("--label-noise", type=float, default=0.0, help="standard deviation of noise on the scores, 0.6 to 1.2 in size")
    sub.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")

    sub = stage(sheet, "draw a rendered person without and with each attribute", "out")
    sub.add_argument("--size", type=int, default=96, help="side of a face in pixels")
    sub.add_argument("--columns", type=int, default=7, help="pairs in a row")

    stage(weights, "download VGG-Face's weights", "out")
    stage(lfw, "download LFW and its attribute scores", "out")
    sub = stage(pubfig, "download PubFig's images by its index", "out")
    sub.add_argument("--index", type=Path, help="folder with dev_urls.txt, eval_urls.txt and pubfig_attributes.txt; without it, downloaded")

    sub = stage(lmdb, "build LMDBs of images and labels, split by person", "dataset", "model", "out")
    sub.add_argument("--faces", type=Path, required=True, help="folder of images and attribute file, in LFW's layout")
    sub.add_argument(
        "--margin", type=int, help="pixels beyond the net's input from which training cuts at random; the model's own without it"
    )
    sub.add_argument("--encoded", action="store_true", help="store JPEG instead of raw pixels")

    stage(write_nets, "write the committed prototxt files", "out")

    sub = stage(pretrain, "train the net on the identities of the training people", "lmdb", "dataset", "model", "out")
    sub.add_argument("--epochs", type=float, default=3)
    sub.add_argument("--rate", type=float, default=2e-3, help="learning rate")

    sub = stage(finetune, "train the 42 heads and the layers from FREEZE upwards", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--freeze", choices=nets.STAGES, default="none", help="layers beneath this one do not learn")
    sub.add_argument("--epochs", type=float, default=6)
    sub.add_argument("--rate", type=rate, default=2e-3, help="learning rate, or search to start high and lower it until the loss falls")
    sub.add_argument("--fall", type=float, default=1.0, help="learning rate of a stage over that of the one above")
    sub.add_argument("--weigh-classes", action="store_true", help="let rare classes of a head count more")
    sub.add_argument("--dropout-everywhere", action="store_true", help="dropout after convolutions, too")
    sub.add_argument("--cache", type=Path, help="folder for what the frozen layers give, to train the others from")
    sub.add_argument("--dropout", type=float, help="ratio after fc6 and fc7; the model's own without it")

    sub = stage(experiments, "finetune and evaluate every row of a grid of settings", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--grid", type=Path, default=DATA / "experiments.csv", help="table of settings")
    sub.add_argument("--epochs", type=float, default=6)
    sub.add_argument("--rate", type=rate, default=2e-3, help="learning rate, or search")

    stage(evaluate, "accuracy, balanced accuracy and AUC per attribute, by split", "lmdb", "weights", "dataset", "model", "out")

    stage(baseline, "the same scores of ridge regression on HOG and mean colours", "lmdb", "dataset", "model", "out")

    sub = stage(bench, "speeds, side by side with Caffe's own tools", "lmdb", "weights", "model")
    sub.add_argument("--faces", type=Path, required=True, help="folder of rendered faces")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--rounds", type=int, default=3, help="of each measurement")

    sub = stage(activations, "store one layer's activations for all images", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--layer", default="conv5_3", help="conv1_1 to conv5_3, fc6 or fc7")

    sub = stage(fit_cgmm, "fit a Gaussian per attribute and the weights", "out")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--images-per-attribute", type=int, default=100, help="size of the sets S_i")
    sub.add_argument("--lam", type=float, default=1e-5, help="lambda of Eq. 3")
    sub.add_argument("--epochs", type=int, default=10, help="of SGD")
    sub.add_argument("--rate", type=float, default=1.0, help="learning rate at which SGD's search begins; the paper's began at 1e-6")

    sub = stage(diagnose, "what activations, attributes and targets are like", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--cgmm", type=Path, required=True, help="fitted cGMM")

    sub = stage(gradcheck, "compare the cGMM's gradient with central differences")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")

    sub = stage(eigenfaces, "find the eigenfaces that inversion moves along", "lmdb", "dataset", "model", "out")
    sub.add_argument("--images", type=int, default=2000, help="of training people")
    sub.add_argument("--components", type=int, default=300, help="eigenfaces to keep")

    sub = stage(attrs, "check attributes before anything is made for them")
    sub.add_argument("attrs", help="comma-separated attributes, or @file with a set in each line")

    sub = stage(generate, "invert the target of some attributes to a face", "lmdb", "weights", "dataset", "model")
    sub.add_argument("--cgmm", type=Path, required=True, help="fitted cGMM")
    sub.add_argument("--eigenfaces", type=Path, help="eigenfaces to move along, for the preset faces")
    sub.add_argument("--attrs", required=True, help="comma-separated attributes, or @file with a set in each line")
    sub.add_argument("--preset", choices=list(PRESETS), default="faces", help="how to descend")
    sub.add_argument("--target", choices=[*TARGETS, "classes"], default="conditional", help="classes for class visualisation")
    sub.add_argument("--strength", type=float, default=2.0, help="of the target, where it is not the paper's")
    sub.add_argument("--liking", type=float, default=0.0, help="weight of the heads' scores beside the target")
    sub.add_argument("--animate", action="store_true", help="write the descent as a GIF, too")
    sub.add_argument("--folder", type=Path, default=Path("results"), help="where faces go, named by their attributes")
    sub.add_argument("--out", type=Path, help="PNG to write instead")
    return top


def main() -> int:
    """Run a subcommand; bad input is one sentence and status 2, an interrupt says how to go on and is status 130."""
    args = parser().parse_args()
    try:
        if args.gpu is not None:
            use_gpu(args.gpu)
        args.run(args)
        if args.run is not generate and getattr(args, "out", None):
            print(f"wrote {args.out}")
    except (UserError, OSError) as error:
        print(f"attr2face: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("attr2face: interrupted; the same command goes on from the last snapshot", file=sys.stderr)
        return 130
    return 0

"""What the command line's stages do: each parses, calls the package, and prints what a user wants to know."""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from attr2face import comparison, datasets, diagnosis, faces, inversion, lmdbs, nets, stages
from attr2face.attributes import file_name, parse_sets
from attr2face.bench import bench as measure_speed
from attr2face.contact_sheet import contact_sheet
from attr2face.experiments import run_grid
from attr2face.fitting import check_gradient, fit
from attr2face.models import MODELS, model_named
from attr2face.paper import Results, make_paper
from attr2face.sources import fetch_lfw, fetch_pubfig, fetch_vgg_face

WEAK_AUC = 0.9
LAYOUTS = {"synthetic": ("attributes.txt", "images"), "lfw": ("lfw_attributes.txt", "lfw"), "pubfig": ("attributes.txt", "images")}


def data(args: argparse.Namespace) -> None:
    datasets.render_dataset(args.out, args.people, args.pictures, args.size, args.label_noise, args.seed, args.workers)


def sheet(args: argparse.Namespace) -> None:
    contact_sheet(args.out, args.size, args.columns, args.seed)


def weights(args: argparse.Namespace) -> None:
    fetch_vgg_face(args.out)


def lfw(args: argparse.Namespace) -> None:
    fetch_lfw(args.out)


def pubfig(args: argparse.Namespace) -> None:
    fetch_pubfig(args.index, args.out)


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
    stages.pretrain(args.lmdb, args.out, args.dataset, model_named(args.model), args.epochs, args.rate, args.seed, args.devices)


def finetune(args: argparse.Namespace) -> None:
    model = replace(model_named(args.model), fall=args.fall, dropout_everywhere=args.dropout_everywhere)
    if args.dropout is not None:
        model = replace(model, dropout=args.dropout)
    settings = stages.Finetuning(args.freeze, args.epochs, args.rate, args.cache, args.weigh_classes)
    stages.finetune(args.lmdb, args.out, args.weights, args.dataset, model, settings, args.seed, args.devices)


def experiments(args: argparse.Namespace) -> None:
    model = model_named(args.model)
    run_grid(args.grid, args.lmdb, args.weights, args.dataset, model, args.epochs, args.rate, args.seed, args.out, args.devices)


def score(args: argparse.Namespace) -> None:
    summary = stages.score(args.lmdb, args.weights, args.dataset, model_named(args.model), args.out)
    print(summary.round(3).to_string())


def judge(args: argparse.Namespace) -> None:
    table = stages.fit_judge(args.lmdb, args.dataset, model_named(args.model), args.out)
    weak = table[table["auc"] < WEAK_AUC].sort_values("auc")
    print(table[["majority", "accuracy", "balanced_accuracy", "auc"]].mean().round(3).to_string())
    print(f"AUC below {WEAK_AUC}: {len(weak)} of {len(table)}")
    print(weak[["attribute", "positives", "auc"]].round(3).to_string(index=False) if len(weak) else "")


def activations(args: argparse.Namespace) -> None:
    stages.extract_layer(args.lmdb, args.weights, args.dataset, model_named(args.model), args.layer, args.out, args.devices)


def bench(args: argparse.Namespace) -> None:
    files = (args.faces, args.lmdb, args.weights, args.activations)
    print(measure_speed(*files, model_named(args.model), args.gpu, args.torch, args.rounds).to_string(index=False))


def fit_cgmm(args: argparse.Namespace) -> None:
    print(fit(args.activations, args.out, args.images_per_attribute, args.lam, args.epochs, args.rate, args.seed))


def diagnose(args: argparse.Namespace) -> None:
    files = (args.activations, args.cgmm, args.weights, args.lmdb, args.dataset, model_named(args.model))
    numbers, targets = diagnosis.diagnose(*files, args.out, args.seed)
    print(pd.Series(numbers).round(3).to_string(), targets.round(3).to_string(), sep="\n\n")


def gradcheck(args: argparse.Namespace) -> None:
    print(f"relative error of the gradient: {check_gradient(args.activations, args.seed):.2e}")


def attrs(args: argparse.Namespace) -> None:
    for chosen in parse_sets(args.attrs):
        print("attributes:", ", ".join(chosen))


def eigenfaces(args: argparse.Namespace) -> None:
    stages.learn_eigenfaces(args.lmdb, args.out, args.dataset, model_named(args.model), args.images, args.components, args.seed)


def _sources(args: argparse.Namespace) -> faces.Sources:
    return faces.Sources(args.cgmm, args.eigenfaces, args.weights, args.lmdb, model_named(args.model))


def _making(args: argparse.Namespace) -> faces.Making:
    return faces.Making(args.preset, args.target, args.strength, args.liking, args.seed, getattr(args, "animate", False))


def generate(args: argparse.Namespace) -> None:
    sets = parse_sets(args.attrs)
    folder = args.folder / Path(args.attrs[1:]).stem if args.attrs.startswith("@") else args.folder
    outs = [args.out or folder / f"{file_name(chosen)}.png" for chosen in sets]
    print(faces.make_faces(_sources(args), args.dataset, sets, _making(args), outs, args.devices).to_string(index=False))
    if args.attrs.startswith("@"):
        faces.write_face_sheet(outs, sets, args.out or folder / "sheet.png")
    print(f"wrote {outs[0] if len(outs) == 1 else folder}")


def evaluate(args: argparse.Namespace) -> None:
    methods = {
        "class visualisation": faces.Making("paper", "classes", seed=args.seed),
        "paper": faces.Making("paper", "paper", seed=args.seed),
        f"{args.target} {args.preset}": _making(args),
    }
    table = comparison.compare(
        _sources(args), args.dataset, methods, args.judge, args.identities, args.images, args.split, args.seed, args.out, args.devices
    )
    print(table.round(3).to_string(index=False))


def invert(args: argparse.Namespace) -> None:
    sources = faces.Sources(None, args.eigenfaces, args.weights, args.lmdb, model_named(args.model))
    table = inversion.invert(sources, args.dataset, args.photo, args.layers.split(","), args.preset, args.seed, args.out)
    print(table.round(3).to_string(index=False))


def paper(args: argparse.Namespace) -> None:
    results = Results(args.scores, args.experiments, args.diagnosis, args.evaluation, args.inversion)
    make_paper(_sources(args), args.dataset, args.identities, results, args.layer, args.out, args.seed)

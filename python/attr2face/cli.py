"""The command line: one subcommand per stage, each reading files and writing files whose paths it is given."""

import argparse
import os
import sys
from pathlib import Path

from attr2face import commands as do
from attr2face import nets
from attr2face.attributes import DATA
from attr2face.errors import UserError
from attr2face.generation import PRESETS
from attr2face.gpu import devices_named, use
from attr2face.models import MODELS
from attr2face.targets import TARGETS


def rate(text: str) -> float | None:
    """A learning rate; None for `search`."""
    return None if text == "search" else float(text)


def parser() -> argparse.ArgumentParser:
    """Every subcommand with its options; `--help` shows the defaults."""
    top = argparse.ArgumentParser("attr2face", description=__doc__)
    top.add_argument("--gpu", default="", help="cards to run Caffe on, such as 0 or 0,1; the CPU without it")
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
            "dataset": {"choices": list(do.LAYOUTS), "default": "synthetic", "help": "what the images are"},
            "model": {"choices": list(MODELS), "default": "mini", "help": "the network"},
        }
        for option in options:
            sub.add_argument(f"--{option}", **shared[option])
        return sub

    sub = stage(do.data, "render faces in LFW's layout", "out")
    sub.add_argument("--people", type=int, default=2000, help="identities")
    sub.add_argument("--pictures", type=int, default=6, help="pictures of each")
    sub.add_argument("--size", type=int, default=92, help="side in pixels, 64 to 512")
    sub.add_argument("--label-noise", type=float, default=0.0, help="standard deviation of noise on the scores, 0.6 to 1.2 in size")
    sub.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")

    sub = stage(do.sheet, "draw a rendered person without and with each attribute", "out")
    sub.add_argument("--size", type=int, default=96, help="side of a face in pixels")
    sub.add_argument("--columns", type=int, default=7, help="pairs in a row")

    stage(do.weights, "download VGG-Face's weights", "out")
    stage(do.lfw, "download LFW and its attribute scores", "out")
    sub = stage(do.pubfig, "download PubFig's images by its index", "out")
    sub.add_argument("--index", type=Path, help="folder with dev_urls.txt, eval_urls.txt and pubfig_attributes.txt; without it, downloaded")

    sub = stage(do.lmdb, "build LMDBs of images and labels, split by person", "dataset", "model", "out")
    sub.add_argument("--faces", type=Path, required=True, help="folder of images and attribute file, in LFW's layout")
    sub.add_argument(
        "--margin", type=int, help="pixels beyond the net's input from which training cuts at random; the model's own without it"
    )
    sub.add_argument("--encoded", action="store_true", help="store JPEG instead of raw pixels")

    stage(do.write_nets, "write the committed prototxt files", "out")

    sub = stage(do.pretrain, "train the net on the identities of the training people", "lmdb", "dataset", "model", "out")
    sub.add_argument("--epochs", type=float, default=3)
    sub.add_argument("--rate", type=float, default=2e-3, help="learning rate")

    sub = stage(do.finetune, "train the 42 heads and the layers from FREEZE upwards", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--freeze", choices=nets.STAGES, default="none", help="layers beneath this one do not learn")
    sub.add_argument("--epochs", type=float, default=6)
    sub.add_argument("--rate", type=rate, default=2e-3, help="learning rate, or search to start high and lower it until the loss falls")
    sub.add_argument("--fall", type=float, default=1.0, help="learning rate of a stage over that of the one above")
    sub.add_argument("--weigh-classes", action="store_true", help="let rare classes of a head count more")
    sub.add_argument("--dropout-everywhere", action="store_true", help="dropout after convolutions, too")
    sub.add_argument("--cache", type=Path, help="folder for what the frozen layers give, to train the others from")
    sub.add_argument("--dropout", type=float, help="ratio after fc6 and fc7; the model's own without it")

    sub = stage(do.experiments, "finetune and evaluate every row of a grid of settings", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--grid", type=Path, default=DATA / "experiments.csv", help="table of settings")
    sub.add_argument("--epochs", type=float, default=6)
    sub.add_argument("--rate", type=rate, default=2e-3, help="learning rate, or search")

    stage(do.score, "accuracy, balanced accuracy and AUC per attribute, by split", "lmdb", "weights", "dataset", "model", "out")

    stage(do.judge, "train ridge regression on HOG and mean colours, and score it", "lmdb", "dataset", "model", "out")

    sub = stage(do.bench, "speeds, side by side with Caffe's own tools", "lmdb", "weights", "model")
    sub.add_argument("--faces", type=Path, required=True, help="folder of rendered faces")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--torch", default="", help="a Python that has PyTorch, to compare generation with")
    sub.add_argument("--rounds", type=int, default=3, help="of each measurement")

    sub = stage(do.activations, "store one layer's activations for all images", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--layer", default="conv5_3", help="conv1_1 to conv5_3, fc6 or fc7")

    sub = stage(do.fit_cgmm, "fit a Gaussian per attribute and the weights", "out")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--images-per-attribute", type=int, default=100, help="size of the sets S_i")
    sub.add_argument("--lam", type=float, default=1e-5, help="lambda of Eq. 3")
    sub.add_argument("--epochs", type=int, default=10, help="of SGD")
    sub.add_argument("--rate", type=float, default=1.0, help="learning rate at which SGD's search begins; the paper's began at 1e-6")

    sub = stage(do.diagnose, "what activations, attributes and targets are like", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")
    sub.add_argument("--cgmm", type=Path, required=True, help="fitted cGMM")

    sub = stage(do.gradcheck, "compare the cGMM's gradient with central differences")
    sub.add_argument("--activations", type=Path, required=True, help="HDF5 file of activations")

    sub = stage(do.eigenfaces, "find the eigenfaces that inversion moves along", "lmdb", "dataset", "model", "out")
    sub.add_argument("--images", type=int, default=4000, help="of training people")
    sub.add_argument("--components", type=int, default=1000, help="eigenfaces to keep")

    sub = stage(do.attrs, "check attributes before anything is made for them")
    sub.add_argument("attrs", help="comma-separated attributes, or @file with a set in each line")

    def from_attributes(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--cgmm", type=Path, required=True, help="fitted cGMM")
        sub.add_argument("--eigenfaces", type=Path, help="eigenfaces to move along, for the preset faces")
        sub.add_argument("--preset", choices=list(PRESETS), default="faces", help="how to descend")
        sub.add_argument("--target", choices=[*TARGETS, "classes"], default="conditional", help="classes for class visualisation")
        sub.add_argument("--strength", type=float, default=2.0, help="of the target, where it is not the paper's")
        sub.add_argument("--liking", type=float, default=0.0, help="weight of the heads' scores beside the target")

    sub = stage(do.generate, "invert the target of some attributes to a face", "lmdb", "weights", "dataset", "model")
    from_attributes(sub)
    sub.add_argument("--attrs", required=True, help="comma-separated attributes, or @file with a set in each line")
    sub.add_argument("--animate", action="store_true", help="write the descent as a GIF, too")
    sub.add_argument("--folder", type=Path, default=Path("results"), help="where faces go, named by their attributes")
    sub.add_argument("--out", type=Path, help="PNG to write instead")

    sub = stage(do.evaluate, "faces for the attributes of unseen people, before a judge", "lmdb", "weights", "dataset", "model", "out")
    from_attributes(sub)
    sub.add_argument("--judge", type=Path, required=True, help="judge to ask")
    sub.add_argument("--identities", type=Path, required=True, help=".caffemodel whose fc7 tells people apart")
    sub.add_argument("--images", type=int, default=100, help="of unseen people, whose attributes are taken")
    sub.add_argument("--split", choices=["val", "test"], default="test", help="whose")

    sub = stage(do.invert, "invert the activations of photographs, layer by layer", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--eigenfaces", type=Path, help="eigenfaces to move along, for the preset faces")
    sub.add_argument("--preset", choices=list(PRESETS), default="photograph", help="how to descend")
    sub.add_argument("--layers", default="conv3_3,conv4_3,conv5_3,fc6,fc7", help="comma-separated")
    sub.add_argument("--photo", type=Path, help="a picture; six of test people without it")

    sub = stage(do.paper, "every figure and table of the paper, in one report", "lmdb", "weights", "dataset", "model", "out")
    sub.add_argument("--cgmm", type=Path, required=True, help="fitted cGMM")
    sub.add_argument("--eigenfaces", type=Path, help="eigenfaces")
    sub.add_argument("--identities", type=Path, required=True, help=".caffemodel that finetuning started from")
    sub.add_argument("--scores", type=Path, required=True, help="table that score wrote")
    for folder in ("experiments", "diagnosis", "evaluation", "inversion"):
        sub.add_argument(f"--{folder}", type=Path, required=True, help="folder of that stage")
    sub.add_argument("--layer", default="conv5_3", help="of the inversion of Figure 5")
    return top


def main() -> int:
    """Run a subcommand; bad input is one sentence and status 2, an interrupt says how to go on and is status 130."""
    args = parser().parse_args()
    try:
        args.devices = devices_named(args.gpu)
        use(args.devices[0])
        args.run(args)
        if args.run is not do.generate and getattr(args, "out", None):
            print(f"wrote {args.out}")
    except (UserError, OSError) as error:
        print(f"attr2face: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("attr2face: interrupted; the same command goes on from the last snapshot", file=sys.stderr)
        return 130
    return 0

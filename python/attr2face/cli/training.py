"""Commands from faces to activations and the cGMM. Each makes a step and prints what a user wants to know."""

from attr2face.cli.run import CommandLine, check_vgg
from attr2face.errors import UserError


def data(run: CommandLine) -> None:
    """render or download the faces"""
    print(run.steps.made("faces"))


def align(run: CommandLine) -> None:
    """find the eyes in photographs, and show some of them aligned"""
    import csv

    if run.steps.dataset.rendered:
        raise UserError(
            "rendered faces are drawn in place; choose photographs, such as DATASET=lfw, to align them"
        )
    if not run.steps.settings.alignment.align:
        raise UserError("ALIGN=no aligns nothing; set ALIGN=1 with this command and with those that follow")
    folder = run.steps.made("found_landmarks")
    with (folder / "not_found.csv").open(newline="") as file:
        missing = len(list(csv.reader(file))) - 1
    print(f"{missing} pictures without eyes: {folder / 'not_found.csv'}")
    print(folder / "sheet.png")


def landmarks(run: CommandLine) -> None:
    """find the landmarks of faces, and who looks ahead, for the appearance model"""
    import pandas as pd

    folder = run.steps.made("looks")
    table = pd.read_csv(folder / "landmarks.csv")
    limit = run.steps.settings.cutting_out.ahead
    found, ahead = table["found"].sum(), table["ahead"].sum()
    print(f"{found} of {len(table)} faces are found, and {ahead} of them look ahead (AHEAD={limit})")
    print(folder / "landmarks.csv")
    print(folder / "sheet.png")


def masks(run: CommandLine) -> None:
    """read the parts of heads in photographs, and show some of them cut out"""
    if run.steps["masks"] is None:
        raise UserError(
            "there are no masks of rendered faces; choose photographs, such as DATASET=lfw"
            if run.steps.dataset.rendered
            else "no net reads parts of heads; restore models/parsing/default.h5, or set PARSING"
        )
    if run.steps.settings.cutting_out.parsing:
        from attr2face.cli.run import print_table

        print_table(run.steps.made("parsing_net") / "accuracy.csv")
    print(run.steps.made("masks") / "sheet.png")


def appearance(run: CommandLine) -> None:
    """fit the appearance model of faces, and show its mean and its first components"""
    print(run.steps.made("appearance") / "components.png")


def textures(run: CommandLine) -> None:
    """warp the pictures of the appearance model to its mean shape, to train a net for detail"""
    print(run.steps.made("textures") / "textures.npy")


def lmdb(run: CommandLine) -> None:
    """build LMDBs of images and labels, split by person"""
    print(run.steps.made("lmdb"))


def weights(run: CommandLine) -> None:
    """download VGG-Face's published weights"""
    from attr2face.data.sources import fetch_vgg_face
    from attr2face.models import MODELS
    from attr2face.network import prototxt
    from attr2face.network.weights import load
    from attr2face.steps.places import vgg_face

    path = vgg_face(run.steps.store.root)
    if not path.exists():
        fetch_vgg_face(path)
        load(prototxt.deploy(MODELS["vgg_face"]), path)
    print(path)


def pretrain(run: CommandLine) -> None:
    """train mini on the identities of other rendered people"""
    check_vgg(run.steps, "pretrain")
    print(run.steps.made("pretrained"))


def finetune(run: CommandLine) -> None:
    """train the heads, and score them on unseen people"""
    from attr2face.evaluation.scores import mean_scores

    print(mean_scores(run.steps.made("scores")).round(3).to_string())
    print(run.steps["finetuned"].path)


def activations(run: CommandLine) -> None:
    """store one layer's activations for all images"""
    print(run.steps.made("activations"))


def cgmm(run: CommandLine) -> None:
    """fit a Gaussian per attribute, and the weights"""
    folder = run.steps.made("mixture")
    print((folder / "report.txt").read_text(), end="")
    print(folder)


def gradcheck(run: CommandLine) -> None:
    """compare the cGMM's gradient, and that of drawing heads, with central differences"""
    from attr2face.cgmm.fitting import check_gradient
    from attr2face.generation.loaded import load_trained
    from attr2face.generation.preset import Preset
    from attr2face.generation.priors import spaces_of
    from attr2face.generation.priors.appearance import gradient_errors
    from attr2face.steps.fitting import trained_by

    seed = run.steps.settings.seed
    error = check_gradient(run.steps.made("activations") / "activations.h5", seed)
    print(f"relative error of the gradient: {error:.2e}")
    if run.steps["landmark_source"]:
        (heads,) = spaces_of(load_trained(trained_by(run.steps, "appearance")), Preset(prior="appearance"))
        for part, error in gradient_errors(heads, seed).items():
            print(f"of drawing heads, by {part}: {error:.2e}")


def diagnose(run: CommandLine) -> None:
    """describe activations and attributes, and what the heads see in each target"""
    import pandas as pd

    from attr2face.evaluation.diagnosis import best_targets

    folder = run.steps.made("diagnosis")
    print(pd.read_csv(folder / "numbers.csv").round(3).to_string(index=False, header=False), end="\n\n")
    print(best_targets(pd.read_csv(folder / "targets.csv")).round(3).to_string())
    print(folder)


def baseline(run: CommandLine) -> None:
    """score ridge regression on HOG and mean colours on the same unseen people"""
    import pandas as pd

    from attr2face.evaluation.scores import MEANS

    folder = run.steps.made("baseline")
    print(pd.read_csv(folder / "scores.csv")[MEANS].mean().round(3).to_string())
    print(folder)


def experiments(run: CommandLine) -> None:
    """finetune and score every row of a grid of settings"""
    from attr2face.cli.run import print_table

    folder = run.steps.made("experiments")
    for name in ("table.csv", "table1.csv"):
        print_table(folder / name)
    print(folder)


def retrain(run: CommandLine) -> None:
    """make all that faces are made from in one small file, and compare it with the one in models"""
    from attr2face.generation.bundle import compare_bundles
    from attr2face.steps.places import committed_file

    check_vgg(run.steps, "retrain")
    bundle = run.steps.made("bundle") / "default.h5"
    print(bundle)
    dataset = run.steps.dataset
    if not dataset.nets or not committed_file(dataset).exists():
        print("no nets are committed to compare them with")
        return
    for name, difference in compare_bundles(committed_file(dataset), bundle).items():
        print(f"{name}: relative difference {difference:.2g}")

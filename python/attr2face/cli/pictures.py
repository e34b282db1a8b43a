"""Commands that make pictures and judge them."""

from pathlib import Path

from attr2face.cli.run import CommandLine, check_vgg, place, places_of_faces, print_table, results_folder
from attr2face.errors import UserError
from attr2face.steps import Steps
from attr2face.steps.places import CHECKOUT
from attr2face.store.export import export


def generate(run: CommandLine) -> None:
    """make a face with some attributes"""
    faces = run.faces
    print_table(faces.made() / "reading.csv")
    _print_origins(faces.path)
    print(faces.path)
    for name, target in places_of_faces(run).items():
        print(export(faces.store, faces.path / name, target))


def _print_origins(folder: Path) -> None:
    """Say of each face who lent the head, and which known picture is nearest, where this is recorded."""
    import pandas as pd

    if not (folder / "origins.csv").exists():
        return
    for origin in pd.read_csv(folder / "origins.csv", keep_default_na=False).to_dict("records"):
        told = []
        if "lender" in origin:
            told += [
                f"hair, ears and neck of {origin['lender']}" if origin["lender"] else "nobody lent a head"
            ]
        if "nearest" in origin:
            told += [f"the nearest training picture is {origin['nearest']}, cosine {origin['cosine']:.2f}"]
        print(f"face {origin['face']}: {'; '.join(told)}")


def edit(run: CommandLine) -> None:
    """give the face in a photograph attributes, or take some away, such as Smiling,!Eyeglasses"""
    import json

    # Refuses a photograph that is not to be read, or shows no face, before anything is made for it.
    run.steps.made("photo_landmarks")
    edited = run.steps.varied(changes=run.changes)["edited"]
    print_table(edited.made() / "reading.csv")
    told = json.loads((edited.path / "others.json").read_text())
    print(f"the judge reads {told['others']} other attributes, {told['as before']} of them as before")
    if "cosine" in told:
        print(f"cosine of the identity net's features before and after: {told['cosine']:.2f}")
    if told["not reached"]:
        print(f"not seen by the net in the end: {', '.join(told['not reached'])}; raise STRENGTH")
    name, usual = edited.path.name, results_folder() / edited.group
    target = place(run.options.out, f"{name}.png", usual)
    print(export(edited.store, edited.path / "edited.png", target))
    print(export(edited.store, edited.path / "sheet.png", target.with_name(f"{target.stem}-both.png")))


def invert(run: CommandLine) -> None:
    """make photographs from their activations, layer by layer, or a picture from activations of your own"""
    settings = run.steps.settings
    if settings.activations:
        step = run.steps["inverted_activations"]
        _check_activations(run.steps)
    else:
        step = run.steps["inverted"]
    if settings.photo:
        _check_photograph(run.steps)
    print_table(step.made() / "table.csv")
    print(step.path)


def evaluate(run: CommandLine) -> None:
    """compare methods of generation for unseen people's attributes, before two judges"""
    import pandas as pd

    from attr2face.evaluation.summary import columns_of

    folder = run.steps.made("evaluation")
    intervals = pd.read_csv(folder / "intervals.csv")
    shown = (
        "requested seen, ridge",
        "requested seen, net",
        "not there, but seen, ridge",
        "one face",
        "rank of own",
    )
    print(columns_of(intervals, shown).to_markdown(index=False, disable_numparse=True))
    print(folder)


def report(run: CommandLine) -> None:
    """make every figure and table of the paper, in one page"""
    check_vgg(run.steps, "paper")
    step = run.steps["report"]
    page = step.made() / "report.html"
    name = f"{step.group}-{step.path.name}.html"
    print(export(run.steps.store, page, place(run.options.out, name, results_folder())))


def results(run: CommandLine) -> None:
    """write the numbers of one dataset into docs/results.json, and the tables of docs/results.md from it"""
    from attr2face.files import atomic_write
    from attr2face.report.results import filled, result_tables, write_results
    from attr2face.steps.comparing import own_method

    steps, document = run.steps, CHECKOUT / "docs" / "results.md"
    _check_documented(run)
    numbers = steps.made("numbers")
    own = own_method(steps.view("compared"))
    name = f"{steps['numbers'].group}-{own}"
    shown = write_results(document.parent, name, numbers, steps["evaluation"].path)
    text = filled(document.read_text(), result_tables(shown))
    with atomic_write(document) as temporary:
        temporary.write_text(text)
    print(numbers / "numbers.json")


def _check_documented(run: CommandLine) -> None:
    """Refuse settings whose numbers docs/results.md has no place for."""
    check_vgg(run.steps, "results")
    taken = ("dataset", "model", "seeds", "root", "identity", "preset", "methods")
    other = [name.upper() for name in run.steps.given if name not in taken]
    if run.steps.dataset.root:
        raise UserError(
            "make results writes the project's documents, and takes no folder of your own; "
            "make paper shows the same of it"
        )
    if other:
        raise UserError(
            f"make results shows the defaults in docs/results.md, and takes no {other[0]}; "
            "make paper takes all settings"
        )
    document = CHECKOUT / "docs" / "results.md"
    if not document.exists():
        raise UserError(f"{document} does not exist; make results works in a clone of the project")


def _check_photograph(steps: Steps) -> None:
    """Refuse a photograph that cannot be read, before anything is made for it."""
    from attr2face.steps.photographs import read_photograph

    read_photograph(steps["photo"].made(), steps.view("inverted"))


def _check_activations(steps: Steps) -> None:
    """Refuse ACTIVATIONS that are not of LAYER, before anything is made for them."""
    from attr2face.generation.inversion import read_given_activations
    from attr2face.network.prototxt import feature_shape
    from attr2face.steps.data import check_own_net

    check_own_net(steps)
    layer = steps.settings.layer
    read_given_activations(steps.settings.activations, layer, feature_shape(steps.model, layer))

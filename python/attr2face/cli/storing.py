"""Commands about settings, steps, and what the store holds."""

from pathlib import Path

from attr2face.cli.options import OPTIONS
from attr2face.cli.run import CommandLine
from attr2face.settings import as_dict, as_text, leaves
from attr2face.steps.listing import listed_steps
from attr2face.steps.resolve import choices_of
from attr2face.store import MANIFEST


def config(run: CommandLine) -> None:
    """print the settings in force, and what each means; or all steps, with STEPS=1"""
    if run.options.steps:
        print(listed_steps(run.steps))
        return
    usual = as_dict(run.steps.usual)
    for holder, f in leaves(run.steps.settings):
        value = getattr(holder, f.name)
        choices = ", ".join(f.metadata["choices"] or choices_of(f.name, run.steps.model))
        default = "" if value == usual[f.name] else f" (the default is {as_text(usual[f.name])})"
        meaning = f.metadata["help"] + (choices and f": {choices}")
        print(f"{f.name.upper():21} {as_text(value):12} {meaning}{default}")
    for name, value in vars(run.options).items():
        if name in OPTIONS:
            print(f"{name.upper():21} {as_text(value):12} {OPTIONS[name]}")


def status(run: CommandLine) -> None:
    """list what the store holds: size, when it was made, and from what"""
    store, total = run.steps.store, 0
    manifests = store.manifests()
    if not manifests:
        print("nothing is made yet")
    for folder, manifest in manifests.items():
        print(f"{manifest['bytes'] / 1e6:9.1f} MB  {manifest['finished']}  {folder.relative_to(store.root)}")
        print(f"{'':14}from {_made_from(manifest)}")
        total += manifest["bytes"]
    for folder, record in store.unfinished().items():
        print(f"unfinished: {record['name']}, in {folder}")
    print(f"{total / 1e6:9.1f} MB in {store.root}")


def clean(run: CommandLine) -> None:
    """remove from the store what no settings lead to any more, or everything with --all"""
    from attr2face.steps.reachable import reachable

    store = run.steps.store
    with store.locks.in_use(alone=True):
        keep = set() if run.options.all else reachable(store)
        doomed = {}
        for folder, manifest in store.manifests().items():
            if manifest["key"] not in keep:
                doomed[folder] = (manifest["key"], "")
        for folder, manifest in store.outdated().items():
            doomed[folder] = (manifest["key"], ", made by an earlier version")
        for folder, record in store.unfinished().items():
            if folder.name not in keep:
                doomed[folder] = (folder.name, f", an unfinished {record['name']}")
        for folder, (_, why) in doomed.items():
            print(f"to be removed: {folder}{why}")
        if doomed and not run.options.yes and not _agreed():
            print("nothing was removed")
            return
        removed = sum(store.remove(folder, key) for folder, (key, _) in doomed.items())
        print(f"removed {removed}, kept {len(store.manifests())}")


def _agreed() -> bool:
    try:
        return input("remove them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _made_from(manifest: dict, most: int = 6) -> str:
    """The inputs of an artefact: stage and key, or the path of a user's file."""
    names = []
    for made_from in manifest["inputs"].values():
        path = Path(made_from["path"])
        ours = (path / MANIFEST).exists() or (path.parent / MANIFEST).exists()  # or a part of one
        names.append(f"{path.name.partition('-')[0]}-{made_from['key'][:8]}" if ours else str(path))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

"""What is in a store that settings still lead to."""

from attr2face.errors import UserError
from attr2face.settings import FIELDS
from attr2face.steps.graph import Steps
from attr2face.steps.registry import Use, all_steps
from attr2face.store import Store


def reachable(store: Store) -> set[str]:
    """Keys of what is in the store that the settings it was made with still lead to, by today's defaults,
    code and input files.

    What was made from a file that does not exist now, or with a value that cannot be read, is counted, too.
    """
    keys, known = set(), all_steps()
    first = Steps({}, store.root)
    for record in [*store.manifests().values(), *store.unfinished().values()]:
        origin = record["origin"]
        if origin.get("step") not in known or not FIELDS.keys() >= origin["given"].keys():
            continue
        changes = {**origin["given"], **origin["arguments"]}
        try:
            found = first.at(Use(origin["step"], changes, anew=True))[origin["step"]].key
        except UserError:
            found = record["key"]
        if found == record["key"]:
            keys.add(found)
    return keys

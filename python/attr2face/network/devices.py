"""GPUs: the cards that a user names."""

import re
import subprocess
import sys

from attr2face.errors import UserError

# Caffe aborts where a card does not exist, so another process tries.
TRIAL = "import sys, caffe; [caffe.set_device(int(card)) for card in sys.argv[1:]]; print(caffe.has_nccl())"


def parse_cards(text: str) -> tuple[int, ...]:
    """The cards that GPU=`text` names, as in "0" or "0,1", after each was tried; none where it is empty.

    Raises
    ------
    UserError
        If a card does not exist, Caffe was built for the CPU only, or without NCCL and several are named.
    """
    if not text:
        return ()
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise UserError(f"GPU={text} does not name cards; give their numbers, such as GPU=0 or GPU=0,1")
    cards = tuple(dict.fromkeys(map(int, text.split(","))))
    trial = subprocess.run([sys.executable, "-c", TRIAL, *map(str, cards)], capture_output=True, text=True)
    if "CPU-only" in trial.stderr:
        remedy = f"build one with CUDA by make setup GPU={text}, or leave GPU empty"
        raise UserError(f"GPU={text}: this Caffe was built for the CPU only; {remedy}")
    if trial.returncode:
        found = re.search(r"vs\. 0\)\s+(.+)", trial.stderr)
        reason = found[1] if found else "Caffe ended"
        raise UserError(f"GPU={text} cannot be used ({reason}); see nvidia-smi, or leave GPU empty")
    if len(cards) > 1 and "True" not in trial.stdout:
        remedy = "name one card"
        raise UserError(f"GPU={text}: this Caffe was built without NCCL, which several cards need; {remedy}")
    return cards

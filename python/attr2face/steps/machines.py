"""What computes, as a user names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.settings import switch
from attr2face.steps.places import default_store

if TYPE_CHECKING:
    from attr2face.cluster.description import Cluster


def machine_of(gpu: str, workers: int, cluster: Cluster | None = None) -> Machine:
    """The processes, cards or workers that GPU, WORKERS and SCHEDULER name.

    Raises
    ------
    UserError
        If a card cannot be used.
    """
    if workers < 0:
        raise UserError(f"WORKERS={workers} is out of range; choose 0 for one per processor, or more")
    if not gpu:
        return Machine(workers, cluster=cluster)
    if cluster and cluster.local:
        raise UserError(
            f"SCHEDULER={cluster.scheduler} starts workers without cards; "
            f"GPU={gpu} alone uses the cards of this machine"
        )
    from attr2face.network.devices import parse_cards
    from attr2face.pycaffe import use_card

    cards = parse_cards(gpu)
    use_card(cards[0])
    return Machine(workers, cards, cluster=cluster)


def cluster_of(scheduler: str, ship: object, store: Path | None) -> Cluster | None:
    """The cluster that SCHEDULER and SHIP name; none where SCHEDULER is empty."""
    if not scheduler:
        return None
    from attr2face.cluster.description import Cluster

    return Cluster(scheduler, (store or default_store()).absolute(), switch(ship))

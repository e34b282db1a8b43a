"""Which cluster tasks are sent to."""

import re
from dataclasses import dataclass
from pathlib import Path

from attr2face.errors import UserError


@dataclass(frozen=True)
class Cluster:
    """Where tasks are sent.

    Attributes
    ----------
    scheduler : str
        Address, such as tcp://host:8786, or local:4 for four workers of this machine.
    shared : Path
        A folder that workers see, too: the store.
    ship : bool
        Whether workers get copies of files in place of that.
    """

    scheduler: str
    shared: Path
    ship: bool = False

    @property
    def local(self) -> bool:
        """Whether the workers are processes of this machine, started for this command."""
        return self.scheduler.startswith("local:")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+", self.scheduler):
            remedy = "give an address such as tcp://host:8786, or local:4"
            raise UserError(f"SCHEDULER={self.scheduler} is no scheduler; {remedy}")

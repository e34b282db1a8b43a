"""The command line: attr2face COMMAND [--setting value ...]."""

from attr2face.cli.main import main
from attr2face.cli.parser import COMMANDS

__all__ = ["COMMANDS", "main"]

"""The one exception that a user sees: its message is a sentence that names the value and the remedy."""


class UserError(Exception):
    """Bad input. The command line prints the message and exits with status 2."""

"""The exceptions that a user sees: the message is a sentence that names the value and the remedy."""


class UserError(Exception):
    """Bad input. The command line prints the message and exits with status 2."""


class LostWorkersError(UserError):
    """Nothing is wrong with the input, but what was computing it has gone. What is written so far is whole."""

"""The exceptions that a user sees: the message is a sentence that names the value and the remedy."""


class UserError(Exception):
    """Bad input. The command line prints the message and exits with status 2."""


class WorkersError(UserError):
    """Nothing is wrong with the input, but what should compute it is gone, missing or not fit. What is
    written so far is whole.
    """

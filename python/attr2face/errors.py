"""The exceptions that a user sees: the message is a sentence that names the value and the remedy."""


class UserError(Exception):
    """Bad input. The command line prints the message and exits with status 2."""


class PictureError(UserError):
    """A picture of the user's is missing or wrong. Nothing goes on from what was made with its neighbours."""


class WorkersError(UserError):
    """What should compute is gone, missing or not fit. The input is right; what is written is whole."""

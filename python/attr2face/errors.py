"""The exceptions that a user sees: the message is a sentence that names the value and the remedy."""


class UserError(Exception):
    """Bad input. The command line prints the message and exits with status 2."""


class PictureError(UserError):
    """A picture of the user's is missing, or is not what it should be. Another picture is another input, so
    nothing can continue from what was made with its neighbours.
    """


class WorkersError(UserError):
    """Nothing is wrong with the input, but what should compute it is gone, missing or not fit. What is
    written so far is whole.
    """

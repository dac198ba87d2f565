"""The one error that a user's input can cause, and the warning."""


class InputError(ValueError):
    """What was handed in cannot be used; the message is one line that says why and what would do.

    The command line prints the message alone and exits with code 2. It is a ``ValueError``, so code
    that calls the library can catch it as such.
    """


class InputWarning(UserWarning):
    """What was handed in can be used, and the answer may be worse than the user expects."""

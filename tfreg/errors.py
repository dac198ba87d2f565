"""The one error that a user's input can cause."""


class InputError(ValueError):
    """What was handed in cannot be used; the message is one line that says why and what would do.

    The command line prints the message alone and exits with code 2. It is a ``ValueError``, so code
    that calls the library can catch it as such.
    """

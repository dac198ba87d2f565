"""Keras and TensorFlow without their start-up notices."""


def load_keras() -> None:
    """Imports Keras, which may take seconds, and keeps what it prints on the way to itself.

    TensorFlow says that oneDNN is on before it knows of ``TF_CPP_MIN_LOG_LEVEL``. That is not for
    the user of a command, whose errors are one line on stderr.
    """
    from tfreg.io import silent_stderr

    with silent_stderr():
        import keras  # noqa: F401

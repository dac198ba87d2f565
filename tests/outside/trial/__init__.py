"""A small classifier of digits: a method in a folder of its own, outside the zoo."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="trial",
    paper="none: made to try how a method is added",
    task="classification",
    models={"TrialNet": "model"},
    recipes={"trial-digits": "train_digits"},
    numbers={"trial-digits": {"accuracy": 0.9}},
)

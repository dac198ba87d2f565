"""What the paper says in numbers, each with where it was read; none is from memory.

Miao et al., of the text on its Fig. 9 (success on its set XEF, %), Table I (distributions of the
offsets, mm and degrees), Table II (errors on XEF's training data) and section V (precision, mm).
The body of its Table III could not be read.
"""

OFFSETS = (
    (1.5, 1.5, 15.0, 3.0, 15.0, 15.0),
    (0.2, 0.2, 15.0, 0.5, 15.0, 15.0),
    (0.15, 0.15, 15.0, 0.5, 0.75, 0.75),
)  # uniform within plus and minus, of groups 1 to 3
PERTURBATION = (1.0, 1.0, 10.0, 2.0, 10.0, 10.0)  # standard deviations of the tests' starts
SUCCESS = {
    "pehl 1": 44.6,
    "pehl 3": 94.8,
    "pehl 9": 99.6,
    "pehl 3 without lir": 52.2,
    "pehl 3 without hpr": 19.5,
    "pehl 3 without psp": 14.9,
}
RMSE = {
    "start": (0.86, 0.86, 8.65, 1.71, 8.66, 8.66),
    "pehl 3": (0.04, 0.04, 0.32, 0.06, 0.18, 0.18),
}
SPREAD = {"pehl 3": 0.198, "pehl 6": 0.005, "powell mi, gc": 0.52}
ITERATIONS, BATCH, LEARNING_RATE, MOMENTUM, DECAY = 12500, 64, 0.0025, 0.9, 1e-4
PAIRS = 25000  # of a pose and an offset, for each group and zone

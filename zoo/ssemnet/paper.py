"""What the ssEMnet paper says in numbers, with where they were read; none is from memory."""

# Fig. 1: NCC in the marked box after registering one pair, on intensities and on features.
PAIR = {"intensities": 0.1670, "features": 0.28}

# Fig. 5: NCC of neighbours in the inner region of a stack of mouse ssEM.
STACK = {"before": 0.1995, "bUnwarpJ": 0.3562, "elastic": 0.2931, "ssEMnet": 0.4305}

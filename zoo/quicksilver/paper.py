"""What the Quicksilver paper says in numbers, with where they were read; none is from memory."""

# Target overlap, mean and SD over all ordered pairs of LPBA40, IBSR18, CUMC12 and MGH10, recomputed
# from the result files that the authors published with their code (rkwitt/quicksilver).
DATA_SETS = ("LPBA40", "IBSR18", "CUMC12", "MGH10")
TARGET_OVERLAP = {
    "affine": ((0.5930, 0.0561), (0.3972, 0.0409), (0.3944, 0.0308), (0.4624, 0.0279)),
    "lo": ((0.7015, 0.0192), (0.5331, 0.0411), (0.5341, 0.0351), (0.5665, 0.0287)),
    "lp": ((0.6950, 0.0188), (0.5154, 0.0411), (0.5146, 0.0338), (0.5531, 0.0292)),
    "lpc": ((0.6987, 0.0191), (0.5258, 0.0422), (0.5254, 0.0345), (0.5607, 0.0293)),
}
# Of the gap between LP and LO, LPC closes so much, from the same files, in %.
GAP_CLOSED = (57, 59, 55, 56)

"""What the paper says in numbers, each with where it was read; none is from memory.

Errors in %. Jaderberg et al., Table 1 (distorted MNIST), section 4.1 (clutter) and Table 4
(addition), the latter without the two cells of ST-FCN whose places could not be read.
"""

DISTORTED = {
    "fcn": {"r": 2.1, "rts": 5.2, "p": 3.1, "e": 3.2},
    "cnn": {"r": 1.2, "rts": 0.8, "p": 1.5, "e": 1.4},
    "st-fcn affine": {"r": 1.2, "rts": 0.8, "p": 1.5, "e": 2.7},
    "st-fcn projective": {"r": 1.3, "rts": 0.9, "p": 1.4, "e": 2.6},
    "st-fcn tps": {"r": 1.1, "rts": 0.8, "p": 1.4, "e": 2.4},
    "st-cnn affine": {"r": 0.7, "rts": 0.5, "p": 0.8, "e": 1.2},
    "st-cnn projective": {"r": 0.8, "rts": 0.6, "p": 0.8, "e": 1.3},
    "st-cnn tps": {"r": 0.7, "rts": 0.5, "p": 0.8, "e": 1.1},
}
CLUTTER = {"fcn": 13.2, "cnn": 3.5, "st-fcn attention": 2.0, "st-cnn attention": 1.7}
ADDITION = {
    "fcn": 47.7,
    "cnn": 14.7,
    "st-fcn affine": 22.6,
    "2xst-fcn affine": 9.0,
    "2xst-fcn projective": 5.9,
    "2xst-fcn tps": 5.8,
}

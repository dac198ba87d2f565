"""What the DIRNet paper says in numbers, each with where it was read; none is from memory."""

# DIRNet, Fig. 2: NCC on the validation set while training on MNIST, one network per digit, measured
# in the figure's vector graphics. Iterations, then the values per digit.
MNIST_ITERATIONS = (20, 100, 500, 1000, 2000, 3000, 4000, 5000)
MNIST_NCC = {
    0: (0.629, 0.745, 0.868, 0.899, 0.916, 0.924, 0.930, 0.933),
    1: (0.750, 0.852, 0.941, 0.953, 0.964, 0.968, 0.970, 0.972),
    2: (0.494, 0.582, 0.790, 0.828, 0.858, 0.868, 0.876, 0.885),
    3: (0.561, 0.672, 0.834, 0.864, 0.884, 0.893, 0.897, 0.903),
    4: (0.569, 0.639, 0.801, 0.841, 0.868, 0.882, 0.889, 0.892),
    5: (0.468, 0.571, 0.765, 0.802, 0.832, 0.848, 0.857, 0.865),
    6: (0.570, 0.681, 0.822, 0.846, 0.864, 0.875, 0.883, 0.887),
    7: (0.588, 0.720, 0.860, 0.889, 0.908, 0.919, 0.925, 0.929),
    8: (0.542, 0.608, 0.793, 0.825, 0.850, 0.859, 0.865, 0.871),
    9: (0.590, 0.718, 0.832, 0.860, 0.882, 0.892, 0.898, 0.901),
}

# DIRNet, Table 1 (published version): Dice, 95th percentile of surface distances (mm), mean
# absolute surface distance (mm) of the left ventricle's myocardium on Sunnybrook, mean and SD over
# 258 registrations, and seconds (networks on a GPU, elastix on a CPU).
CINE_TABLE = {
    "none": {"dice": (0.62, 0.15), "hd95": (7.79, 2.92), "msd": (2.89, 1.07)},
    "elastix 2x100": {
        **{"dice": (0.79, 0.08), "hd95": (5.09, 2.36), "msd": (1.91, 0.94)},
        "seconds": (0.51, 0.07),
    },
    "elastix 2x2000": {
        **{"dice": (0.81, 0.08), "hd95": (5.09, 7.25), "msd": (1.75, 1.29)},
        "seconds": (7.38, 0.94),
    },
    "bl": {
        **{"dice": (0.80, 0.08), "hd95": (5.03, 2.30), "msd": (1.83, 0.89)},
        "seconds": (0.049, 0.004),
    },
    "a1": {"dice": (0.78, 0.08), "hd95": (5.26, 2.16), "msd": (1.95, 0.85)},
    "a2": {"dice": (0.78, 0.08), "hd95": (5.30, 2.28), "msd": (1.97, 0.87)},
    "b1": {"dice": (0.72, 0.11), "hd95": (6.41, 2.61), "msd": (2.40, 0.96)},
    "b2": {"dice": (0.78, 0.09), "hd95": (5.48, 2.36), "msd": (2.01, 0.89)},
    "c1": {"dice": (0.79, 0.08), "hd95": (5.20, 2.30), "msd": (1.92, 0.89)},
    "c2": {"dice": (0.76, 0.09), "hd95": (5.55, 2.24), "msd": (2.10, 0.90)},
}

# DIRNet, Fig. 3: NCC on the validation set (256x256 slices of Sunnybrook) while training, measured
# in the figure's vector graphics; None where the curve lies outside the figure.
CINE_ITERATIONS = (200, 500, 1000, 2000, 5000, 8000, 9850)
CINE_NCC = {
    "bl": (0.9901, 0.9912, 0.9920, 0.9923, 0.9926, 0.9929, 0.9930),
    "a1": (0.9906, 0.9913, 0.9918, 0.9921, 0.9922, 0.9925, 0.9925),
    "a2": (0.9896, 0.9909, 0.9915, 0.9919, 0.9920, 0.9922, 0.9922),
    "b1": (0.9898, 0.9904, 0.9908, 0.9910, 0.9911, 0.9913, 0.9914),
    "b2": (None, None, None, None, 0.984, 0.9900, 0.9908),
    "c1": (0.9903, 0.9913, 0.9919, 0.9922, 0.9923, 0.9926, 0.9926),
    "c2": (0.9886, 0.9895, 0.9901, 0.9905, 0.9907, 0.9911, 0.9911),
}

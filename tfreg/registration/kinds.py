"""The transforms and optimisers that an instance optimisation knows, by name."""

LINEAR = ("translation", "rigid", "similarity", "affine")
FREE_FORM = ("bspline", "dense", "velocity", "lddmm")
TRANSFORMS = (*LINEAR, *FREE_FORM)
OPTIMISERS = ("adam", "lbfgs", "descent")

"""The transforms that an instance optimisation knows, by name."""

LINEAR = ("translation", "rigid", "similarity", "affine")
FREE_FORM = ("bspline", "dense", "velocity")
TRANSFORMS = (*LINEAR, *FREE_FORM)

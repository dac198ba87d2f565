"""The methods that tests outside their folders use as examples, named here and nowhere else."""

DIGITS = "dirnet-phantom"  # 2-D, 28x28, one network; a licence of our own
STAGED = "dlir-mnist"  # 2-D, 28x28, three stages
HEARTS = "dirnet-cine-plus"  # a curve, a paper, and data under a licence of others
STACKS = "dlir-cine"  # 3-D, on a grid of thick slices
VOLUMES = "dlir-hippocampus"  # 3-D
CHESTS = "dlir-chest-ct"  # a refinement of its own, confined to masks
RECIPE = "dirnet-mnist"  # one that has an option of its own, --digit
FUSER = "fusion-cnn"  # makes one image of two

"""What is known of the paper, in numbers; where from, and how surely, is in README.md."""

GAMMA = 0.9  # discount of the rewards to come
EPSILON = 0.5  # distance at which the pose is reached, in steps
BONUS = 10.0  # R, for having reached it
STEP = 1.0  # mm and degrees of an action
CONVOLUTIONS = (8, 32, 32, 128, 128)  # kernels of 3x3x3, pooling after the first two
DENSE = (512, 512, 64)
RANGE = 30.0  # mm and degrees of a start, per axis
ALONG_SPINE = 150.0  # mm, along the body

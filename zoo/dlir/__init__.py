"""DLIR: unsupervised affine and deformable image registration with ConvNets in stages."""

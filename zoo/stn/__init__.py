"""Spatial Transformer Networks (Jaderberg et al., NIPS 2015)."""

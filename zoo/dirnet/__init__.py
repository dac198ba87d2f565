"""DIRNet (de Vos et al., 2017)."""

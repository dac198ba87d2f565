"""From images in physical space to arrays on one grid, and back."""

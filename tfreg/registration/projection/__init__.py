"""Registering a volume to X-ray images: its pose by Gauss-Newton through the projector."""

"""Registration methods behind one interface: a pair of images in, a displacement out."""

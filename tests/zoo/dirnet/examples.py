"""Phantom pairs for the presets of DIRNet, and where their displacements are looked at."""

from tfreg.data import bodies, phantoms


def example(preset):
    """A pair of digits, or of hearts; one network for hearts is refined, which takes seconds."""
    if preset.startswith("dirnet-cine"):
        heart = bodies.beating_hearts(1, seed=9, size=128)
        images = heart.images[0]
        return {
            "fixed": images[0],
            "moving": images[heart.systole],
            "places": ((58, 60), (64, 75), (76, 66)),
            "refine": (0, 10) if preset == "dirnet-cine-bl" else (0,),
        }
    digit = int(preset[-1]) if preset[-1].isdigit() else 4
    images = phantoms.digits(20, seed=5).images
    return {
        "fixed": images[digit],
        "moving": images[digit + 10],
        "places": ((9, 14), (14, 12), (20, 15)),
        "refine": (0, 10),
    }

"""Features of a convolutional stacked autoencoder for registration (Wu et al., 2016)."""

from zoo.methods import Method

METHOD = Method(
    package=__name__,
    name="sae",
    paper="Wu, Kim, Wang, Munsell and Shen, IEEE TBME 63(7), 2016, PMC4853306",
    task="features",
    models={"StackedAutoencoder": "model", "PatchPCA": "pca"},
    recipes={"sae": "train", "sae-pca": "train_pca"},
)

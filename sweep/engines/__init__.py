"""How trials train: the contract in `base`, plain Keras `fit` in `reference`."""

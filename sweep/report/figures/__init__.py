"""The figures, in one house style."""

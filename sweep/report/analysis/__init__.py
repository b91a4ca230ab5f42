"""What the trials say: effects, interactions, importances, and how sure all of it is."""

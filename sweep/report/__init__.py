"""A study as frames, figures, a self-contained page and Optuna's dashboard."""

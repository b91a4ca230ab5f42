"""What a browser is served: Optuna's dashboard, and our pages beside it."""

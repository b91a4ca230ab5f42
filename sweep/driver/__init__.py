"""The only caller of Optuna's ask and tell."""

"""Where trials train: the contract in `base`, the processes of this machine in `process`."""

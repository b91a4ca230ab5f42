"""Several studies beside each other: what differs between them, and whether it is real."""

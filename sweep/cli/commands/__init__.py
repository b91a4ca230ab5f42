"""One module for each command; its object `command` is what `sweep` calls."""

"""One module per revision, numbered from 0001 in the order in which they apply."""

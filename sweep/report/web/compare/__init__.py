"""The page that compares studies."""

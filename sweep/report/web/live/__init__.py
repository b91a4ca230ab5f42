"""The page that follows a study while it runs."""

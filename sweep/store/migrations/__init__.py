"""Alembic's revisions of our tables; `sweep.store.migrate` runs them."""

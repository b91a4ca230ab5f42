"""How Alembic applies our revisions: over the connection that `sweep.store.migrate` hands in."""

from alembic import context

from sweep.store.schema import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

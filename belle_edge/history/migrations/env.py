"""What Alembic runs first: the steps use the connection, and the transaction, that database.py gives them."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()

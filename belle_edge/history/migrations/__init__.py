"""Steps from schema to schema. Alembic runs them in order; database.py says when."""

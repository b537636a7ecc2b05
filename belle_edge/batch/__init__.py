"""Jobs over files: records in, a record out for each, and a journal that a kill cannot hurt."""

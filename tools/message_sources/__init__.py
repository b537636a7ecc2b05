"""Finds what people read in the sources: marked texts, errors of Python and C++, the page."""

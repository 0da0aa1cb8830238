"""Figures, words and the page: what people see of the records."""

"""The notebooks: what each starts with, and how all are run in order."""

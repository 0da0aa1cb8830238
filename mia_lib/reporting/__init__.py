"""What people see of the records: figures, numbers in words, and the page of a run."""

from mia_lib.reporting.page import write_report

__all__ = ["write_report"]

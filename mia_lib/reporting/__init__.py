"""What people see of the records: figures, numbers in words, and the page of a run (`page.write_report`)."""

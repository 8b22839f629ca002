"""Tables of the report, and the files of plain numbers."""

"""From results to figures, tables and the PDF. Computes nothing: what it shows is what ``results.json`` holds."""

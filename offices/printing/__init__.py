"""Setting posters: symbols, page formats, Typst template, and large PDFs from many small ones."""

"""Our accounts at banks: statements that are imported, and which of their lines is which movement of our books."""

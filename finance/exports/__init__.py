"""Exports: everything that finance may carry out of the house, whole, reproducible, with a manifest that proves it."""

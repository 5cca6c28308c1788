"""Asking read models: filters, pages, cursors, exports."""

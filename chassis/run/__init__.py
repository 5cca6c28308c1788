"""The processes of an installation and its command line."""

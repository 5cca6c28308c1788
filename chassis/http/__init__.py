"""The edge: requests become commands and queries, and whatever happens an answer.  nameko serves the routes."""

"""Properties: commands in any order, against a model that is simple enough to be right."""

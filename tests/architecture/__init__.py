"""Who may import whom: the kind of rule that import-linter lacks, and forbidden imports that are planted."""

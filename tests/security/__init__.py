"""Who may do what, cell by cell, and what attackers try.  The README lists the tests of each OWASP item."""

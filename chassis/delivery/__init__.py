"""What leaves Salestream for people: mail and other ways behind one port, and who sends what waits (ADR 0056)."""

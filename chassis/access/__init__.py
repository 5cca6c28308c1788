"""What a process knows of people, their rights and the company, and the tokens that name a caller (ADR 0015)."""

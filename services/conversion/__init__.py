"""Conversion: the saga that makes a customer and a contact of a lead."""

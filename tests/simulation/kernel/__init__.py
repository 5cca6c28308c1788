"""What a simulation needs whatever it simulates: virtual time, a seeded scheduler, crashes, Kafka, MongoDB, stores.

Nothing here knows of orders; the order journey is in the modules above.
"""

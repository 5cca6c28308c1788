"""The keys of persons: what is known of one is sealed with a key of their own, and erased by destroying it.

`keys` is what a process knows of them, `stores` where they are kept, `opening` makes the two of the settings.
`contracts.personal` says which texts are sealed and when.
"""

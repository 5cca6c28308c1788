"""What a client must know to show Salestream: lists, forms, choices, rights, menu, in the language of whoever asks."""

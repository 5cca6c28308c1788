"""Read models in MongoDB: how events become documents, how far each is, and how one is built anew."""

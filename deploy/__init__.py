"""How Salestream is run: images, manifests and the development stack."""

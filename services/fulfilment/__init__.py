"""Fulfilment: the saga that carries an order from submission to delivery."""

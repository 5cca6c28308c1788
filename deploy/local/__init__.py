"""Salestream on one machine: the development stack and all services in two Python processes."""

from deploy.local.system import LocalSystem

__all__ = ["LocalSystem"]

"""The ways that the settings open, and how much one receiver gets."""

from collections.abc import Mapping

from chassis.delivery.port import Carrier, NotSetUp
from chassis.delivery.smtp import SmtpCarrier, address
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.rate_limits import LocalStorage, RateLimit
from contracts.occasions import Way


def carriers(config: Config) -> Mapping[str, Carrier]:
    """The carrier of each way.  Raises ConfigError where the settings of one are not whole."""
    if config.smtp_address:
        try:
            address(config.mail_from)
        except ValueError as error:
            raise ConfigError("SMTP_ADDRESS needs MAIL_FROM, the address that mail comes from, alone") from error
    mail: Way = "MAIL"
    return {mail: SmtpCarrier(config) if config.smtp_address else NotSetUp()}


def limit(config: Config) -> RateLimit:
    """How much is sent to one receiver by one way; counted in this process, which alone sends."""
    return RateLimit("mail", config.mail_rate, "MAIL_RATE", LocalStorage())

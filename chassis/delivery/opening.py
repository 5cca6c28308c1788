"""The ways that the settings open, and how much goes by them."""

from collections.abc import Mapping

from chassis.delivery.port import Carrier, NotSetUp
from chassis.delivery.smtp import SmtpCarrier, address
from chassis.delivery.webhooks import DingTalk, TextMessages, WeCom, is_safe
from chassis.foundation.config import Config, ConfigError
from chassis.foundation.rate_limits import LocalStorage, MovingLimit, RateLimit
from contracts.occasions import GROUPS, WAYS


def carriers(config: Config) -> Mapping[str, Carrier]:
    """The carrier of each way.  Raises ConfigError where the settings of one are not whole."""
    there = set_up(config)
    return {way: there.get(way, NotSetUp()) for way in WAYS}


def set_up(config: Config) -> Mapping[str, Carrier]:
    """The carriers of the ways for which there are settings.  Raises ConfigError where those are not whole."""
    found: dict[str, Carrier] = {}
    if config.smtp_address:
        try:
            address(config.mail_from)
        except ValueError as error:
            raise ConfigError("SMTP_ADDRESS needs MAIL_FROM, the address that mail comes from, alone") from error
        found["MAIL"] = SmtpCarrier(config)
    if config.sms_url:
        _require(config.sms_url, "SMS_URL", config.sms_secret, "SMS_SECRET")
        found["SMS"] = TextMessages(config.sms_url, config.sms_secret)
    if config.dingtalk_url:
        _require(config.dingtalk_url, "DINGTALK_URL", config.dingtalk_secret, "DINGTALK_SECRET")
        found["DINGTALK"] = DingTalk(config.dingtalk_url, config.dingtalk_secret)
    if config.wecom_url:
        _require(config.wecom_url, "WECOM_URL")
        found["WECOM"] = WeCom(config.wecom_url)
    return found


def _require(url: str, name: str, secret: str = "", needs: str = "") -> None:
    """Raises ConfigError, which tells no address: that of a robot is its password."""
    if not is_safe(url):
        raise ConfigError(f"{name} must be an address that begins with https://, or http:// on this machine")
    if needs and not secret:
        raise ConfigError(f"{name} needs {needs}, or {needs}_FILE: what is sent there is signed")


def limit(config: Config) -> RateLimit:
    """How much is sent to one receiver by one way; counted in this process, which alone sends."""
    return RateLimit("mail", config.mail_rate, "MAIL_RATE", LocalStorage())


def limits_of_ways(config: Config) -> Mapping[str, RateLimit]:
    """How much goes by a way in sum, where whoever brings it on takes no more."""
    return {way: MovingLimit(way.lower(), config.robot_rate, "ROBOT_RATE") for way in GROUPS}

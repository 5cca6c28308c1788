"""What every answer tells browsers: keep nothing, guess nothing, run nothing, show it in no frame (OWASP API8)."""

from chassis.foundation.config import Config

ONE_YEAR = 31_536_000


def security_headers(config: Config) -> dict[str, str]:
    """The headers of every answer.  An answer that needs another policy, such as a page, sets its own."""
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if not config.plain_http:
        headers["Strict-Transport-Security"] = f"max-age={ONE_YEAR}; includeSubDomains"
    return headers

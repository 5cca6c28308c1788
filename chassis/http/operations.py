"""How a process is watched: alive, ready, its metrics."""

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis.foundation.addresses import networks, within
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse


class Operations:
    """Serves the routes by which a process is watched.  Raises ConfigError for METRICS_NETWORKS that are none."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._networks = networks(api.config.metrics_networks, "METRICS_NETWORKS")

    def livez(self, http: HttpRequest) -> HttpResponse:
        return HttpResponse(200, b'{"status":"ok"}')

    def readyz(self, http: HttpRequest) -> HttpResponse:
        problems = self._api.ready()
        body = {"status": "unready" if problems else "ready", "problems": dict(problems)}
        return HttpResponse(503 if problems else 200, msgspec.json.encode(body))

    def metrics(self, http: HttpRequest) -> HttpResponse:
        """For the networks of METRICS_NETWORKS, and for whoever runs the platform (OWASP API9).

        A request that somebody has passed on comes from nowhere in particular, unless that proxy is trusted.
        """
        if "x-forwarded-for" in http.headers or not within(http.address, self._networks):
            self._api.caller(http, "platform")
        return HttpResponse(200, generate_latest(), content_type=CONTENT_TYPE_LATEST)

"""Answers of queries are compressed for who takes that (UIX-17), and nothing else is."""

import gzip

import pytest

from chassis.http.compression import SHORTEST, compressing, takes_gzip
from chassis.http.messages import JSON, PROBLEM, HttpRequest, HttpResponse

LONG = b'{"items":[' + b'{"status":"DRAFT"},' * 200 + b"{}]}"


def answered(response: HttpResponse, accepts: str | None = "gzip, deflate, br") -> HttpResponse:
    headers = {} if accepts is None else {"accept-encoding": accepts}
    return compressing(lambda _: response)(HttpRequest(headers, {}, {}, bytes))


def test_a_long_answer_is_compressed_and_the_same_again() -> None:
    found = answered(HttpResponse(200, LONG, {"ETag": '"3"'}))
    assert gzip.decompress(found.body) == LONG and found.length == len(found.body) < len(LONG) / 4
    assert found.headers == {"ETag": '"3"', "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


@pytest.mark.parametrize("accepts", [None, "", "identity", "br", "gzip;q=0", "gzip; q=0.0, *;q=0", "nonsense \x7f,,"])
def test_who_does_not_take_it_gets_it_plain_and_caches_know(accepts: str | None) -> None:
    found = answered(HttpResponse(200, LONG), accepts)
    assert found.body == LONG and found.headers == {"Vary": "Accept-Encoding"}


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(200, b"x" * (SHORTEST - 1)),
        HttpResponse(404, LONG, content_type=PROBLEM),
        HttpResponse(200, LONG, content_type="text/plain"),
        HttpResponse(304),
    ],
)
def test_what_is_short_refused_or_no_json_stays_as_it_is(response: HttpResponse) -> None:
    assert answered(response) is response


def test_the_shortest_that_is_compressed() -> None:
    assert "Content-Encoding" in answered(HttpResponse(200, b"x" * SHORTEST, content_type=JSON)).headers


@pytest.mark.parametrize("accepts", ["gzip", "GZIP", "br;q=1.0, gzip;q=0.2", "*"])
def test_gzip_is_taken_however_it_is_written(accepts: str) -> None:
    assert takes_gzip(accepts)

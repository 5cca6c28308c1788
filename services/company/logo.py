"""Logos: what kind of picture it is tells its content, not its name; every size becomes 200 x 200 (SET-01)."""

import base64
import binascii
import io
from dataclasses import replace
from functools import partial
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from chassis.model.middleware import Prepared, Surroundings
from contracts.company import SetLogo
from contracts.errors import Refused

SIZE = (200, 200)
KINDS = ("PNG", "JPEG")
MOST_PIXELS = 25_000_000

no_picture = partial(Refused, "company.no_picture", field="image")


def scale(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """The logo as a PNG of 200 x 200, and the size it had.

    Raises Refused FILE_TYPE for what is no PNG or JPG, TOO_LARGE for a picture of too many pixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=KINDS) as picture:
            size = picture.size
            if size[0] * size[1] > MOST_PIXELS:  # told by its head, before anything is unpacked
                raise Refused("company.most_pixels", most=MOST_PIXELS, field="image")
            whole = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise no_picture() from error
    scaled = whole if size == SIZE else ImageOps.pad(whole, SIZE, color=(0, 0, 0, 0))
    out = io.BytesIO()
    scaled.save(out, format="PNG", optimize=True)
    return out.getvalue(), size


def prepare_logo(command: SetLogo, surroundings: Surroundings) -> Prepared:
    if not command.image:
        return Prepared(command, SIZE)
    try:
        data = base64.b64decode(command.image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise no_picture() from error
    png, size = surroundings.slowly(scale, data)
    return Prepared(replace(command, image=base64.b64encode(png).decode()), size)


def tell_logo(body: dict[str, Any], size: tuple[int, int], _: Surroundings) -> dict[str, Any]:
    scaled = size != SIZE
    warnings = [f"The picture of {size[0]} x {size[1]} was scaled to {SIZE[0]} x {SIZE[1]}."] if scaled else []
    return {**body, "warnings": warnings}

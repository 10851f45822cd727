"""Colours of classes in drawings."""


def colour_of(index: int) -> tuple[int, int, int]:
    """The RGB colour of a class in PASCAL VOC's palette, which spreads the bits of the index over the channels."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (index & 1) << shift
        green |= (index >> 1 & 1) << shift
        blue |= (index >> 2 & 1) << shift
        index >>= 3
    return red, green, blue

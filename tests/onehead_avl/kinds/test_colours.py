import pytest

from onehead_avl.kinds.colours import colour_of


@pytest.mark.parametrize(
    ("index", "colour"),
    [
        (0, (0, 0, 0)),  # background
        (1, (128, 0, 0)),  # aeroplane
        (2, (0, 128, 0)),  # bicycle
        (7, (128, 128, 128)),  # car
        (8, (64, 0, 0)),  # cat
        (15, (192, 128, 128)),  # person
        (20, (0, 64, 128)),  # television
        (255, (224, 224, 192)),  # void
    ],
)
def test_colours_are_those_of_pascal_voc(index, colour):
    assert colour_of(index) == colour


def test_no_two_classes_have_the_same_colour():
    assert len({colour_of(index) for index in range(256)}) == 256

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from onehead_avl.model.input import network_input
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.prediction import as_tensor, predict

SIZE = 64


@pytest.fixture
def network(layout):
    torch.manual_seed(0)
    return OneHeadNet(layout)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def test_each_head_says_what_its_kind_reads_from_the_output(network, layout, pixels):
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    found = predict(network, layout, SIZE, image)  # of the network's size: nothing is stretched
    with torch.no_grad():
        output = network.eval()(network_input(image)[None])
    assert list(found) == ["seg", "det", "cls"]
    for part in layout.heads:
        (expected,) = part.kind.decode(part.of(output), torch.tensor([[SIZE, SIZE]]))
        assert found[part.head].keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[part.head][name], value)


def test_predictions_are_in_the_coordinates_of_the_image(network, layout):
    image = torch.zeros(3, 30, 90, dtype=torch.uint8)
    found = predict(network, layout, SIZE, image)
    assert found["seg"]["mask"].shape == (30, 90)
    assert 64 < found["det"]["boxes"][:, 2].max() < 90.001
    assert 0 < found["det"]["boxes"][:, 3].max() < 30.001


def test_a_network_is_left_in_the_mode_it_was_in(network, layout, pixels):
    network.train()
    modes = [module.training for module in network.modules()]
    found = predict(network, layout, SIZE, pixels)
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(
        found["cls"]["probabilities"], predict(network.eval(), layout, SIZE, pixels)["cls"]["probabilities"]
    )


class Forgetful(nn.Module):
    """A network that drops half of its outputs while it learns."""

    def __init__(self, network):
        super().__init__()
        self.network, self.dropout = network, nn.Dropout()

    def forward(self, images):
        return self.dropout(self.network(images))


def test_a_network_predicts_as_it_is_evaluated(network, layout, pixels):
    expected = predict(network, layout, SIZE, pixels)["cls"]["probabilities"]
    found = predict(Forgetful(network).train(), layout, SIZE, pixels)["cls"]["probabilities"]
    assert torch.equal(found, expected)


def test_images_of_pillow_arrays_and_tensors_are_the_same(pixels):
    expected = torch.from_numpy(pixels).permute(2, 0, 1)
    for image in (Image.fromarray(pixels), pixels, expected):
        assert torch.equal(as_tensor(image), expected)


def test_an_image_of_pillow_is_turned_as_exif_asks(pixels):
    image = Image.fromarray(pixels[:20])
    image.getexif()[0x0112] = 6
    assert torch.equal(as_tensor(image), torch.from_numpy(np.rot90(pixels[:20], -1).copy()).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_images_of_pillow_become_rgb(pixels, mode):
    image = Image.fromarray(pixels).convert(mode)
    expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(as_tensor(image), expected)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((4, 4, 3)), "ndarray of float64, (4, 4, 3)"),
        (np.zeros((4, 4), dtype=np.uint8), "ndarray of uint8, (4, 4)"),
        (torch.zeros(3, 4, 4), "Tensor of torch.float32, (3, 4, 4)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "Tensor of torch.uint8, (1, 3, 4, 4)"),
        (Image.new("I;16", (4, 4)), "Image of mode I;16"),
        ("a.jpg", "found str"),
    ],
)
def test_what_is_no_image_is_refused_by_name(image, found):
    with pytest.raises(TypeError) as error:
        as_tensor(image)
    assert found in str(error.value)

import torch

from onehead_avl.model.input import network_input


def test_network_input_is_normalised_as_imagenet_backbones_expect():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(1, 1, 3).expand(3, 1, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found = network_input(image)
    assert found.dtype == torch.float32
    for column, value in enumerate((0.0, 1.0, 0.2)):
        torch.testing.assert_close(found[:, 0, column], (value - mean) / std)

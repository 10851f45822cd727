import torch

from onehead_avl.model.input import network_input


def test_network_input_is_normalised_as_imagenet_backbones_expect():
    image = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(1, 1, 3).expand(3, 1, 3)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    found = network_input(image)
    assert found.dtype == torch.float32
    for column, value in enumerate((0.0, 1.0, 0.2)):
        torch.testing.assert_close(found[:, 0, column], (value - mean) / std)


def test_an_image_is_left_as_it_is_whatever_its_type():
    for image in (torch.full((3, 4, 5), 7, dtype=torch.uint8), torch.full((3, 4, 5), 0.5)):
        before = image.clone()
        network_input(image)
        assert torch.equal(image, before)


def test_it_does_not_matter_how_an_image_lies_in_memory():
    image = torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5)
    other = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(network_input(other), network_input(image))
    assert network_input(other).is_contiguous()

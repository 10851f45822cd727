"""A network of one's own: plain convolutions, and one head that emits every experience at once.

``python -m onehead_avl.benchmark --model examples.own_network:Plain --set Plain.width=48``

It is called with the layout of the output. From images ``(B, 3, H, W)``, normalised as ImageNet's, it makes one tensor
``(B, layout.channels, H/8, W/8)``: that is all that most strategies ask of a network.
"""

from torch import Tensor, nn

from onehead_avl.model.layout import Layout


class Plain(nn.Module):
    """Three convolutions with stride 2, a wider one, and the output.

    Args:
        layout: Which channels of the output mean what.
        width: Channels of the layers.
    """

    def __init__(self, layout: Layout, width: int = 32) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.Hardswish()),
            nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.Hardswish()),
            nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.Hardswish()),
        )
        self.head = nn.Sequential(
            nn.Conv2d(width, 4 * width, 3, padding=2, dilation=2),
            nn.Hardswish(),
            nn.Conv2d(4 * width, layout.channels, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map images to the output of all experiences."""
        return self.head(self.backbone(image))

"""Isolation of parameters: each experience learns channels of its own and leaves what others have learned as it is.

The family of progressive networks (Rusu et al., "Progressive Neural Networks", 2016) and of PackNet (Mallya and
Lazebnik, CVPR 2018).
"""

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.model.layout import Layout
from onehead_avl.model.parts import backbone_of
from onehead_avl.system.labels import labels_of


class Isolation(SupervisedPlugin):
    """Grows the network by a column for each part of the output that an experience after the first one learns.

    The first experience learns the whole network. Before each later one all of it is frozen, and only the new columns
    learn: what the network emits for earlier experiences stays the same, bit for bit. Experiences that share a part of
    the output are the exception, since what a later one adds to the part is added for the earlier ones, too.

    The network is one with a method ``grow``, such as :class:`~onehead_avl.model.network.OneHeadNet`. The plugin must
    come before the one that makes the optimizer.

    Args:
        layout: The channels of the output.
        backbone: Whether the backbone is left out of what is frozen, for other plugins to hold what earlier experiences
            need of it.
    """

    def __init__(self, layout: Layout, backbone: bool = False) -> None:
        super().__init__()
        self._layout = layout
        self._backbone = backbone
        self._learned = False

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Freeze what was learned, and grow."""
        if not self._learned:
            return
        model = strategy.model
        backbone = backbone_of(model) if self._backbone else None
        spared = set() if backbone is None else {id(parameter) for parameter in backbone.parameters()}
        for parameter in model.parameters():
            if id(parameter) not in spared:
                parameter.requires_grad_(False)
        parts = [self._layout.parts[task] for task in sorted(labels_of(strategy.experience))]
        for part in dict.fromkeys(parts):
            model.grow(part)

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note that there is something to keep."""
        self._learned = True

"""What a run knows of its model that its record does not say: the network, and where images and weights come from."""

from onehead_avl.evaluation.record import Record
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report.model_card import Provenance, model_card
from onehead_avl.runs.command_line import command_of
from onehead_avl.runs.preparation import Prepared
from onehead_avl.runs.summary import trained_network

_DRAWN = Provenance("scenes drawn by onehead-avl", "MIT, as the program")

_OFFICIAL = {
    "segmentation": Provenance("PASCAL VOC 2012", "photographs of Flickr, under its terms of use"),
    "detection": Provenance("COCO 2017", "annotations CC BY 4.0; photographs of Flickr, each under its own licence"),
    "classification": Provenance("Imagenette", "terms of ImageNet: non-commercial research and education"),
}
"""Of the three sets that ``python -m onehead_avl.prepare`` fetches."""

_UNKNOWN = "not known here: that of whoever made them"


def card_of(prepared: Prepared, record: Record) -> str:
    """Write the card of a run's model in Markdown."""
    config, model = prepared.config, trained_network(prepared)
    known = isinstance(model, OneHeadNet)
    return model_card(
        record,
        network=f"{config.backbone}, an FPN layer and one head" if known else type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        image_size=config.image_size,
        command=command_of(config.as_dict()),
        origins=_origins(prepared),
        pretraining=_pretraining(prepared),
    )


def _origins(prepared: Prepared) -> dict[str, Provenance]:
    origins = {}
    for each in prepared.config.placed().experiences:
        if each.source.path is None:
            origins[each.name] = _DRAWN
        elif prepared.manifest_sha256 is not None and each.kind in _OFFICIAL:
            origins[each.name] = _OFFICIAL[each.kind]
        else:
            origins[each.name] = Provenance(
                each.source.path.name, _UNKNOWN
            )  # a card is handed on, and a path tells of its machine
    return origins


def _pretraining(prepared: Prepared) -> str | None:
    config = prepared.config
    if config.start_from is not None:
        return f"and the rest began with `{config.start_from.name}`, whose licence and images are its own"
    if config.model is not None:
        return f"is built by `{config.model}`, which says what it began with"
    if config.backbone_weights == "none":
        return None
    if config.backbone_weights == "imagenet":
        return "had learned ImageNet's classes; ImageNet's images are for non-commercial research and education"
    return f"began with `{config.backbone_weights.rpartition('/')[2]}`, whose licence and images are its own"

"""The methods text of pretraining: true to the objective, the encoder and the training that the study chose."""

from __future__ import annotations

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.pretraining import (
    AnyAugmentation,
    AnyObjective,
    AnyShape,
    AutoencoderOptions,
    ContrastiveMaskedAutoencoderOptions,
    ContrastiveOptions,
    ContrastivePatientOptions,
    MaskedAutoencoderOptions,
    MaskOptions,
    PatchTransformerShape,
    ResNet1dShape,
    ResNet50Shape,
    TransformationRecognitionOptions,
    TwoViewsOptions,
    VicRegOptions,
)
from ppgssl.core.config.study import Study
from ppgssl.report.document import Cite, Text
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import enumeration, plural


def pretraining_methods(study: Study, *, is_frozen: bool = False) -> list[Text]:
    """Paragraphs on pretext task and encoder, on what pretraining saw, and on the optimisation.

    ``is_frozen`` says that the encoder is part of a model that was made before, from other patients.
    """
    return [_task_and_encoder(study), _FROZEN if is_frozen else _exposure(study), _optimisation(study)]


_FROZEN = (
    "The encoder was pretrained when the model was made, on recordings of other patients; the model's card says which."
)


def _task_and_encoder(study: Study) -> Text:
    settings = study.pretraining
    dropout = (
        f" A channel of a segment was blanked with probability {settings.channel_dropout:g}, never all of them."
        if settings.channel_dropout and len(study.inputs.channels) > 1
        else ""
    )
    return (
        *_task(settings.objective),
        dropout,
        *_encoder(settings.encoder),
        f" {_REPRESENTATION[settings.encoder.representation]} No outcome or covariate enters pretraining.",
    )


# --- pretext tasks ---------------------------------------------------------------------------------------------


def _task(options: AnyObjective) -> Text:
    if isinstance(options, AutoencoderOptions):
        return (
            "The encoder was trained as a plain autoencoder: to compress a segment and give it back",
            *_reconstruction(options.loss),
        )
    if isinstance(options, MaskedAutoencoderOptions):
        return _masked(options)
    if isinstance(options, ContrastivePatientOptions):
        return _contrastive(options)
    if isinstance(options, ContrastiveMaskedAutoencoderOptions):
        return (
            *_contrastive(options),
            f" At the same time, as a masked autoencoder, it was trained to let a decoder fill in {_hidden(options)}",
            Cite(("he2022", "huang2022")),
            *_reconstruction(options.loss),
            f" Relative to that of a flat line, this loss weighed {options.reconstruction_weight:g}.",
        )
    if isinstance(options, VicRegOptions):
        return (
            f"The encoder was trained to give {_pairs(options)} the same projection, whose dimensions keep their "
            "variance and are uncorrelated (VICReg",
            Cite(("bardes2022",)),
            f"; weights {options.similarity_weight:g}, {options.variance_weight:g} and {options.covariance_weight:g}). "
            f"{_augmented(options.augmentations)}",
        )
    return _recognition(options)


def _masked(options: MaskedAutoencoderOptions) -> Text:
    return (
        f"The encoder was trained as a masked autoencoder: a decoder had to fill in {_hidden(options)}",
        Cite(("he2022",)),
        *_reconstruction(options.loss),
    )


def _hidden(options: MaskOptions) -> str:
    apart = ", other ones in each channel" if options.mask_channels == "apart" else ""
    return f"{100 * options.mask_ratio:g}% of the time axis, hidden in stretches of {options.mask_group_s:g} s{apart}"


_LOSSES: dict[str, tuple[str, str | None]] = {
    "mse": ("mean squared error", None),
    "spectral": ("distance of spectra at several resolutions", "yamamoto2020"),
    "sdsc": ("signed-amplitude Dice overlap", "lee2025"),
    "sdsc+mse": ("signed-amplitude Dice overlap and mean squared error together", "lee2025"),
}


def _reconstruction(loss: str) -> Text:
    words, source = _LOSSES[loss]
    return (f". The loss was the {words}", *([Cite((source,))] if source else []), ".")


def _contrastive(options: ContrastiveOptions) -> Text:
    decoupled: Text = (", the pair itself left out of the denominator", Cite(("yeh2022",))) if options.decoupled else ()
    margin: Text = (
        (f", {options.margin:g} taken off the similarity of the pair", Cite(("wang2018",))) if options.margin else ()
    )
    is_published = (
        isinstance(options, ContrastivePatientOptions)
        and options.pairs == "patient"
        and not options.decoupled
        and not options.margin
    )
    published: Text = (", the published way", Cite(("mwaniki2023",))) if is_published else ()
    return (
        f"The encoder was trained to find {_pairs(options)} among those of others (NT-Xent loss",
        Cite(("chen2020",)),
        f" at temperature {options.temperature:g}",
        *decoupled,
        *margin,
        ")",
        *published,
        f". {_augmented(options.augmentations)}",
    )


def _recognition(options: TransformationRecognitionOptions) -> Text:
    return (
        "The encoder was trained to tell which transformations a segment was put through",
        Cite(("saeed2019",)),
        f": {_names(options.transformations)}, each applied to half of the segments.",
    )


def _pairs(options: TwoViewsOptions) -> str:
    if options.pairs == "segment":
        return "two augmentations of one segment"
    least = f" of at least {options.min_segments} segments" if options.min_segments > 2 else ""
    return f"two non-overlapping segments of one patient{least}"


def _augmented(augmentations: list[AnyAugmentation]) -> str:
    return f"Segments were augmented by {_names(augmentations)}." if augmentations else "Segments were not augmented."


def _names(augmentations: list[AnyAugmentation]) -> str:
    return enumeration(augmentation.name.replace("-", " ") for augmentation in augmentations)


# --- encoders --------------------------------------------------------------------------------------------------

_REPRESENTATION = {
    "every-depth": "A segment's representation is the mean and the standard deviation over time of the feature maps of "
    "every depth.",
    "last": "A segment's representation is the mean over time of the last feature map.",
}


def _encoder(shape: AnyShape) -> Text:
    if isinstance(shape, ResNet1dShape):
        return (
            " The encoder is a one-dimensional residual network",
            Cite(("he2016",)),
            f" of a stem that divides the time resolution by four and {plural(shape.n_stages, 'stage')} with "
            f"{plural(shape.blocks_per_stage, 'block')} each, {shape.width} feature maps in the first stage and twice "
            f"as many in each further one, kernels of {shape.kernel_size} samples, and half the time resolution after "
            "each stage.",
        )
    if isinstance(shape, ResNet50Shape):
        return (
            " The encoder is the published 50-layer one-dimensional residual network",
            Cite(("mwaniki2023", "he2016")),
            f", {shape.width} feature maps inside the bottlenecks of the first stage and {shape.n_features} features.",
        )
    return _transformer(shape)


def _transformer(shape: PatchTransformerShape) -> Text:
    return (
        " The encoder is a transformer",
        Cite(("dosovitskiy2021",)),
        f" over patches of {shape.patch_samples} samples, with {plural(shape.n_blocks, 'block')}, "
        f"{plural(shape.n_heads, 'attention head')} and {shape.width} features a patch.",
    )


# --- training --------------------------------------------------------------------------------------------------


def _unit(options: AnyObjective) -> str:
    """What a batch consists of."""
    return "pairs" if isinstance(options, TwoViewsOptions) else "segments"


def _exposure(study: Study) -> Text:
    sources = {parse_arm(name).encoder for name in study.arms}
    words = {
        "per-fold": {
            "ssl-labelled": "the training patients of the labelled cohort, anew in every fold",
            "ssl-all": "the training patients of the labelled cohort and all unlabelled cohorts, anew in every fold",
        },
        "disjoint": {
            "ssl-labelled": "the training patients of the labelled cohort, anew in every fold",
            "ssl-all": "the unlabelled cohorts alone, once for all folds",
        },
        "transductive": {
            "ssl-labelled": "all patients of the labelled cohort, test patients too, once for all folds (transductive)",
            "ssl-all": "all patients of all cohorts, test patients too, once for all folds (transductive)",
        },
    }[study.pretraining.exposure]
    labels = {"ssl-labelled": "“labelled cohort”", "ssl-all": "“all recordings”"}
    texts = [f"the encoder {labels[name]} was pretrained on {words[name]}" for name in labels if name in sources]
    closing = (
        ""
        if study.pretraining.exposure == "transductive"
        else " No encoder saw a signal of a patient it was tested on."
    )
    return (
        f"Of the two sources of pretraining, {'; '.join(texts)}.{closing}"
        if len(texts) > 1
        else f"{_capital(texts[0])}.{closing}"
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _optimisation(study: Study) -> Text:
    settings = study.pretraining
    return (
        f"Training took {rounding.count(settings.n_steps)} steps of AdamW",
        Cite(("loshchilov2019",)),
        f" with batches of {settings.batch_size} {_unit(settings.objective)}, learning rate "
        f"{settings.learning_rate:g} (linear warm-up over {100 * settings.warmup_fraction:g}% of the steps, then "
        f"cosine decay) and weight decay {settings.weight_decay:g}. The loss was judged every "
        f"{settings.evaluate_every} steps on {100 * settings.validation_fraction:g}% of the patients, held out from "
        "it; the weights of the lowest such loss were kept. The effective rank of the held-out representation",
        Cite(("roy2007",)),
        " tells whether it collapsed.",
    )

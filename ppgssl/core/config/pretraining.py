"""What ``study.yaml`` holds about self-supervised pretraining: encoders, objectives, augmentations and the training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from ppgssl.core.schema import Schema, named


def _name_or(default: str) -> Any:
    """Which options a mapping means: its ``name``, or the default where it names none."""

    def name_of(value: Any) -> str:
        found = value.get("name", default) if isinstance(value, dict) else getattr(value, "name", default)
        return str(found)

    return name_of


# --- encoders --------------------------------------------------------------------------------------------------

Representation = Literal["moments+readouts", "moments", "last"]
_REPRESENTED = (
    "What stands for a segment. moments: mean and SD over time of the feature maps of every depth; "
    "moments+readouts: these, and a summary of the beat measures that the encoder's beat head predicts; last: the mean "
    "over time of the last map (the published way). By default moments+readouts where the objective predicts "
    "beat measures."
)


class ResNet1dShape(Schema):
    """Size of the compact, strided 1-D residual encoder."""

    name: Literal["resnet1d"] = "resnet1d"
    width: int = Field(
        32, ge=4, le=512, description="Feature maps of the first stage; each further stage doubles them."
    )
    n_stages: int = Field(2, ge=1, le=6, description="Stages; each halves the time axis.")
    blocks_per_stage: int = Field(1, ge=1, le=8)
    kernel_size: int = Field(7, ge=3, le=63)
    representation: Representation | None = Field(None, description=_REPRESENTED)

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the kernel has a centre")
        return value


class ResNet50Shape(Schema):
    """Size of the published 50-layer 1-D residual encoder."""

    name: Literal["resnet50-1d"]
    width: int = Field(
        64, ge=4, le=512, description="Feature maps inside the bottlenecks of the first stage; doubled by each stage."
    )
    n_features: int = Field(32, ge=2, le=4096, description="Features of the last map.")
    representation: Representation | None = Field("last", description=_REPRESENTED)


class PatchTransformerShape(Schema):
    """Size of the transformer over patches of samples."""

    name: Literal["patch-transformer"]
    patch_samples: int = Field(16, ge=2, le=1000, description="Samples of a patch, all channels of which make a token.")
    width: int = Field(64, ge=8, le=2048, description="Features of a token.")
    n_blocks: int = Field(4, ge=1, le=48)
    n_heads: int = Field(4, ge=1, le=64)
    representation: Representation | None = Field(None, description=_REPRESENTED)

    @model_validator(mode="after")
    def _divisible(self) -> PatchTransformerShape:
        if self.width % self.n_heads:
            raise ValueError(f"`width` must be a multiple of `n_heads`, and {self.width} is none of {self.n_heads}")
        return self


AnyShape = ResNet1dShape | ResNet50Shape | PatchTransformerShape
EncoderShape = Annotated[
    Annotated[ResNet1dShape, Tag("resnet1d")]
    | Annotated[ResNet50Shape, Tag("resnet50-1d")]
    | Annotated[PatchTransformerShape, Tag("patch-transformer")],
    Discriminator(_name_or("resnet1d")),
    BeforeValidator(named),
]


# --- augmentations ---------------------------------------------------------------------------------------------


class _Augmentation(Schema):
    probability: float = Field(1.0, ge=0, le=1, description="Proportion of the segments that it is applied to.")


class NoiseOptions(_Augmentation):
    """Gaussian noise is added."""

    name: Literal["noise"]
    sd: float = Field(0.2, gt=0, le=10, description="SD of the noise, in SDs of the segment's channel.")


class ScalingOptions(_Augmentation):
    """All samples of a channel are multiplied by one number."""

    name: Literal["scaling"]
    sd: float = Field(0.3, gt=0, le=3, description="SD of the natural logarithm of the factor, drawn for each channel.")


class _OfHalf(_Augmentation):
    probability: float = Field(0.5, ge=0, le=1, description="Proportion of the segments that it is applied to.")


class NegationOptions(_OfHalf):
    """Upside down."""

    name: Literal["negation"]


class TimeReversalOptions(_OfHalf):
    """Backwards."""

    name: Literal["time-reversal"]


class PermutationOptions(_Augmentation):
    """Cut into chunks, which change places; all channels alike."""

    name: Literal["permutation"]
    max_chunks: int = Field(5, ge=2, le=50, description="2 to this many chunks.")


class TimeWarpingOptions(_Augmentation):
    """Time runs faster here and slower there; all channels alike."""

    name: Literal["time-warping"]
    sd: float = Field(0.2, gt=0, le=1, description="SD of the natural logarithm of the local speed.")
    n_knots: int = Field(4, ge=2, le=50, description="Places at which a speed is drawn.")


class MotionOptions(_OfHalf):
    """Movement: irregular waves, alike in all channels, over a part of the segment."""

    name: Literal["motion"]
    sd: float = Field(1.0, gt=0, le=10, description="Largest SD of the waves, in SDs of the segment's channel.")
    n_knots: int = Field(40, ge=4, le=1000, description="Turning points of the waves in a segment.")


class AmbientLightOptions(_OfHalf):
    """Light from outside: slow waves, alike in all channels."""

    name: Literal["ambient-light"]
    sd: float = Field(0.5, gt=0, le=10, description="Largest SD of the waves, in SDs of the segment's channel.")
    n_knots: int = Field(8, ge=2, le=1000, description="Turning points of the waves in a segment.")


class ContactLossOptions(_OfHalf):
    """The probe is off for a while: the signal is flat in all channels."""

    name: Literal["contact-loss"]
    proportion: float = Field(0.3, gt=0, lt=1, description="Largest proportion of the segment that is flat.")


class ClippingOptions(_OfHalf):
    """The amplifier saturates: what exceeds a limit is cut off."""

    name: Literal["clipping"]
    limit: float = Field(0.5, gt=0, lt=1, description="Lowest limit, as a proportion of the largest sample.")


AnyAugmentation = (
    NoiseOptions
    | ScalingOptions
    | NegationOptions
    | TimeReversalOptions
    | PermutationOptions
    | TimeWarpingOptions
    | MotionOptions
    | AmbientLightOptions
    | ContactLossOptions
    | ClippingOptions
)
AugmentationOptions = Annotated[AnyAugmentation, Field(discriminator="name"), BeforeValidator(named)]


_KEEP_TIME = ("noise", "scaling", "motion", "ambient-light", "contact-loss", "clipping")


def _published_augmentations() -> list[AnyAugmentation]:
    return [NoiseOptions(name="noise"), PermutationOptions(name="permutation")]


def _all_augmentations() -> list[AnyAugmentation]:
    return [
        NoiseOptions(name="noise"),
        ScalingOptions(name="scaling"),
        NegationOptions(name="negation"),
        TimeReversalOptions(name="time-reversal"),
        PermutationOptions(name="permutation"),
        TimeWarpingOptions(name="time-warping"),
    ]


# --- objectives ------------------------------------------------------------------------------------------------

ReconstructionLoss = Annotated[
    Literal["mse", "spectral", "sdsc", "sdsc+mse"],
    Field(
        description="mse: mean squared error; spectral: log-magnitude spectra at several resolutions; sdsc: overlap of "
        "signed amplitudes (Dice); sdsc+mse: their hybrid."
    ),
]
Pairs = Annotated[
    Literal["patient", "segment"],
    Field(
        description="What belongs together: two non-overlapping segments of one patient (the published study), or two "
        "augmentations of one segment."
    ),
]


class AutoencoderOptions(Schema):
    """All samples go in, and have to come back."""

    name: Literal["autoencoder"]
    loss: ReconstructionLoss = "mse"


class MaskOptions(Schema):
    """What is hidden from a masked autoencoder."""

    mask_ratio: float = Field(0.5, gt=0, lt=1, description="Proportion of the samples that is hidden.")
    mask_group_s: float = Field(0.2, gt=0, description="Length of one hidden interval.")
    mask_channels: Literal["together", "apart"] = Field(
        "together", description="Whether the same times are hidden in all channels, or other ones in each."
    )
    loss: ReconstructionLoss = "mse"


class MaskedAutoencoderOptions(MaskOptions):
    """Intervals are hidden, and have to be filled in."""

    name: Literal["masked-autoencoder"]


class TwoViewsOptions(Schema):
    """What belongs together."""

    name: str
    pairs: Pairs = "patient"
    min_segments: int = Field(2, ge=2, description="Patients with fewer make no pairs; 16 in the published study.")
    augmentations: list[AugmentationOptions] = Field(
        default_factory=_published_augmentations, description="Each view goes through all of them, in this order."
    )

    @model_validator(mode="after")
    def _views_differ(self) -> Self:
        if self.pairs == "segment" and not any(augmentation.probability > 0 for augmentation in self.augmentations):
            raise ValueError("`pairs: segment` needs `augmentations`: without them, both views are the same")
        return self


class ContrastiveOptions(TwoViewsOptions):
    """How partners are distinguished from segments of others."""

    temperature: float = Field(
        0.1, gt=0, le=10, description="The lower it is, the more only the most similar segments of others count."
    )
    decoupled: bool = Field(False, description="Leave the positive pair out of the denominator (DCL).")
    margin: float = Field(0.0, ge=0, lt=2, description="Taken off the similarity, -1 to 1, of the positive pair.")
    projection_dim: int = Field(64, ge=2, le=8192, description="Dimensions in which similarity is measured.")


class ContrastivePatientOptions(ContrastiveOptions):
    """Segments that belong together have to be found among those of other patients (NT-Xent)."""

    name: Literal["contrastive-patient"]


class ContrastiveMaskedOptions(ContrastiveOptions, MaskOptions):
    """Partners have to be found, and hidden intervals filled in."""

    reconstruction_weight: float = Field(
        5.0,
        gt=0,
        description="Weight of the loss of filling in (1 for a flat line), relative to that of finding partners.",
    )


class ContrastiveMaskedAutoencoderOptions(ContrastiveMaskedOptions):
    """Partners have to be found, and hidden intervals filled in."""

    name: Literal["contrastive-masked-autoencoder"]


_MEASURE_WEIGHTS = {
    "interval": 10.0,
    "height": 3.0,
    "rise": 1.0,
    "width": 1.0,
    "area": 1.0,
    "descent": 1.0,
    "ratio": 1.0,
}


class BeatOptions(Schema):
    """How beat measures are predicted."""

    measure_weights: dict[str, float] = Field(
        default_factory=lambda: dict(_MEASURE_WEIGHTS),
        description="Weights of the losses of each measure of a beat; those that are not named keep theirs, 0 leaves "
        "one out.",
    )
    beat_augmentations: list[AugmentationOptions] = Field(
        default_factory=list,
        description="Applied to the input of this task; the targets are the beat measures of the unaugmented segment.",
    )

    @field_validator("measure_weights")
    @classmethod
    def _known_measures(cls, value: dict[str, float]) -> dict[str, float]:
        for name, weight in value.items():
            if name not in _MEASURE_WEIGHTS:
                raise ValueError(f"{name!r} is no measure of a beat; there are {', '.join(_MEASURE_WEIGHTS)}")
            if not 0 <= weight <= 1000:
                raise ValueError(f"the weight of {name!r} must lie in 0 to 1000, and is {weight:g}")
        return _MEASURE_WEIGHTS | value

    @field_validator("beat_augmentations")
    @classmethod
    def _keep_time(cls, value: list[AnyAugmentation]) -> list[AnyAugmentation]:
        for augmentation in value:
            if augmentation.name not in _KEEP_TIME:
                raise ValueError(
                    f"{augmentation.name!r} changes the times or the signs of the beats to predict; there are "
                    f"{', '.join(_KEEP_TIME)}"
                )
        return value


class BeatSequenceOptions(BeatOptions):
    """Interval, height and shape of each beat have to be predicted, at every time of a segment."""

    name: Literal["beat-sequence"]


class ContrastiveMaskedBeatsOptions(ContrastiveMaskedOptions, BeatOptions):
    """Partners have to be found, hidden intervals filled in, and beat measures predicted."""

    name: Literal["contrastive-masked-beats"]
    beat_weight: float = Field(
        1.0, gt=0, description="Weight of the loss of the beat measures, relative to that of finding partners."
    )


class VicRegOptions(TwoViewsOptions):
    """Two views get the same embedding, whose dimensions keep their variance and share no information."""

    name: Literal["vicreg"]
    similarity_weight: float = Field(25.0, ge=0, description="Of the squared difference between views.")
    variance_weight: float = Field(25.0, ge=0, description="Of what dimensions lack of an SD of 1.")
    covariance_weight: float = Field(1.0, ge=0, description="Of the squared covariances of dimensions.")
    projection_dim: int = Field(
        128,
        ge=2,
        le=8192,
        description="Dimensions of which variance and covariance are taken; more than there are pairs in a batch "
        "cannot all be unlike each other.",
    )


class TransformationRecognitionOptions(Schema):
    """Which transformations was a segment put through?"""

    name: Literal["transformation-recognition"]
    transformations: list[AugmentationOptions] = Field(
        default_factory=_all_augmentations,
        min_length=1,
        description="Each is applied to half of the segments, whatever its `probability`, and has to be recognised.",
    )


AnyObjective = (
    AutoencoderOptions
    | MaskedAutoencoderOptions
    | ContrastivePatientOptions
    | ContrastiveMaskedAutoencoderOptions
    | BeatSequenceOptions
    | ContrastiveMaskedBeatsOptions
    | VicRegOptions
    | TransformationRecognitionOptions
)
ObjectiveOptions = Annotated[AnyObjective, Field(discriminator="name"), BeforeValidator(named)]


# --- training --------------------------------------------------------------------------------------------------


def _whole_or_auto(value: Any) -> Any:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"must be a whole number of at least 1, or auto, and is {value!r}")
    return value


RANDOM, BASE = "random", "base"
# Of `n_steps: auto`; docs/choices.md holds the curves.
_N_PASSES, _LEAST_STEPS, _MOST_STEPS = 20, 300, 4000


class Pretraining(Schema):
    """Self-supervised pretraining."""

    objective: ObjectiveOptions = Field(
        default_factory=lambda: ContrastiveMaskedBeatsOptions(name="contrastive-masked-beats"),
        description="The pretext task: its name, or a mapping of `name` and its options.",
    )
    encoder: EncoderShape = Field(
        default_factory=ResNet1dShape, description="The encoder: its name, or a mapping of `name` and its size."
    )
    init: str = Field(
        RANDOM,
        min_length=1,
        description="First weights: random; base, those of the encoder that comes with ppgssl; or those of an encoder "
        "in a folder, its path relative to the study file.",
    )
    channel_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Chance that a channel is blanked, so that the encoder serves cohorts that lack one; never all.",
    )
    exposure: Literal["per-fold", "disjoint", "transductive"] = Field(
        "per-fold",
        description="What SSL on all recordings sees: training patients of each fold and the unlabelled cohorts; the "
        "unlabelled cohorts alone, once; or everything, test patients too, which the report marks as transductive.",
    )
    n_steps: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], BeforeValidator(_whole_or_auto)] = Field(
        "auto",
        description="Optimizer steps. auto: as many as 20 passes over the training segments take, at least 300 and at "
        "most 4,000.",
    )
    batch_size: int = Field(64, ge=2, description="Segments (or pairs) of a step, over all devices.")
    accumulate: int = Field(1, ge=1, description="Parts of a step's batch, one after the other, where memory is short.")
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_fraction: float = Field(0.1, ge=0, le=0.9)
    validation_fraction: float = Field(0.1, gt=0, lt=0.9, description="Patients held out to evaluate the loss.")
    evaluate_every: int = Field(200, ge=1, description="Steps between validation losses, checkpoints and log lines.")
    precision: Literal["auto", "bf16-mixed", "32-true"] = Field(
        "auto",
        description="auto: bf16-mixed on a GPU, and for resnet50-1d on a processor that multiplies bfloat16; 32-true "
        "elsewhere.",
    )
    compile: bool = Field(False, description="Compile the network first: half a minute, for thousands of steps.")

    def steps(self, n_segments: int) -> int:
        """Optimizer steps of a run that trains on so many segments."""
        if self.n_steps != "auto":
            return self.n_steps
        return min(max(round(_N_PASSES * n_segments / self.batch_size), _LEAST_STEPS), _MOST_STEPS)

    @property
    def shape(self) -> AnyShape:
        """``encoder``, with the representation that follows from the objective where none is named."""
        if self.encoder.representation is not None:
            return self.encoder
        found: Representation = "moments+readouts" if isinstance(self.objective, BeatOptions) else "moments"
        return self.encoder.model_copy(update={"representation": found})

    @model_validator(mode="after")
    def _readouts_are_trained(self) -> Self:
        if self.encoder.representation == "moments+readouts" and not isinstance(self.objective, BeatOptions):
            raise ValueError(
                "`encoder.representation: moments+readouts` needs an objective that predicts beat measures, such as "
                f"contrastive-masked-beats, and `objective` is {self.objective.name}"
            )
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"`batch_size` must be a multiple of `accumulate`, and {self.batch_size} is none of {self.accumulate}"
            )
        return self

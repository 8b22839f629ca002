"""Methods text, made from what was configured: another configuration gives another text."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.fixed import BANDS_HZ, BRIDGE_S, QUALITY_INDICES, TOLERATED_SHARE
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ReportError
from ppgssl.core.records import modality
from ppgssl.core.results.study import Results
from ppgssl.report.document import Cite, Heading, Paragraph, Text
from ppgssl.report.text.families import ssl_arms
from ppgssl.report.text.prediction_methods import missing_methods, prediction_methods
from ppgssl.report.text.pretraining_methods import pretraining_methods
from ppgssl.report.text.rounding import enumeration
from ppgssl.report.text.validation_methods import statistics_methods, validation_methods

_MODALITY_LABELS = {"ppg": "photoplethysmograms", "ecg": "electrocardiograms"}
_NORMALISATION = {
    "segment": (
        "each segment and channel was scaled to mean 0 and standard deviation 1, which leaves out absolute amplitude "
        "and baseline"
    ),
    "cohort": "each channel was scaled by the mean and standard deviation of its cohort's training segments",
    "ac_dc": (
        "the pulsatile part was divided by the baseline (AC/DC, in percent), which keeps the ratio between channels "
        "that oxygen saturation depends on"
    ),
    "fixed": "each channel was scaled by fixed constants",
}


@dataclass(frozen=True)
class Configuration:
    """The study and its cohorts as they were configured."""

    study: Study
    cohorts: tuple[Cohort, ...]

    @property
    def channels(self) -> list[str]:
        """Cohort channels that may fill an input."""
        return [name for channel in self.study.inputs.channels for name in channel.any_of]


def configuration(results: Results) -> Configuration:
    """Read the configuration that the results carry.

    Raises
    ------
    ReportError
        If it is not a configuration of this version.
    """
    provenance = results.provenance
    try:
        study = Study.model_validate(provenance.study)
        return Configuration(study, tuple(Cohort.model_validate(cohort) for cohort in provenance.cohorts))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise ReportError(
            f"the configuration inside these results is not one of this version ({place}: {first['msg']}). "
            "Run `ppgssl evaluate STUDY.yaml` again."
        ) from None


def methods(results: Results) -> tuple[Heading | Paragraph, ...]:
    """The methods section."""
    config = configuration(results)
    parts = (
        ("Signals", _signals(config)),
        ("Segments", _segments(config)),
        ("Self-supervised pretraining", _pretraining(results, config.study)),
        ("Prediction", prediction_methods(results, config.study, config.cohorts)),
        ("Missing values", missing_methods(results, config.study)),
        ("Validation", validation_methods(results, config.study)),
        ("Statistics", statistics_methods(results, config.study)),
    )
    blocks: list[Heading | Paragraph] = []
    for title, texts in parts:
        blocks += [Heading(title), *map(Paragraph, texts)] if texts else []
    return tuple(blocks)


def _pretraining(results: Results, study: Study) -> list[Text]:
    is_frozen = results.validation.scheme == "external"
    return pretraining_methods(study, is_frozen=is_frozen) if ssl_arms(results) else []


# --- signals ---------------------------------------------------------------------------------------------------


def _signals(config: Configuration) -> list[Text]:
    common: Text = (
        "Recordings were searched for missing, flat and clipped stretches and for jumps; defects of up to "
        f"{BRIDGE_S:g} s were interpolated, longer ones left out. Each good stretch was band-pass filtered on its own "
        "with a Butterworth filter run forwards and backwards (no delay)",
        Cite(("liang2018",)),
        ", and resampled.",
    )
    sources = " ".join(map(_source, config.cohorts))
    return [common, sources] if sources else [common]


def _source(cohort: Cohort) -> str:
    rate = f" sampled at {cohort.signals.fs_hz:g} Hz" if cohort.signals.fs_hz else ""
    kinds = list(dict.fromkeys(modality(name) for name in cohort.signals.channels))
    turned = [name for name, channel in cohort.signals.channels.items() if channel.inverted is not False]
    upright = ", turned upright where the pulse pointed down" if "ppg" in map(modality, turned) else ""
    bands = enumeration(f"{_band(cohort, kind)} for {_MODALITY_LABELS[kind]}" for kind in kinds)
    stored = f"stored at {cohort.signal.fs_hz:g} Hz{upright}"
    names = enumeration(cohort.signals.channels)
    return f"{cohort.title or cohort.name}: {names}{rate}; pass band {bands}; {stored}."


def _band(cohort: Cohort, kind: str) -> str:
    bands = dict(cohort.signal.band_hz)
    low, high = next((edges for name, edges in bands.items() if name == kind), BANDS_HZ[kind])
    return f"{low:g} to {high:g} Hz"


def _segments(config: Configuration) -> list[Text]:
    inputs = config.study.inputs
    channels = enumeration(f"{channel.name} ({' or '.join(channel.any_of)})" for channel in inputs.channels)
    word = "channel" if len(inputs.channels) == 1 else "channels"
    return [
        (
            f"Recordings were cut into segments of {inputs.segment_s:g} s every {inputs.step_s:g} s, at "
            f"{inputs.fs_hz:g} Hz ({inputs.segment_samples} samples). Input {word}: {channels}; where a channel may be "
            "filled from several, the first that was recorded is used."
            f"{_lacking(config)} A segment was accepted if no sample was lost to a defect, at most "
            f"{100 * TOLERATED_SHARE:g}% were interpolated, and its signal quality index was at least "
            f"{inputs.min_sqi:g}. That index, between 0 and 1, is the worst of {len(QUALITY_INDICES)} after "
            f"published ones ({enumeration(QUALITY_INDICES)})",
            Cite(("orphanidou2015", "elgendi2016", "sukor2011")),
            f".{_device_rules(config)} Before the encoder, {_NORMALISATION[inputs.normalisation]}.",
        )
    ]


def _lacking(config: Configuration) -> str:
    """Which cohorts do without which optional channel."""
    sentences = []
    for cohort in config.cohorts:
        lacks = [one.name for one in config.study.inputs.channels if not set(one.any_of) & set(cohort.signals.channels)]
        if lacks:
            sentences.append(f" {cohort.title or cohort.name}: no {enumeration(lacks)}, which stays zero.")
    return "".join(sentences)


def _device_rules(config: Configuration) -> str:
    """Of cohorts that the device's own index decides about, not ours."""
    rules = {
        "device": "the median of the device's own index was at least",
        "device-any": "the device's own index was, in any second, at least",
    }
    return "".join(
        f" In {cohort.title or cohort.name}, a segment was accepted if {rules[cohort.segments.accept]} "
        f"{cohort.segments.min_device_sqi:g} instead."
        for cohort in config.cohorts
        if cohort.segments.accept != "sqi"
    )

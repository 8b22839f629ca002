"""Names that show who is the same, and not who it is: keyed hashes of ids, and of all that files are called.

A pseudonym depends on the key and on the id alone. So a patient has the same one in all cohorts of a hospital, which
uses one key, and in no other hospital; and without the key nobody can try out ids, as with a plain hash [1]_.

References
----------
.. [1] Jensen, Lauradoux, Limniotis, Pseudonymisation techniques and best practices, ENISA, 2019: message
   authentication codes. HMAC: Krawczyk, Bellare, Canetti, RFC 2104, 1997.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import replace

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.records import Reject
from ppgssl.core.text import Message
from ppgssl.readers.files import SourceFile, fill_pattern
from ppgssl.readers.privacy.redaction import redacted

# Letters of 5 bits each. 80 bits: of a million patients, two have one pseudonym with a chance of 4e-13. Visits and
# recordings need to differ within their patient only.
_LONG, _SHORT = 16, 8


class Pseudonyms:
    """Pseudonyms of one key, and what those that were made stand for.

    The ``fingerprint`` distinguishes keys, and does not reveal the key. Methods raise ConfigError if two names have the
    same pseudonym.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._originals: dict[str, str] = {}
        self.fingerprint = self._letters("fingerprint of the key")[:_LONG]

    def patient(self, patient_id: str) -> str:
        """``p`` and 16 letters or digits; an id is taken as it is written, blanks and leading zeros included."""
        return self._remember("p" + self._letters("patient", patient_id)[:_LONG], patient_id)

    def source(self, source: SourceFile, cohort: Cohort) -> SourceFile:
        """The same file under pseudonyms, its place made of them; ``path`` and ``companions`` are left as they are."""
        patient, visit = self.patient(source.patient_id), ""
        recording = ""
        if source.visit:
            visit = "v" + self._letters("visit", source.patient_id, source.visit)[:_SHORT]
        if source.recording:
            letters = self._letters("recording", source.patient_id, source.visit, source.recording)
            recording = "r" + letters[:_SHORT]
        fields = {"patient": patient, "visit": visit, "recording": recording}
        recording_id = "_".join(text for text in fields.values() if text)
        return replace(
            source,
            patient_id=patient,
            visit=visit,
            recording=recording,
            recording_id=self._remember(recording_id, source.recording_id),
            relative=self._remember(fill_pattern(cohort.signals.files, fields), source.relative),
        )

    def reject(self, reject: Reject, cohort: Cohort) -> Reject:
        """A complaint about a file or folder that no recording came of, under a pseudonym of its place."""
        subject = self._remember("f" + self._letters("file", reject.subject)[:_LONG], reject.subject)
        return replace(reject, subject=subject, detail=redacted(reject.detail, cohort))

    def originals(self) -> dict[str, str]:
        """All pseudonyms made so far, and what they stand for."""
        return dict(self._originals)

    def _letters(self, *names: str) -> str:
        # Lengths keep apart what would run together: ("a", "bc") and ("ab", "c").
        message = "".join(f"{len(text)}:{text}" for text in names).encode("utf-8", "surrogateescape")
        return base64.b32encode(hmac.digest(self._key, message, "sha256")).decode("ascii").lower()

    def _remember(self, pseudonym: str, original: str) -> str:
        if self._originals.setdefault(pseudonym, original) != original:
            problem = Message(
                "two different names have the same pseudonym, by an accident of one in many millions: take another "
                "key, and another folder for the store"
            )
            raise ConfigError(problem)
        return pseudonym

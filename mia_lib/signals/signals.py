"""Signals: what models answer on fragments. The border between whoever owns a model and whoever attacks it.

Attacks see these arrays only, so a saved array from anybody's model is attacked by the same code as the tutorial's.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from mia_lib.signals.on_disk import OnDisk
from mia_lib.signals.statistics import Statistics, confidence, log_of_posteriors, posteriors, statistics
from mia_lib.support.errors import MiaError


def _check_logits(logits: np.ndarray | OnDisk) -> None:
    """Raise MiaError unless every fragment of logits [K, N, C] has a finite one and none is NaN or +inf; those on disk were
    looked at when they were read."""
    if isinstance(logits, OnDisk):
        return
    for rows in logits:
        largest = rows.max(-1, initial=-np.inf)  # NaN where any is
        if np.isnan(largest).any() or np.isposinf(largest).any():
            raise MiaError("logits hold values that are not numbers (NaN or infinite)")
        if np.isneginf(largest).any():
            raise MiaError("some fragments have no finite logit")


@dataclass(frozen=True)
class Signals:
    """Answers of K models on N fragments, and what is known of those fragments.

    logits: float [K, N, C], -inf for classes that a model does not have. labels: int64 [K, N], the fragment's class, -1 if
    its speaker is none of the model's. member: int8 [K, N], 1 member, 0 non-member, -1 not in that model's audit set.
    aligned: the models know the same speakers, and a column is the same fragment for all of them and for the target: what
    attacks need that compare a fragment with itself. population: bool [N], fragments that no model trained on and that
    the attacker knows as such.

    What not everybody has, None without it: person, int64 [N], whose voice the attacker takes a fragment to be; inputs,
    float [N, D], a description of each fragment that does not depend on any model; copies, float [Q, K, N, C], answers
    to Q altered versions of each fragment; sensitivity, float [K, N, C], how far posteriors move with noise (`sensitivity`);
    internals, float [K, N, W], what only the owner of a model can read; embeddings,
    float [K, N, D], of the voice in each fragment. Encoders give nothing else: logits then have no class, C = 0.
    Raises MiaError when shapes disagree or values are not what they should be.
    """

    logits: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    aligned: bool = False
    population: np.ndarray | None = None
    person: np.ndarray | None = None
    inputs: np.ndarray | None = None
    copies: np.ndarray | None = None
    sensitivity: np.ndarray | None = None
    internals: np.ndarray | None = None
    embeddings: np.ndarray | None = None

    def __post_init__(self):
        for name, given in (("logits", self.logits), ("embeddings", self.embeddings)):
            if given is not None and given.ndim != 3:
                last = "classes" if name == "logits" else "dimensions"
                raise MiaError(f"{name} must have the axes models, fragments, {last}, not the shape {given.shape}")
        shape = self.logits.shape[:2]
        for name, wanted, found in (
            ("labels", shape, self.labels.shape),
            ("member", shape, self.member.shape),
            ("population", shape[1:], shape[1:] if self.population is None else self.population.shape),
            ("person", shape[1:], shape[1:] if self.person is None else self.person.shape),
            ("inputs", shape[1:], shape[1:] if self.inputs is None else self.inputs.shape[:1]),
            ("copies", self.logits.shape, self.logits.shape if self.copies is None else self.copies.shape[1:]),
            (
                "sensitivity",
                self.logits.shape,
                self.logits.shape if self.sensitivity is None else self.sensitivity.shape,
            ),
            ("internals", shape, shape if self.internals is None else self.internals.shape[:2]),
            ("embeddings", shape, shape if self.embeddings is None else self.embeddings.shape[:2]),
        ):
            if wanted != found:
                raise MiaError(f"{name} must have the shape {wanted}, as the logits have, not {found}")
        if self.embeddings is None or self.logits.shape[2]:
            for values in (self.logits, *([] if self.copies is None else self.copies)):
                _check_logits(values)
        for name, extra in (
            ("inputs", self.inputs),
            ("sensitivity", self.sensitivity),
            ("internals", self.internals),
            ("embeddings", self.embeddings),
        ):
            if extra is not None and not np.isfinite(extra).all():
                raise MiaError(f"{name} hold values that are not finite numbers")
        if not np.isin(self.member, (-1, 0, 1)).all():
            raise MiaError("member must hold 1 (member), 0 (non-member) and -1 (not audited) only")
        if self.labels.min(initial=-1) < -1 or self.labels.max(initial=-1) >= self.logits.shape[2]:
            raise MiaError(f"labels must lie between -1 and {self.logits.shape[2] - 1}")
        if self.population is not None:
            if self.population.dtype != bool:
                raise MiaError("population must be a mask of true and false")
            if (self.member[:, self.population] >= 0).any():
                raise MiaError("fragments of the population must not be audited (their member must be -1)")

    @classmethod
    def from_posteriors(cls, posteriors: np.ndarray, labels: np.ndarray, member: np.ndarray, **options) -> "Signals":
        """Signals of a model that gives posteriors [K, N, C], `copies` among them as posteriors [Q, K, N, C] too.

        Zeros and ones may be exact, as of rounded, half precision or one-hot answers: a zero counts as e^FLOOR.
        Raises MiaError unless posteriors are >= 0 and sum to one, to the precision with which they are given.
        """
        if options.get("copies") is not None:
            options["copies"] = log_of_posteriors(options["copies"])
        return cls(log_of_posteriors(posteriors), labels, member, **options)

    @classmethod
    def from_embeddings(cls, embeddings: np.ndarray, member: np.ndarray, **options) -> "Signals":
        """Signals of encoders that give embeddings [K, N, D] and nothing else: there is no class, and all labels are -1."""
        shape = embeddings.shape[:2]
        return cls(np.empty((*shape, 0)), np.full(shape, -1), member, embeddings=embeddings, **options)

    @property
    def answered_logits(self) -> np.ndarray:
        """The logits, for whoever needs some; raises MiaError where only embeddings were answered."""
        if not self.logits.shape[2]:
            raise MiaError("these signals hold embeddings only, and this attack needs logits or posteriors")
        return self.logits

    @property
    def statistics(self) -> Statistics:
        """Confidence, loss, entropies and top posteriors of every model and fragment, computed once."""
        if "statistics" not in self._computed:
            self._computed["statistics"] = statistics(self.answered_logits, self.labels)
        return self._computed["statistics"]

    def confidence(self, temperature: float) -> np.ndarray:
        """Logit-scaled confidence of the logits divided by a temperature, float64 [K, N]; computed once for each."""
        if temperature not in self._computed:
            self._computed[temperature] = confidence(self.answered_logits, self.labels, temperature)
        return self._computed[temperature]

    @cached_property
    def _computed(self) -> dict:
        """What was computed of these answers, whoever is a member: shared by all signals that differ in membership only."""
        return {}

    def remember(self, computed: dict) -> None:
        """Keep what was read off the answers elsewhere: `statistics`, and confidences by their temperature."""
        self._computed.update(computed)

    def posteriors(self) -> np.ndarray:
        """Softmax of the logits, float64 [K, N, C]."""
        return posteriors(self.answered_logits)

    def pick(self, models: list[int]) -> "Signals":
        """The signals of some of the models."""
        return self._part(np.s_[models, :])

    def columns(self, fragments: np.ndarray) -> "Signals":
        """The signals on some of the fragments, given by their numbers or a mask [N]."""
        return self._part(np.s_[:, fragments])

    def _part(self, index: tuple) -> "Signals":
        parts = dict(logits=self.logits[index], labels=self.labels[index], member=self.member[index])
        for name in ("population", "person", "inputs"):
            parts[name] = None if getattr(self, name) is None else getattr(self, name)[index[1]]
        parts["copies"] = None if self.copies is None else self.copies[:, *index]
        for name in ("sensitivity", "internals", "embeddings"):
            parts[name] = None if getattr(self, name) is None else getattr(self, name)[index]
        new = self._changed(**parts)
        new.__dict__["_computed"] = {what: values[index] for what, values in self._computed.items()}
        return new

    def audit_only(self, audit: np.ndarray) -> "Signals":
        """The same signals with only part of the audit sets: `audit` is a mask that broadcasts to [K, N].

        A model whose audit set is empty is not used by any attack: it can play the target that the others attack.
        """
        return self.with_members(np.where(audit, self.member, -1).astype(self.member.dtype))

    def with_members(self, member: np.ndarray) -> "Signals":
        """The same answers under another membership, int8 [K, N]."""
        new = self._changed(member=member)
        new.__dict__["_computed"] = self._computed
        return new

    @cached_property
    def without_labels(self) -> "Signals":
        """The same answers, as seen by somebody who does not know whether speakers are among the classes: all labels are -1.

        Where non-members are strangers, to know that would be to know who is a member. Internals, which were read at the
        true class, are left out.
        """
        return self._changed(labels=np.full_like(self.labels, -1), internals=None)

    def without(self, model: int) -> "Signals":
        """The same signals, with nothing known of one model's membership: it is left to be attacked."""
        return self.audit_only((np.arange(len(self.logits)) != model)[:, None])

    def _changed(self, **changes) -> "Signals":
        """A copy with other parts, made of what was checked before."""
        new = object.__new__(Signals)
        new.__dict__.update({f.name: getattr(self, f.name) for f in fields(self)} | changes)
        return new

    def audited(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the audit sets are: mask [K, N], and the membership of those fragments, bool [number audited]."""
        mask = self.member >= 0
        return mask, self.member[mask] == 1

"""The service's sampler, scorers and student in the suites that every engine runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.conformance.oracle import naive_loss
from tests.conformance.policy import MakePolicy, PolicySuite, gradients_of, request_of, sampled
from tests.conformance.sampler import PARAMS, SamplerSubject, SamplerSuite
from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import VOCAB, every_term, likelihood_plan, tiny_batch, tiny_model, tiny_tokenizer
from tests.engines.tinker.pair import RANK, policy_on, session
from tests.models.test_sampling import V, qwen3, sharpened
from tests.tinker_service.running import Running
from understudy.engines.tinker import TinkerPolicy, TinkerSampler, TinkerScorer, TinkerService
from understudy.errors import CapabilityError, CheckpointError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import describe
from understudy.plans import LossPlan
from understudy.protocols import Policy, SampleRequest
from understudy.rollouts import FinishReason
from understudy.tokens import Batch

pytestmark = pytest.mark.timeout(200)

LENGTH = 48
Serving = tuple[TinkerService, Running]


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with session() as both:
        yield both


class TestSampler(SamplerSuite):
    num_draws = 100

    @pytest.fixture(scope="class")
    def model(self) -> Any:
        return sharpened(qwen3(tie_word_embeddings=False)).eval()

    @pytest.fixture
    def subject(self, serving: Serving, model: Any) -> SamplerSubject:
        service, running = serving
        running.desk.models["sampled"] = replace(describe(model, None), vocab_size=V, max_length=LENGTH)

        def logits(ids: Tensor) -> Tensor:
            with torch.no_grad():
                return model(input_ids=ids[None]).logits[0, :, :V]

        sampler = TinkerSampler(service, lambda: service.sampling_client("sampled"), max_length=LENGTH, version=7)
        return SamplerSubject(sampler, logits, vocab_size=V, max_length=LENGTH)

    def test_start_index_moves_along_the_keys_stream(self, subject: SamplerSubject) -> None:
        """The service's generator knows no stream: a later start is another draw, and the same one each time."""
        requests = [SampleRequest(torch.tensor([4, 2, 3]), key=5, start_index=n) for n in (0, 0, 1, 2, 3)]
        first, again, *others = subject.sampler.sample(requests, PARAMS, seed=3, step=0)
        assert first.completion_ids.tolist() == again.completion_ids.tolist()
        assert len({tuple(one.completion_ids.tolist()) for one in [first, *others]}) > 2

    @pytest.mark.parametrize("name", ["plain"])
    def test_samples_follow_the_distribution(self, subject: SamplerSubject, name: str) -> None:
        super().test_samples_follow_the_distribution(subject, name)

    def test_every_completion_is_told_once_as_soon_as_it_has_ended(self, subject: SamplerSubject) -> None:
        """In whatever order the service answers."""
        self.check_all_are_told(subject)

    def test_the_context_ends_completions_after_others_have_stopped(self, subject: SamplerSubject) -> None:
        """Each request is one of its own there; six of the suite's say as much."""
        requests = [SampleRequest(torch.full((LENGTH - n,), 2), key=n) for n in (9, 7, 8, 30, 31, 32)]
        params = replace(PARAMS, stop_ids=frozenset({1, 3, 5, 7}), max_completion_length=40)
        for sample, room in zip(
            subject.sampler.sample(requests, params, seed=0, step=0), (9, 7, 8, 30, 31, 32), strict=True
        ):
            stopped = int(sample.completion_ids[-1]) in params.stop_ids
            assert (sample.finish_reason == FinishReason.STOP) == stopped
            assert stopped or sample.completion_ids.numel() == room


class OnTheService(ScorerSuite):
    """Temperature 1 alone is there; another is refused."""

    @pytest.mark.parametrize("temperature", [1.0])
    def test_equals_a_dense_float64_softmax(self, scorer: Any, model: PreTrainedModel, temperature: float) -> None:
        super().test_equals_a_dense_float64_softmax(scorer, model, temperature)
        for change in ({"temperature": 0.6}, {"entropy": True}, {"hidden": True}):
            with pytest.raises(CapabilityError, match="Tinker service cannot give"):
                scorer.score(self.request_of(scorer, **change))


class TestTeacher(OnTheService):
    @pytest.fixture
    def make_scorer(self, serving: Serving) -> MakeScorer:
        service, running = serving

        def make(model: PreTrainedModel, *, vocab_size: int) -> TinkerScorer:
            loaded = describe(model, tiny_tokenizer(vocab_size))
            name = f"teacher-{loaded.fingerprint}-{id(model)}"
            running.desk.models[name] = loaded
            return TinkerScorer(
                service,
                lambda: service.sampling_client(name),
                name="a teacher",
                vocab_size=vocab_size,
                fingerprint=loaded.fingerprint,
            )

        return make


class TestStudentAsScorer(OnTheService):
    @pytest.fixture
    def make_scorer(self, serving: Serving) -> MakeScorer:
        service, running = serving

        def make(model: PreTrainedModel, *, vocab_size: int) -> TinkerPolicy:
            loaded = describe(model, tiny_tokenizer(vocab_size))
            name = f"student-{loaded.fingerprint}-{id(model)}"
            running.desk.models[name] = loaded
            return policy_on(service, loaded, base_model=name)

        return make

    def test_the_forward_pass_and_the_sampler_say_the_same(self, scorer: Any, model: PreTrainedModel) -> None:
        """Without the top tokens the trainer answers, with them the sampler."""
        request = self.request_of(scorer, top_k=0)
        self.check(scorer.score(request), self.truth(model, request), request, tolerance=self.tolerance)


class TestPolicy(PolicySuite):
    """Everything but whole vocabularies, hidden states and averages, which are refused; the wire is float32."""

    atol, rtol = 2e-4, 2e-4

    def oracle(self, model: PreTrainedModel) -> nn.Module:
        return add_lora(model, LoraConfig(rank=RANK, alpha=2.0 * RANK), seed=0)

    @pytest.fixture
    def make_policy(self, serving: Serving) -> MakePolicy:
        service, running = serving

        def make(model: PreTrainedModel, *, keep_initial: bool = False, **options: Any) -> TinkerPolicy:
            loaded = describe(model.float(), tiny_tokenizer())
            name = f"policy-{id(model)}"
            running.desk.models[name] = loaded
            policy = policy_on(service, loaded, base_model=name, **options)
            policy.desk = running.desk
            return policy

        return make

    def gradients(self, policy: Policy, batch: Batch, plan: LossPlan) -> dict[str, Tensor]:
        assert isinstance(policy, TinkerPolicy)
        policy.accumulate(batch, plan)
        student = policy.desk.students[policy.training.model_id]
        found = {name: p.grad.clone() for name, p in student.parameters.items() if p.grad is not None}
        student.optimizer.zero_grad(set_to_none=True)
        return found

    def plan(self, batch: Batch, *, temperature: float = 1.0) -> LossPlan:
        return LossPlan(every_term(batch), temperature)

    def test_each_kind_of_row_loss_alone(self, make_policy: MakePolicy, batch: Batch) -> None:
        """Those that the service does itself, and a custom one: row losses are the planner's, not an engine's."""
        policy, oracle = make_policy(tiny_model()), self.oracle(tiny_model(dtype=torch.float64))
        for term in [one for one in every_term(batch) if one.name in ("likelihood", "importance", "ppo", "jsd-tail")]:
            oracle.zero_grad()
            loss, _ = naive_loss(oracle, batch, [term], vocab_size=VOCAB)
            loss.backward()
            self.same(self.gradients(policy, batch, LossPlan([term])), gradients_of(oracle), term.name)

    @pytest.mark.parametrize("temperature", [1.0])
    def test_gradients_and_sums_equal_full_logits_autograd(
        self, make_policy: MakePolicy, batch: Batch, temperature: float
    ) -> None:
        super().test_gradients_and_sums_equal_full_logits_autograd(make_policy, batch, temperature)
        policy = make_policy(tiny_model())
        with pytest.raises(CapabilityError, match="temperature 1"):
            policy.update(batch, self.plan(batch, temperature=0.7))

    def test_hidden_states_are_of_the_weights_that_made_them(self, make_policy: MakePolicy) -> None:
        policy = make_policy(tiny_model(tied=False))
        assert not policy.capabilities.hidden
        with pytest.raises(CapabilityError, match="no average"):
            policy.scorer("ema")

    def test_initial_weights_stay(self, make_policy: MakePolicy) -> None:
        """The base model's own sampler has them."""
        batch = tiny_batch()
        policy = make_policy(tiny_model(), learning_rate=1e-2)
        before, initial = sampled(policy, batch), policy.scorer("initial")
        fingerprint = initial.fingerprint
        policy.update(batch, likelihood_plan(batch))
        torch.testing.assert_close(initial.score(request_of(batch)).sampled, before, atol=1e-5, rtol=0)
        assert initial.fingerprint == fingerprint != policy.fingerprint
        assert not torch.allclose(sampled(policy, batch), before, atol=1e-3)

    def test_resume_gives_the_very_same_updates(self, make_policy: MakePolicy, tmp_path: Any) -> None:
        model, options = tiny_model(), {"learning_rate": 1e-2, "schedule": "cosine", "weight_decay": 0.1}
        batches = [tiny_batch(seed=seed) for seed in range(4)]
        policy = make_policy(model, **options)
        for batch in batches[:2]:
            policy.update(batch, likelihood_plan(batch))
            policy.publish()
        policy.save(tmp_path / "saved")
        resumed = make_policy(model, **options)
        resumed.load(tmp_path / "saved")
        for batch in batches[2:]:
            result, again = (p.update(batch, likelihood_plan(batch)) for p in (policy, resumed))
            assert result == again
        scores, again = (p.score(request_of(batches[0])) for p in (policy, resumed))
        assert torch.equal(scores.sampled, again.sampled)
        assert (scores.fingerprint, scores.version) == (again.fingerprint, again.version)
        other = make_policy(tiny_model())
        with pytest.raises(CheckpointError, match="another student"):
            other.load(tmp_path / "saved")
        with pytest.raises(CheckpointError, match="names no state"):
            other.load(tmp_path)

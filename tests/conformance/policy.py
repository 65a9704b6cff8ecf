"""What every policy must do. Subclass ``PolicySuite`` and give a ``make_policy`` fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.conformance.oracle import naive_loss
from tests.conformance.tiny import VOCAB, every_term, full_terms, likelihood_plan, tiny_batch, tiny_model
from understudy.errors import NonFiniteError
from understudy.plans import Ids, Likelihood, LossPlan, LossTerm
from understudy.protocols import Policy, ScoreRequest
from understudy.rollouts import contexts_of
from understudy.tokens import Batch, Hidden, batch_of

MakePolicy = Callable[..., Policy]


class PolicySuite:
    """Subclasses override the fixture ``make_policy``: (model, **options) -> Policy, ``options`` as in ``variants``.

    ``gradients(policy, batch, plan)`` gives the gradient by parameter name before clipping.
    """

    variants: tuple[dict[str, object], ...] = ()
    atol, rtol = 1e-9, 1e-6

    @pytest.fixture
    def make_policy(self) -> MakePolicy:
        raise NotImplementedError

    def oracle(self, model: PreTrainedModel) -> nn.Module:
        """The model as plain PyTorch would train it; engines with adapters wrap it with the same adapters."""
        return model

    def gradients(self, policy: Policy, batch: Batch, plan: LossPlan) -> dict[str, Tensor]:
        raise NotImplementedError

    @pytest.fixture
    def batch(self) -> Batch:
        """With the hidden states of a float64 teacher."""
        batch = tiny_batch()
        teacher = self.teacher()
        states = []
        with torch.no_grad():
            for context, position in zip(
                batch.table["context"].tolist(), batch.table["position"].tolist(), strict=True
            ):
                output = teacher.model(input_ids=batch.contexts[context].ids[None])
                states.append(output.last_hidden_state[0, position - 1])
        hidden = Hidden(torch.stack(states), teacher.lm_head)
        return Batch(batch.contexts, batch.table.with_hidden(teacher=hidden))

    def teacher(self) -> PreTrainedModel:
        return tiny_model(seed=9, dtype=torch.float64).requires_grad_(False)

    def plan(self, batch: Batch, *, temperature: float = 1.0) -> LossPlan:
        """Every kind of row loss, on overlapping rows, with supports of different widths."""
        return LossPlan([*every_term(batch), *full_terms(batch, scorer="teacher")], temperature)

    def same(self, got: dict[str, Tensor], expected: dict[str, Tensor], message: str) -> None:
        """The same gradients, to the engine's precision."""
        assert set(got) == set(expected)
        for name, grad in expected.items():
            where = f"{name} {message}"
            torch.testing.assert_close(got[name].double(), grad.double(), atol=self.atol, rtol=self.rtol, msg=where)

    @pytest.mark.parametrize("temperature", [1.0, 0.7])
    def test_gradients_and_sums_equal_full_logits_autograd(
        self, make_policy: MakePolicy, batch: Batch, temperature: float
    ) -> None:
        plan = self.plan(batch, temperature=temperature)
        oracle = self.oracle(tiny_model(dtype=torch.float64))
        teachers = {"teacher": self.teacher()}
        loss, sums = naive_loss(oracle, batch, plan.terms, vocab_size=VOCAB, temperature=temperature, teachers=teachers)
        loss.backward()
        policy = make_policy(tiny_model(dtype=torch.float64))
        self.same(self.gradients(policy, batch, plan), gradients_of(oracle), "all terms")
        assert policy.update(batch, plan).sums == pytest.approx(sums, rel=self.rtol, abs=self.atol)

    def test_each_kind_of_row_loss_alone(self, make_policy: MakePolicy, batch: Batch) -> None:
        oracle = self.oracle(tiny_model(dtype=torch.float64))
        policy = make_policy(tiny_model(dtype=torch.float64))
        for term in self.plan(batch).terms:
            oracle.zero_grad()
            loss, _ = naive_loss(oracle, batch, [term], vocab_size=VOCAB, teachers={"teacher": self.teacher()})
            loss.backward()
            self.same(self.gradients(policy, batch, LossPlan([term])), gradients_of(oracle), term.name)

    def test_packing_changes_no_gradient(self, make_policy: MakePolicy, batch: Batch) -> None:
        plan = self.plan(batch)
        expected = self.gradients(make_policy(tiny_model(dtype=torch.float64)), batch, plan)
        assert any(grad.abs().max() > 1e-4 for grad in expected.values())
        for variant in self.variants:
            policy = make_policy(tiny_model(dtype=torch.float64), **variant)
            self.same(self.gradients(policy, batch, plan), expected, str(variant))

    def test_order_of_contexts_changes_no_gradient(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model(dtype=torch.float64))
        expected = self.gradients(policy, batch, likelihood_plan(batch))
        count = len(batch.contexts)
        order = (count - 1 - batch.table["context"]).argsort(stable=True)
        tokens = {name: column[order] for name, column in batch.table.tokens.items()}
        tokens["context"] = count - 1 - tokens["context"]
        turned = Batch(list(batch.contexts)[::-1], replace(batch.table, tokens=tokens))
        self.same(self.gradients(policy, turned, likelihood_plan(turned)), expected, "reversed")

    def test_updates_move_the_loss_down_and_the_scores_with_it(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model(), learning_rate=1e-2)
        before = sampled(policy, batch).mean()
        results = [policy.update(batch, likelihood_plan(batch)) for _ in range(8)]
        after = sampled(policy, batch).mean()
        assert results[0].loss == pytest.approx(-float(before), rel=1e-4)
        assert results[-1].loss < results[0].loss - 0.3
        assert after > before + 0.3
        # The last token of a context predicts nothing, so it is not read.
        assert results[0].num_tokens == sum(context.ids.numel() - 1 for context in batch.contexts)

    def test_grad_norm_is_that_of_the_gradient(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model(), max_grad_norm=1e-3)
        grads = self.gradients(policy, batch, likelihood_plan(batch))
        expected = torch.stack([grad.double().square().sum() for grad in grads.values()]).sum().sqrt()
        assert policy.update(batch, likelihood_plan(batch)).grad_norm == pytest.approx(float(expected), rel=1e-5)

    def test_gated_plans_and_empty_batches_give_exact_zero(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model())
        before = sampled(policy, batch)
        term = likelihood_plan(batch).terms[0]
        gated = LossPlan([replace(term, weights=torch.zeros_like(term.weights))])
        nothing = batch_of([], contexts_of([]))
        for data, plan in ((batch, gated), (nothing, likelihood_plan_of_nothing())):
            result = policy.update(data, plan)
            assert (result.sums, result.grad_norm) == ({"nll": 0.0}, 0.0)
        assert torch.equal(sampled(policy, batch), before)

    def test_nan_names_the_term_and_leaves_the_weights(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model())
        before = sampled(policy, batch)
        good = likelihood_plan(batch).terms[0]
        advantage = torch.ones(good.rows.numel(), 1)
        advantage[3] = float("nan")
        bad = replace(good, name="broken", row_loss=Likelihood(advantage))
        with pytest.raises(NonFiniteError, match="broken"):
            policy.update(batch, LossPlan([good, bad]))
        assert torch.equal(sampled(policy, batch), before)
        assert policy.update(batch, likelihood_plan(batch)).loss == pytest.approx(-float(before.mean()), rel=1e-4)

    def test_publish_counts_up_and_scores_say_so(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model())
        first = policy.version
        assert [policy.publish(), policy.publish(), policy.version] == [first + 1, first + 2, first + 2]
        assert policy.score(request_of(batch)).version == first + 2

    def test_initial_weights_stay(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model(), learning_rate=1e-2, keep_initial=True)
        before = sampled(policy, batch)
        initial = policy.scorer("initial")
        fingerprint = initial.fingerprint
        policy.update(batch, likelihood_plan(batch))
        assert torch.equal(initial.score(request_of(batch)).sampled, before)
        assert initial.fingerprint == fingerprint
        assert not torch.allclose(sampled(policy, batch), before, atol=1e-3)
        assert policy.scorer("live").score(request_of(batch)).sampled.equal(sampled(policy, batch))

    def test_hidden_states_are_of_the_weights_that_made_them(self, make_policy: MakePolicy) -> None:
        batch = tiny_batch()
        policy = make_policy(tiny_model(tied=False), learning_rate=1e-1)
        scores = policy.score(replace(request_of(batch), hidden=True))
        assert scores.hidden is not None and scores.project is not None
        before = scores.project(scores.hidden).log_softmax(1).gather(1, batch.table["token_id"][:, None]).squeeze(1)
        policy.update(batch, likelihood_plan(batch))
        after = scores.project(scores.hidden).log_softmax(1).gather(1, batch.table["token_id"][:, None]).squeeze(1)
        torch.testing.assert_close(before, scores.sampled, atol=1e-5, rtol=1e-5)
        assert torch.equal(after, before)

    def test_resume_gives_the_very_same_updates(self, make_policy: MakePolicy, tmp_path: Path) -> None:
        options = {"learning_rate": 1e-2, "schedule": "cosine", "warmup_steps": 2, "weight_decay": 0.1}
        options |= {"ema_decay": 0.9, "keep_initial": True}
        batches = [tiny_batch(seed=seed) for seed in range(5)]
        policy = make_policy(tiny_model(), **options)
        for batch in batches[:3]:
            policy.update(batch, likelihood_plan(batch))
            policy.publish()
        policy.save(tmp_path / "saved")
        resumed = make_policy(tiny_model(), **options)
        resumed.load(tmp_path / "saved")
        for batch in batches[3:]:
            result, again = (p.update(batch, likelihood_plan(batch)) for p in (policy, resumed))
            assert result == again
        for weights in ("live", "ema", "initial"):
            scores, again = (p.scorer(weights).score(request_of(batches[0])) for p in (policy, resumed))
            assert torch.equal(scores.sampled, again.sampled), weights
            assert (scores.fingerprint, scores.version) == (again.fingerprint, again.version)

    def test_saving_changes_nothing(self, make_policy: MakePolicy, tmp_path: Path) -> None:
        batch = tiny_batch()
        saved, plain = (make_policy(tiny_model(), learning_rate=1e-2) for _ in range(2))
        saved.update(batch, likelihood_plan(batch))
        saved.save(tmp_path / "saved")
        plain.update(batch, likelihood_plan(batch))
        assert saved.update(batch, likelihood_plan(batch)) == plain.update(batch, likelihood_plan(batch))


def likelihood_plan_of_nothing() -> LossPlan:
    none = torch.zeros(0, dtype=torch.int64)
    term = LossTerm("nll", none, torch.zeros(0), Likelihood(torch.zeros(0, 1)), Ids(torch.zeros(0, 1).long()))
    return LossPlan([term])


def request_of(batch: Batch) -> ScoreRequest:
    """Every scored token."""
    table = batch.table
    return ScoreRequest([context.ids for context in batch.contexts], table["context"], table["position"])


def sampled(policy: Policy, batch: Batch) -> Tensor:
    """[N] live log-probs of the scored tokens."""
    return policy.score(request_of(batch)).sampled


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    """Those of the trainable parameters."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

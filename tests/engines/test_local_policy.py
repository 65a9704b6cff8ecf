from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tests.conformance.oracle import dense_logprobs
from tests.conformance.policy import MakePolicy, PolicySuite, request_of, sampled
from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import VOCAB, likelihood_plan, tiny_batch, tiny_model, tiny_tokenizer
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.errors import CapabilityError, CheckpointError, NonFiniteError, ShapeError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import LoadedModel, describe, load_model
from understudy.plans import Ids, Likelihood, LossPlan, LossTerm
from understudy.protocols import Policy
from understudy.tokens import Batch

ADAPTER = LoraConfig(rank=4, alpha=8)


def local_policy(model: PreTrainedModel | LoadedModel, **options: object) -> LocalPolicy:
    fields = {name: options.pop(name) for name in list(options) if name in OptimizerConfig.__dataclass_fields__}
    loaded = model if isinstance(model, LoadedModel) else describe(model, None)
    return LocalPolicy(loaded, optimizer=OptimizerConfig(**fields), total_updates=10, **options)


class TestFull(PolicySuite):
    variants = (
        {"token_budget": 1},
        {"token_budget": 30},
        {"token_budget": 64, "chunk_rows": 5},
        {"chunk_rows": 1},
        {"chunk_rows": 16},
    )

    @pytest.fixture
    def make_policy(self) -> MakePolicy:
        return local_policy

    def gradients(self, policy: Policy, batch: Batch, plan: LossPlan) -> dict[str, Tensor]:
        assert isinstance(policy, LocalPolicy)
        return policy.gradients(batch, plan)


class TestLora(TestFull):
    lora = ADAPTER

    def oracle(self, model: PreTrainedModel) -> nn.Module:
        return add_lora(model, self.lora, seed=0)

    @pytest.fixture
    def make_policy(self) -> MakePolicy:
        return lambda model, **options: local_policy(model, **{"lora": self.lora, **options})


class TestLoraOnTheHead(TestLora):
    """The output embeddings have adapters too, so the head is no plain linear layer."""

    lora = LoraConfig(rank=4, alpha=8, target_modules=["q_proj", "down_proj", "lm_head"])

    def oracle(self, model: PreTrainedModel) -> nn.Module:
        return super().oracle(tiny_model(tied=False, dtype=model.dtype))

    @pytest.fixture
    def make_policy(self) -> MakePolicy:
        def make(model: PreTrainedModel, **options: object) -> LocalPolicy:
            return local_policy(tiny_model(tied=False, dtype=model.dtype), **{"lora": self.lora, **options})

        return make


def test_dropout_is_keyed_by_the_update_and_off_when_scoring(tmp_path: Path) -> None:
    lora, batch = LoraConfig(rank=4, alpha=8, dropout=0.3), tiny_batch()
    policy = trained(tiny_model(), lora=lora)
    state = torch.random.get_rng_state()
    assert torch.equal(sampled(policy, batch), sampled(policy, batch))
    first, again = (policy.gradients(batch, likelihood_plan(batch)) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    policy.save(tmp_path)
    resumed = local_policy(tiny_model(), lora=lora, learning_rate=1e-2)
    resumed.load(tmp_path)
    results = [[p.update(batch, likelihood_plan(batch)) for _ in range(2)] for p in (policy, resumed)]
    assert results[0] == results[1]
    later = policy.gradients(batch, likelihood_plan(batch))
    plain = local_policy(tiny_model(), lora=LoraConfig(rank=4, alpha=8))
    plain.load(tmp_path)
    same_weights = plain.gradients(batch, likelihood_plan(batch))
    assert not any(torch.equal(first[name], same_weights[name]) for name in first)
    assert not any(torch.equal(first[name], later[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), state)


class TestPolicyAsScorer(ScorerSuite):
    variants = ({"token_budget": 1}, {"chunk_rows": 3})

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int, **options: object) -> LocalPolicy:
            loaded = describe(model, tiny_tokenizer(vocab_size))
            assert loaded.vocab_size == vocab_size
            return local_policy(loaded, **options)

        return make


def trained(model: PreTrainedModel, **options: object) -> LocalPolicy:
    policy = local_policy(describe(model, tiny_tokenizer()), learning_rate=1e-2, **options)
    for seed in range(3):
        batch = tiny_batch(seed=seed)
        policy.update(batch, likelihood_plan(batch))
    return policy


def plain_logprobs(model: PreTrainedModel, batch: Batch) -> Tensor:
    """What plain transformers says of the scored tokens."""
    contexts = [context.ids for context in batch.contexts]
    rows = (batch.table["context"], batch.table["position"])
    with torch.no_grad():
        truth = dense_logprobs(model, contexts, *rows, vocab_size=VOCAB)
    return truth.gather(1, batch.table["token_id"][:, None]).squeeze(1).float()


@pytest.mark.parametrize("tied", [True, False])
def test_full_checkpoint_loads_in_plain_transformers(tmp_path: Path, tied: bool) -> None:
    policy, batch = trained(tiny_model(tied=tied)), tiny_batch()
    policy.save(tmp_path)
    model, report = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not report["missing_keys"]
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    torch.testing.assert_close(plain_logprobs(model, batch), sampled(policy, batch), atol=1e-5, rtol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").get_vocab() == tiny_tokenizer().get_vocab()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_adapter_loads_in_plain_peft_and_in_our_loader(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    policy, batch = trained(load_model(tmp_path / "base").model, lora=ADAPTER), tiny_batch()
    policy.save(tmp_path / "run")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    start = plain_logprobs(base, batch)
    adapted = PeftModel.from_pretrained(base, tmp_path / "run" / "adapter")
    torch.testing.assert_close(plain_logprobs(adapted, batch), sampled(policy, batch), atol=1e-5, rtol=1e-5)
    assert (sampled(policy, batch) - start).abs().max() > 0.05
    merged = load_model(tmp_path / "run" / "adapter")
    assert merged.tokenizer is not None
    torch.testing.assert_close(plain_logprobs(merged.model, batch), sampled(policy, batch), atol=1e-5, rtol=1e-5)


def test_lora_trains_adapters_only() -> None:
    model = tiny_model()
    before = {name: p.clone() for name, p in model.named_parameters()}
    policy = trained(model, lora=ADAPTER)
    for name, p in policy.model.get_base_model().named_parameters():
        if "lora_" not in name:
            assert torch.equal(p, before[name.replace(".base_layer", "")]), name


def test_the_same_seed_starts_the_same_adapters() -> None:
    first, second, other = (trained(tiny_model(), lora=ADAPTER, seed=seed) for seed in (1, 1, 2))
    batch = tiny_batch()
    assert torch.equal(sampled(first, batch), sampled(second, batch))
    assert not torch.equal(sampled(first, batch), sampled(other, batch))


def test_ema_is_the_exponential_average() -> None:
    policy = local_policy(tiny_model(), learning_rate=1e-2, ema_decay=0.75)
    expected = {name: p.detach().double() for name, p in policy.model.named_parameters()}
    for seed in range(3):
        batch = tiny_batch(seed=seed)
        policy.update(batch, likelihood_plan(batch))
        expected = {n: 0.75 * expected[n] + 0.25 * p.detach().double() for n, p in policy.model.named_parameters()}
    averaged = tiny_model()
    averaged.load_state_dict({**expected, "lm_head.weight": expected["model.embed_tokens.weight"]})
    got = policy.scorer("ema").score(request_of(tiny_batch())).sampled
    torch.testing.assert_close(got, plain_logprobs(averaged, tiny_batch()), atol=1e-5, rtol=1e-5)
    assert not torch.equal(got, sampled(policy, tiny_batch()))


def test_weights_that_are_not_kept_are_refused() -> None:
    policy = local_policy(tiny_model())
    for weights in ("ema", "initial"):
        with pytest.raises(CapabilityError):
            policy.scorer(weights)


def test_clipping_scales_the_step_as_one_vector() -> None:
    """AdamW's first moment after one update is (1 - beta1) times the clipped gradient."""
    policy = local_policy(tiny_model(), max_grad_norm=0.01)
    batch = tiny_batch()
    grads = policy.gradients(batch, likelihood_plan(batch))
    norm = policy.update(batch, likelihood_plan(batch)).grad_norm
    assert norm > 0.1
    for name, p in policy.model.named_parameters():
        moment = policy._optimizer.state[p]["exp_avg"]
        torch.testing.assert_close(moment, 0.1 * grads[name] * 0.01 / norm, atol=1e-9, rtol=1e-4)


def test_bfloat16_keeps_float32_weights_and_learns() -> None:
    policy, batch = local_policy(tiny_model(), precision="bfloat16", learning_rate=1e-2), tiny_batch()
    exact = sampled(local_policy(tiny_model()), batch)
    before = sampled(policy, batch)
    assert 1e-5 < (before - exact).abs().max() < 0.2
    losses = [policy.update(batch, likelihood_plan(batch)).loss for _ in range(8)]
    assert losses[-1] < losses[0] - 0.3
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}


def test_adapters_are_float32_on_a_bfloat16_model() -> None:
    batch = tiny_batch()
    model = tiny_model(dtype=torch.bfloat16)
    policy = local_policy(model, lora=ADAPTER, learning_rate=1e-2)
    losses = [policy.update(batch, likelihood_plan(batch)).loss for _ in range(12)]
    assert losses[-1] < losses[0] - 0.3
    assert {p.dtype for p in policy.model.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in policy.model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_infinite_gradient_is_refused() -> None:
    """The loss is finite, the squares of its gradient are not."""
    batch = tiny_batch()
    policy = local_policy(tiny_model())
    before = sampled(policy, batch)
    term = likelihood_plan(batch).terms[0]
    huge = LossTerm("huge", term.rows, torch.full((term.rows.numel(),), 1e30), term.row_loss, term.support)
    with pytest.raises(NonFiniteError, match="gradient of 'huge'"):
        policy.update(batch, LossPlan([huge]))
    assert torch.equal(sampled(policy, batch), before)


def test_ids_outside_the_true_vocabulary_are_refused() -> None:
    batch = tiny_batch()
    term = LossTerm("t", torch.arange(1), torch.ones(1), Likelihood(torch.ones(1, 1)), Ids(torch.tensor([[VOCAB]])))
    with pytest.raises(ShapeError, match="'t'"):
        local_policy(tiny_model()).update(batch, LossPlan([term]))


@pytest.mark.parametrize("broken", ["trainer.json", "trainer.safetensors", "model/model.safetensors"])
def test_broken_checkpoints_are_named_and_change_nothing(tmp_path: Path, broken: str) -> None:
    trained(tiny_model(), ema_decay=0.9).save(tmp_path)
    path = tmp_path / broken
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    policy, batch = local_policy(tiny_model(seed=5), ema_decay=0.9), tiny_batch()
    before = sampled(policy, batch)
    with pytest.raises(CheckpointError):
        policy.load(tmp_path)
    assert torch.equal(sampled(policy, batch), before)
    assert policy.updates == 0


@pytest.mark.parametrize("content", ['{"updates": "3", "version": 1}', '{"updates": 3, "version": -1}', "[" * 100_000])
def test_counters_that_are_no_counts_change_nothing(tmp_path: Path, content: str) -> None:
    trained(tiny_model()).save(tmp_path)
    (tmp_path / "trainer.json").write_text(content)
    policy = local_policy(tiny_model(seed=5))
    with pytest.raises(CheckpointError, match="trainer state cannot be read"):
        policy.load(tmp_path)
    assert policy.updates == 0


@pytest.mark.parametrize("kind", ["exp_avg", "exp_avg_sq", "step", "ema"])
def test_a_trainer_state_of_other_shapes_changes_nothing(tmp_path: Path, kind: str) -> None:
    """With the model's own weights beside it: they would load, and the next update would fail."""
    trained(tiny_model(), ema_decay=0.9).save(tmp_path)
    tensors = load_file(tmp_path / "trainer.safetensors")
    name = next(key for key in tensors if key.startswith(f"{kind}."))
    save_file(tensors | {name: torch.zeros(3, 3)}, tmp_path / "trainer.safetensors")
    policy, batch = local_policy(tiny_model(seed=5), ema_decay=0.9), tiny_batch()
    before = sampled(policy, batch)
    with pytest.raises(CheckpointError):
        policy.load(tmp_path)
    assert torch.equal(sampled(policy, batch), before)


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    trained(tiny_model(layers=1)).save(tmp_path)
    with pytest.raises(CheckpointError):
        local_policy(tiny_model(layers=2)).load(tmp_path)

"""One rank in this process does all that any policy must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.conformance.policy import MakePolicy, PolicySuite
from understudy.engines.cluster import ClusterPolicy, Group, join
from understudy.engines.cluster.group import leave
from understudy.engines.local import OptimizerConfig
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.load import describe
from understudy.plans import LossPlan
from understudy.protocols import Policy
from understudy.tokens import Batch

ADAPTER = LoraConfig(rank=4, alpha=8)


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    """The only rank."""
    yield join("cpu", {})
    leave()


class TestFull(PolicySuite):
    variants = ({"token_budget": 1}, {"token_budget": 64, "chunk_rows": 5}, {"activation_checkpointing": "on"})
    lora: LoraConfig | None = None

    def oracle(self, model: PreTrainedModel) -> nn.Module:
        return model if self.lora is None else add_lora(model, self.lora, seed=0)

    @pytest.fixture
    def make_policy(self, group: Group) -> MakePolicy:
        def make(model: PreTrainedModel, **options: object) -> ClusterPolicy:
            fields = {name: options.pop(name) for name in list(options) if name in OptimizerConfig.__dataclass_fields__}
            optimizer = OptimizerConfig(**fields)  # type: ignore[arg-type]
            told = {"optimizer": optimizer, "total_updates": 10, "lora": self.lora, **options}
            return ClusterPolicy(describe(model, None), group=group, **told)

        return make

    def gradients(self, policy: Policy, batch: Batch, plan: LossPlan) -> dict[str, Tensor]:
        assert isinstance(policy, ClusterPolicy)
        return policy.gradients(batch, plan)


class TestLora(TestFull):
    lora = ADAPTER

"""What the server answers: Search-R1's form."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from understudy.tasks.retrieval import Document, LocalRetriever
from understudy.tasks.retrieval.app import app_of

DOCUMENTS = [Document("1", "the moon has no air"), Document("2", "mars is red"), Document("3", "the red moon")]


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(app_of(LocalRetriever.of(DOCUMENTS)))


def ids(lists: list) -> list:
    return [[hit["document"]["id"] for hit in hits] for hits in lists]


def test_queries_are_answered_in_order(client) -> None:
    body = {"queries": ["mars", "red moon", "sun"], "topk": 2, "return_scores": True}
    result = client.post("/retrieve", json=body).json()["result"]
    assert ids(result) == [["2"], ["3", "2"], []]
    assert result[0][0]["document"] == {"id": "2", "contents": "mars is red"}
    assert result[1][0]["score"] > result[1][1]["score"] > 0


def test_one_query_is_a_list_of_one(client) -> None:
    one = client.post("/retrieve", json={"query": "mars", "return_scores": True}).json()
    assert one == client.post("/retrieve", json={"queries": ["mars"], "return_scores": True}).json()


def test_without_scores_the_documents_stand_alone(client) -> None:
    assert client.post("/retrieve", json={"queries": ["mars"]}).json() == {
        "result": [[{"id": "2", "contents": "mars is red"}]]
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "give queries, a list of strings, or query"),
        ({"query": "a", "queries": ["b"]}, "give queries"),
        ({"queries": "mars"}, "queries: "),
        ({"queries": ["mars"], "topk": 0}, "topk: "),
        ({"queries": [["mars"]]}, "queries.0: "),
        ([], "valid dictionary"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused(client, body, said) -> None:
    refused = client.post("/retrieve", json=body)
    assert refused.status_code == 422 and said in refused.json()["detail"]

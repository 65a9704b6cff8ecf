"""Search-QA: questions that a student answers by searching documents."""

from understudy.environments.search_qa.answers import exact_match, last_answer, normalised
from understudy.environments.search_qa.manners import manner
from understudy.environments.search_qa.remote import RemoteRetriever
from understudy.environments.search_qa.replies import tagged_reply, tiny_reply
from understudy.environments.search_qa.tasks import load_paragraphs, load_questions, write_corpus, write_rows
from understudy.environments.search_qa.tiny import (
    spoken,
    tiny_corpus,
    tiny_expert,
    tiny_retriever,
    tiny_search_tasks,
    tiny_vocabulary,
)
from understudy.environments.search_qa.words import full_words, tiny_words
from understudy.environments.search_qa.world import SearchQA

__all__ = [
    "RemoteRetriever",
    "SearchQA",
    "exact_match",
    "full_words",
    "last_answer",
    "load_paragraphs",
    "load_questions",
    "manner",
    "normalised",
    "spoken",
    "tagged_reply",
    "tiny_corpus",
    "tiny_expert",
    "tiny_reply",
    "tiny_retriever",
    "tiny_search_tasks",
    "tiny_vocabulary",
    "tiny_words",
    "write_corpus",
    "write_rows",
]

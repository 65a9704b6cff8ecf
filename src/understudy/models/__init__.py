"""Language models: loading, forward passes, the head, chat templates, sampling and adapters."""

"""A posted series: from mail to evidence. The room between the mail and the runner."""

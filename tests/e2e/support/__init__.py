"""What the end-to-end tests share: the cloud under test, its clients, the host's view, the WordPress application."""

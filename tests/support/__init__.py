"""What tests share: servers, players, worlds."""

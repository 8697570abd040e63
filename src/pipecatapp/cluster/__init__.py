"""The experts: found through Consul or named in a file, asked where they are least busy, left when they fail."""

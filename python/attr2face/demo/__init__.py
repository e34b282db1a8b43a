"""The page of `make demo`: faces on request, from nets and tables that stay loaded."""

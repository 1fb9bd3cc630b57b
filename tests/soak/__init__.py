"""Long trials that look for rare failures: `make soak`. A short form of each is a test."""

"""Live services as real processes on a real server of streams, killed, paused and lied to: nothing is lost."""

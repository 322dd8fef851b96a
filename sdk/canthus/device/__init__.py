"""What this device is and has: its GPU, what runtimes need, its temperatures and clocks, and what is amiss."""

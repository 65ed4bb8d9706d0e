"""Every client method and every service against every fault: what comes of it, and that nothing is harmed."""

"""The App Store as the simulator plays it, without a web framework: purchases, certificates, notifications, answers."""

"""Running the service: demonstration data, commands, health, metrics."""

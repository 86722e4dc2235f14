"""A load generator for real-time messaging servers: many WebSocket subscribers, counted deliveries."""

"""The OpenAPI document in the hands of strict tools, and the clients that are made from it."""

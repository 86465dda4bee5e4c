"""Cidery: call any service by name, now or in the background, over gRPC, from any language."""

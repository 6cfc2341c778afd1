"""Descriptions for machines, made from the code: OpenAPI, AsyncAPI, licences."""

"""OpenSearch and Elasticsearch: documents, indices, bulk requests, and what answers mean. Pure."""

"""Saved searches and boards for OpenSearch Dashboards and Kibana: what they hold, and what they ask."""

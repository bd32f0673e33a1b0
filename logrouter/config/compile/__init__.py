"""From the options of topics.yaml to the compiled values that the pipeline runs on."""
